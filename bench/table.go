package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// table is one comparison: a row for each peer, the median of its rounds.
type table struct {
	title   string
	bases   []string // peers that the others are set in relation to
	columns []column
	names   []string // of the peers, in the order met
	rows    map[string][]measurement
	trips   map[string][]float64
	marks   []string
	ours    string // the row that the others are judged beside; "" for none
	byRate  bool   // by their rates, not their CPU
}

// column is one figure of a row.
type column struct {
	head string
	show func(t *table, name string) string
}

func newTable(title string, bases []string, columns ...column) *table {
	t := &table{title: title, bases: bases, rows: map[string][]measurement{}, trips: map[string][]float64{}}
	for _, base := range bases {
		columns = append(columns, column{"CPU ÷ " + base, func(t *table, name string) string { return ratio(t.cpu(name), t.cpu(base)) }})
	}
	t.columns = columns
	return t
}

func (t *table) add(name string, m measurement) {
	if !slices.Contains(t.names, name) {
		t.names = append(t.names, name)
	}
	t.rows[name] = append(t.rows[name], m)
}

func (t *table) addDelivery(name string, m measurement, trips float64) {
	t.add(name, m)
	t.trips[name] = append(t.trips[name], trips)
}

// median answers that of a figure over a peer's rounds; 0 for a peer that is not there.
func (t *table) median(name string, figure func(measurement) float64) float64 {
	var values []float64
	for _, m := range t.rows[name] {
		values = append(values, figure(m))
	}
	return median(values)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

func (t *table) cpu(name string) float64 {
	return t.median(name, func(m measurement) float64 { return m.cpu })
}

func (t *table) rate(name string) float64 {
	return t.median(name, func(m measurement) float64 { return m.rate })
}

func (t *table) p50(name string) time.Duration {
	return time.Duration(t.median(name, func(m measurement) float64 { return float64(m.p50) }))
}

func (t *table) p99(name string) time.Duration {
	return time.Duration(t.median(name, func(m measurement) float64 { return float64(m.p99) }))
}

// peak answers the most memory that a peer has held, in MiB.
func (t *table) peak(name string) float64 {
	most := 0.0
	for _, m := range t.rows[name] {
		most = max(most, m.peak)
	}
	return most
}

func ratio(a, b float64) string {
	if a == 0 || b == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", a/b)
}

func millis(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d.Microseconds())/1000) }

// The columns that tables are made of.
var (
	cpuColumn    = column{"CPU µs each", func(t *table, name string) string { return fmt.Sprintf("%.1f", t.cpu(name)) }}
	rateColumn   = column{"a second", func(t *table, name string) string { return fmt.Sprintf("%.0f", t.rate(name)) }}
	p50Column    = column{"p50 ms", func(t *table, name string) string { return millis(t.p50(name)) }}
	p99Column    = column{"p99 ms", func(t *table, name string) string { return millis(t.p99(name)) }}
	memoryColumn = column{"MiB", func(t *table, name string) string {
		return fmt.Sprintf("%.0f", t.median(name, func(m measurement) float64 { return m.rss }))
	}}
	peakColumn  = column{"peak MiB", func(t *table, name string) string { return fmt.Sprintf("%.0f", t.peak(name)) }}
	tripsColumn = column{"Redis round trips each", func(t *table, name string) string { return fmt.Sprintf("%.2f", median(t.trips[name])) }}
)

// mark says whether a peer's CPU is at most so many times another's.
func (t *table) mark(promise, name, base string, most float64) {
	t.ours = name
	t.judge(promise, t.cpu(name), t.cpu(base), func(r float64) bool { return r <= most })
}

// markRate says whether a peer's rate is at least so many times another's.
func (t *table) markRate(promise, name, base string, least float64) {
	t.ours, t.byRate = name, true
	t.judge(promise, t.rate(name), t.rate(base), func(r float64) bool { return r >= least })
}

func (t *table) judge(promise string, a, b float64, good func(float64) bool) {
	switch {
	case a == 0 || b == 0:
		t.marks = append(t.marks, promise+": not measured")
	case good(a / b):
		t.marks = append(t.marks, fmt.Sprintf("%s: **holds** (%.2f)", promise, a/b))
	default:
		t.marks = append(t.marks, fmt.Sprintf("%s: **does not hold** (%.2f)", promise, a/b))
	}
}

// text answers the table in Markdown.
func (t *table) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n| |", t.title)
	for _, c := range t.columns {
		fmt.Fprintf(&b, " %s |", c.head)
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(t.columns)) + "\n")
	for _, name := range t.names {
		fmt.Fprintf(&b, "| %s |", name)
		for _, c := range t.columns {
			fmt.Fprintf(&b, " %s |", c.show(t, name))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	for _, mark := range t.marks {
		fmt.Fprintf(&b, "- %s\n", mark)
	}
	if len(t.marks) > 0 {
		b.WriteString("\n")
	}
	return b.String()
}

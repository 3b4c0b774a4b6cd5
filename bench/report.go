package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// report is what a run found.
type report struct {
	command runCommand
	began   time.Time
	notes   []string
	tables  []*table
	curves  []*curve
}

func newReport(c runCommand) *report { return &report{command: c, began: time.Now()} }

func (r *report) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// table starts a comparison of CPU per request.
func (r *report) table(title string, bases ...string) *table {
	return r.keep(newTable(title, bases, cpuColumn, rateColumn, p50Column, p99Column, memoryColumn, peakColumn))
}

// deliveries starts a comparison of workers.
func (r *report) deliveries(title string) *table {
	return r.keep(newTable(title, nil, rateColumn, column{"÷ bare loop", func(t *table, name string) string {
		return ratio(t.rate(name), t.rate("bare http.Client loop"))
	}}, cpuColumn, tripsColumn, memoryColumn))
}

// latencies starts a comparison of what peers add to base's latency.
func (r *report) latencies(title, base string) *table {
	added := func(head string, of func(*table, string) time.Duration) column {
		return column{head, func(t *table, name string) string { return millis(of(t, name) - of(t, base)) }}
	}
	return r.keep(newTable(title, nil, p50Column, p99Column, added("p50 added", (*table).p50), added("p99 added", (*table).p99)))
}

func (r *report) keep(t *table) *table {
	r.tables = append(r.tables, t)
	return t
}

func (r *report) curve(name, x, y string) *curve {
	c := &curve{name: name, x: x, y: y}
	r.curves = append(r.curves, c)
	return c
}

// text answers the report in Markdown.
func (r *report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Medians of %d rounds of %s each. Lower CPU is better; compare within a table only.\n\n", r.command.Rounds, r.command.Duration)
	for _, note := range r.notes {
		b.WriteString(note + "\n\n")
	}
	for _, t := range r.tables {
		b.WriteString(t.text())
	}
	for _, c := range r.curves {
		b.WriteString(c.text())
	}
	return b.String()
}

// write puts the report where path says, and the plots beside it.
func (r *report) write(path string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# What hookproxy costs, beside others\n\n`make bench` writes this file. %s; %s; took %s.\n\n",
		r.began.UTC().Format("2006-01-02"), machine(), time.Since(r.began).Round(time.Second))
	b.WriteString(r.text())
	for _, c := range r.curves {
		file := "growth-" + c.name + ".svg"
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), file), []byte(c.svg()), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(&b, "![%s](%s)\n", c.name, file)
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

func machine() string { return fmt.Sprintf("%d cores, %s", runtime.NumCPU(), cpuModel()) }

// cpuModel answers what the kernel calls the processor.
func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(info)) {
		if name, model, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return runtime.GOARCH
}

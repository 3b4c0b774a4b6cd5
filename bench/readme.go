package main

import (
	"fmt"
	"os"
	"strings"
)

// The lines of a README between which the summary stands.
const (
	readmeBegin = "<!-- bench: `go run ./bench --readme README.md` writes what follows -->"
	readmeEnd   = "<!-- bench: end -->"
)

// putSummary writes the summary into a Markdown file, between its two lines.
func (r *report) putSummary(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), readmeBegin)
	_, after, ended := strings.Cut(rest, readmeEnd)
	if !found || !ended {
		return fmt.Errorf("%s: want the lines %q and %q, between which the table goes", path, readmeBegin, readmeEnd)
	}
	return os.WriteFile(path, []byte(before+readmeBegin+"\n"+r.summary()+"\n"+readmeEnd+after), 0o644)
}

// summary answers one row for each table that has marks: what our own peer costs
// in relation to each of the others.
func (r *report) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s, %s.\n\n| measured | hookproxy beside others |\n|---|---|\n", r.began.UTC().Format("2006-01-02"), machine())
	for _, t := range r.tables {
		if row := t.summary(); row != "" {
			fmt.Fprintf(&b, "| %s | %s |\n", t.title, row)
		}
	}
	return b.String()
}

// summary answers the table in a line, "" where it says nothing about others.
func (t *table) summary() string {
	if t.ours == "" {
		return ""
	}
	var parts []string
	for _, name := range t.names {
		if name == t.ours || name == "direct" || strings.HasPrefix(name, "hookproxy") || t.cpu(name) == 0 {
			continue
		}
		value := ratio(t.cpu(t.ours), t.cpu(name))
		if t.byRate {
			value = ratio(t.rate(t.ours), t.rate(name))
		}
		parts = append(parts, fmt.Sprintf("%s × %s", value, name))
	}
	what := "CPU: "
	if t.byRate {
		what = "rate: "
	}
	return what + strings.Join(parts, ", ")
}

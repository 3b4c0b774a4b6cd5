package rules

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Table writes the rules as an aligned table, a rule a line, in file order. It
// writes to w once; an error of w is w's to keep.
func (f *File) Table(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	// A tabwriter keeps everything until Flush, so nothing can fail before.
	_, _ = fmt.Fprintln(table, "ROUTE\tEVENT\tUSER\tPAYLOAD\tLINE")
	for _, rule := range f.Rules {
		emit := rule.Emit
		if rule.Observed() {
			emit += " (observed)"
		}
		_, _ = fmt.Fprintf(table, "%s %s\t%s\t%s\t%s\t%d\n",
			rule.Method, printable(rule.Path), emit, printable(rule.options.user.String()), printable(rule.options.shown()), rule.Line)
	}
	_ = table.Flush()
}

// shown answers the payload as the table shows it.
func (o *options) shown() string {
	const most = 60
	shown := o.payload.String()
	if o.each != nil {
		shown += " of " + o.each.text
	}
	if runes := []rune(shown); len(runes) > most {
		shown = string(runes[:most]) + "…"
	}
	return shown
}

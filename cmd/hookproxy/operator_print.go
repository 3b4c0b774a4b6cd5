package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/tidwall/gjson"
)

// column is one of a table: its heading, and where in an item its value is.
type column struct{ heading, path string }

// columns reads "HEADING path" for each.
func columns(specs ...string) []column {
	all := make([]column, len(specs))
	for i, spec := range specs {
		all[i].heading, all[i].path, _ = strings.Cut(spec, " ")
	}
	return all
}

// printList asks for a list and prints it: a table, or with --json an array.
func (o operator) printList(ctx context.Context, std streams, path string, query url.Values, limit int, all []column) error {
	items, more, err := o.list(ctx, path, query, limit)
	if err != nil {
		return err
	}
	if o.JSON {
		raw := make([]json.RawMessage, len(items))
		for i, item := range items {
			raw[i] = json.RawMessage(item.Raw)
		}
		return printJSON(std.out, raw)
	}
	table := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	headings := make([]string, len(all))
	for i, c := range all {
		headings[i] = c.heading
	}
	fmt.Fprintln(table, strings.Join(headings, "\t"))
	for _, item := range items {
		cells := make([]string, len(all))
		for i, c := range all {
			cells[i] = cell(item.Get(c.path))
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if more != "" {
		fmt.Fprintf(std.err, "there are more: --limit %d shows the first\n", limit)
	}
	return nil
}

// printOne asks for one thing and prints it: a field a line, or with --json as it is.
func (o operator) printOne(ctx context.Context, std streams, method, path string, body any) error {
	answer, err := o.call(ctx, method, path, nil, body)
	if err != nil {
		return err
	}
	if len(answer) == 0 { // 204
		if !o.JSON {
			fmt.Fprintln(std.out, "done")
		}
		return nil
	}
	if o.JSON {
		return printJSON(std.out, json.RawMessage(answer))
	}
	table := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	printFields(table, "", gjson.ParseBytes(answer))
	return table.Flush()
}

// show is printOne of what is there.
func (o operator) show(ctx context.Context, std streams, path string) error {
	return o.printOne(ctx, std, http.MethodGet, path, nil)
}

// printFields prints what an object holds, objects in it as name.name. A payload
// stays in one piece.
func printFields(w io.Writer, prefix string, object gjson.Result) {
	object.ForEach(func(key, value gjson.Result) bool {
		name := prefix + key.String()
		if value.IsObject() && name != "data" {
			printFields(w, name+".", value)
		} else {
			fmt.Fprintf(w, "%s\t%s\n", printable(name), cell(value))
		}
		return true
	})
}

// cell answers a value as a table shows it.
func cell(value gjson.Result) string {
	text := value.String()
	if value.IsArray() {
		var parts []string
		for _, one := range value.Array() {
			parts = append(parts, one.String())
		}
		text = strings.Join(parts, " ")
	}
	if text == "" {
		return "-"
	}
	return printable(text)
}

// printable replaces what is no letter, mark, number, sign or space: what is shown
// was written by strangers, and must not steer a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsPrint(r):
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// printJSON prints a value over several lines. What could steer a terminal is
// written as an escape.
func printJSON(w io.Writer, value any) error {
	var compact bytes.Buffer
	encoder := json.NewEncoder(&compact)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, compact.Bytes(), "", "  "); err != nil {
		return err
	}
	for _, r := range indented.String() {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			fmt.Fprint(w, string(r))
		case r > 0xffff:
			fmt.Fprintf(w, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			fmt.Fprintf(w, `\u%04x`, r)
		}
	}
	return nil
}

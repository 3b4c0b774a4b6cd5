package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/hookproxy/hookproxy/internal/replay"
	"github.com/hookproxy/hookproxy/rules"
)

// tried is one exchange as --json prints and --expect reads it. It has neither
// ids nor times nor lines of rules.yaml: those change and mean nothing.
type tried struct {
	Index   int            `json:"index"`
	Request string         `json:"request"`
	Status  int            `json:"status"`
	Events  []triedEvent   `json:"events,omitempty"`
	Skipped []triedSkipped `json:"skipped,omitempty"`
	Reason  string         `json:"reason,omitempty"`
}

type triedEvent struct {
	Event    string   `json:"event"`
	User     string   `json:"user,omitempty"`
	Resource string   `json:"resource,omitempty"`
	Omitted  string   `json:"omitted,omitempty"`
	Redacted []string `json:"redacted,omitempty"`
	Parked   string   `json:"parked,omitempty"`
	Observed bool     `json:"observed,omitempty"`
	// Data comes last: encodeTried splices it in as it is.
	Data json.RawMessage `json:"data,omitempty"`
}

type triedSkipped struct {
	Event  string `json:"event"`
	Reason string `json:"reason"`
}

func triedOf(x replay.Exchange) tried {
	t := tried{Index: x.Index, Request: x.Method + " " + x.Path, Status: x.Status, Reason: x.Reason}
	for _, o := range x.Outcomes {
		if o.Skipped != "" {
			t.Skipped = append(t.Skipped, triedSkipped{o.Rule.Emit, o.Skipped})
			continue
		}
		e := o.Event
		t.Events = append(t.Events, triedEvent{e.Name, e.User, e.Resource, e.Omitted, e.Redacted, e.Parked, o.Observed, e.Payload})
	}
	return t
}

// encodeTried writes a JSON array, an exchange and an event a line. Payloads
// stay byte for byte what would be delivered: encoding/json would rewrite them.
func encodeTried(done []replay.Exchange) []byte {
	var out bytes.Buffer
	out.WriteString("[")
	for i, x := range done {
		t := triedOf(x)
		all := t.Events
		t.Events = nil
		out.WriteString(strings.Repeat(",", min(i, 1)) + "\n")
		if len(all) == 0 {
			out.Write(encodeLine(t))
			continue
		}
		line := encodeLine(t)
		out.Write(line[:len(line)-1])
		out.WriteString(`,"events":[`)
		for j, e := range all {
			data := e.Data
			e.Data = nil
			line := encodeLine(e)
			out.WriteString(strings.Repeat(",", min(j, 1)) + "\n  ")
			if data != nil {
				line = append(append(append(line[:len(line)-1], `,"data":`...), data...), '}')
			}
			out.Write(line)
		}
		out.WriteString("]}")
	}
	out.WriteString("\n]\n")
	return out.Bytes()
}

func encodeLine(value any) []byte {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // cannot fail: texts and numbers
	return bytes.TrimSuffix(line.Bytes(), []byte("\n"))
}

// compareTried prints how what was tried differs from what a file says. White
// space in payloads makes no difference.
func compareTried(w io.Writer, name string, golden, got []byte) error {
	var want, have []tried
	if err := json.Unmarshal(golden, &want); err != nil {
		return fmt.Errorf("%s: expected what try --json prints: %w", name, err)
	}
	if err := json.Unmarshal(got, &have); err != nil {
		return err
	}
	differing := 0
	for i := range max(len(want), len(have)) {
		expected, found := linesAt(want, i), linesAt(have, i)
		if slices.Equal(expected, found) {
			continue
		}
		differing++
		printDifference(w, expected, found)
	}
	if differing == 0 {
		fmt.Fprintf(w, "%s: as expected (exchanges: %d)\n", name, len(have))
		return nil
	}
	fmt.Fprintf(w, "%s: %d of %d exchanges differ (- expected, + found); --update writes it anew\n", name, differing, max(len(want), len(have)))
	return errReported
}

// linesAt answers an exchange as lines to compare, the request first.
func linesAt(all []tried, i int) []string {
	if i >= len(all) {
		return nil
	}
	t := all[i]
	lines := []string{fmt.Sprintf("#%d %s → %d", t.Index, t.Request, t.Status)}
	for _, e := range t.Events {
		lines = append(lines, string(encodeLine(e))) // which compacts the data
	}
	for _, s := range t.Skipped {
		lines = append(lines, s.Event+": "+s.Reason)
	}
	if t.Reason != "" {
		lines = append(lines, t.Reason)
	}
	return lines
}

func printDifference(w io.Writer, expected, found []string) {
	for _, line := range expected {
		if slices.Contains(found, line) {
			fmt.Fprintf(w, "  %s\n", line)
		} else {
			fmt.Fprintf(w, "- %s\n", line)
		}
	}
	for _, line := range found {
		if !slices.Contains(expected, line) {
			fmt.Fprintf(w, "+ %s\n", line)
		}
	}
}

// printTried writes what came of each exchange, for people.
func printTried(w io.Writer, done []replay.Exchange) {
	events := 0
	for _, x := range done {
		fmt.Fprintf(w, "#%d %s %s → %d\n", x.Index, x.Method, x.Path, x.Status)
		for _, o := range x.Outcomes {
			if o.Skipped != "" {
				fmt.Fprintf(w, "   no %s (%s): %s\n", o.Rule.Emit, o.Rule.Position, o.Why)
				continue
			}
			events++
			printEvent(w, o)
		}
		if x.Reason != "" {
			fmt.Fprintf(w, "   %s\n", x.Reason)
		}
		for _, note := range x.Notes {
			fmt.Fprintf(w, "   note: %s\n", note)
		}
	}
	fmt.Fprintf(w, "exchanges: %d, events: %d\n", len(done), events)
}

// shownText keeps what a recording says from steering a terminal.
func shownText(text string) string {
	if strings.ContainsFunc(text, unicode.IsControl) {
		return strconv.Quote(text)
	}
	return text
}

func printEvent(w io.Writer, o replay.Outcome) {
	e := o.Event
	line := "   " + e.Name
	for _, part := range []struct{ name, value string }{
		{"user", e.User}, {"resource", e.Resource}, {"without data:", e.Omitted}, {"left out:", strings.Join(e.Redacted, ", ")}, {"parked:", e.Parked},
	} {
		if part.value != "" {
			line += "  " + part.name + " " + shownText(part.value)
		}
	}
	if o.Observed {
		line += "  (observed, not published)"
	}
	fmt.Fprintf(w, "%s  (%s)\n", line, e.Rule)
	if e.Payload != nil {
		fmt.Fprintf(w, "      %s\n", bytes.TrimSpace(e.Payload))
	}
	switch e.Parked {
	case rules.ParkedUserUnknown, "identity_unavailable":
		fmt.Fprintln(w, "      nobody is known to have sent this; --user NAME says who")
	}
}

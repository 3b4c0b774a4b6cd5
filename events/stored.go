package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// DecodeStored reads an event as dispatch.lua stores it while deliveries refer to
// it: a header, a newline, and the payload, which the event aliases. The header is
// shorter than that of the list, since millions may wait: a JSON array of name,
// resource, time, rule, why the payload is omitted, what is redacted, and the URL
// (for skinny deliveries alone), of which the last ones may be missing. The id is the
// key that it is stored under; the user, that of the subscription, is left out. It
// answers ErrMalformed for anything else.
func DecodeStored(id string, stored []byte) (Event, error) {
	head, payload, found := bytes.Cut(stored, []byte{'\n'})
	if !found {
		return Event{}, fmt.Errorf("%w: no newline after the header", ErrMalformed)
	}
	e := Event{ID: id}
	var at int64
	if !e.readPlain(head, &at) {
		// Decoding fills what the elements point to, as far as there are values.
		fields := []any{&e.Name, &e.Resource, &at, &e.Rule, &e.Omitted, &e.Redacted, &e.URL}
		if err := json.Unmarshal(head, &fields); err != nil {
			return Event{}, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
	}
	if e.Name == "" || id == "" {
		return Event{}, fmt.Errorf("%w: the header lacks the event name", ErrMalformed)
	}
	e.Time = time.UnixMilli(at).UTC()
	if len(payload) > 0 {
		e.Payload = payload
	}
	return e, nil
}

// readPlain reads a header that has nothing but texts without escapes and a whole
// number for the time, as nearly all have, for a fraction of what encoding/json takes.
// It answers false for any other, of which nothing is to be kept.
func (e *Event) readPlain(head []byte, at *int64) bool {
	var time string
	for i, field := range []*string{&e.Name, &e.Resource, &time, &e.Rule, &e.Omitted} {
		if len(head) == 0 || head[0] != separators[i] {
			return false
		}
		number := field == &time
		text, rest, ok := plainValue(head[1:], number)
		if !ok {
			return false
		}
		*field, head = string(text), rest
		if number {
			n, err := strconv.ParseInt(time, 10, 64)
			if *at = n; err != nil {
				return false
			}
		}
		if string(head) == "]" {
			return true
		}
	}
	return false
}

// separators stand before each of the values that readPlain reads.
const separators = "[,,,,"

// plainValue cuts off a text without escapes, or a number.
func plainValue(b []byte, number bool) (value, rest []byte, ok bool) {
	if number {
		end := bytes.IndexAny(b, ",]")
		if end <= 0 || b[0] == '0' || b[0] == '-' || b[0] == '+' { // JSON's numbers are fewer than strconv's
			return nil, nil, false
		}
		return b[:end], b[end:], true
	}
	if len(b) == 0 || b[0] != '"' {
		return nil, nil, false
	}
	for i, c := range b[1:] {
		switch {
		case c == '"':
			return b[1 : 1+i], b[2+i:], true
		case c == '\\' || c < ' ' || c > '~': // JSON would be asked what it is
			return nil, nil, false
		}
	}
	return nil, nil, false
}

package events

import (
	"bytes"
	"encoding/json"
	"fmt"
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
	// Decoding fills what the elements point to, as far as there are values.
	fields := []any{&e.Name, &e.Resource, &at, &e.Rule, &e.Omitted, &e.Redacted, &e.URL}
	if err := json.Unmarshal(head, &fields); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrMalformed, err)
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

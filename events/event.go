// Package events holds what happened at the API: the Event itself, the way onto
// the Redis list, and the local spool for when Redis is away.
package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Event is one thing that happened at the API, as a rule derived it from an
// exchange. It is immutable once published.
type Event struct {
	// ID identifies the event wherever it goes; receivers use it to tell a
	// repeated delivery from a new event. A ULID, or a hash for a request that
	// carried an Idempotency-Key.
	ID string
	// Name is what happened, as noun.verb: "contact.create".
	Name string
	// User is whose event it is. Empty where nobody is known, and then Parked
	// says why.
	User string
	// Resource is the id of what the event is about. Empty where unknown.
	Resource string
	// URL is the path by which the API's clients reach what the event is about:
	// "/contacts/7". Empty where unknown.
	URL string
	// Time is when the upstream's answer was complete.
	Time time.Time
	// Rule names the line of rules.yaml that derived the event: "rules.yaml:12".
	Rule string
	// Payload is the event's data: raw JSON, never re-marshalled. Nil where
	// Omitted says why there is none.
	Payload []byte
	// Omitted is why there is no payload ("too_large", "encoding" …). Empty
	// where the payload is whole.
	Omitted string
	// Redacted lists the secret-like keys left out of the payload, as paths.
	Redacted []string
	// Parked is why the event cannot be routed yet ("user_unknown" …). Empty
	// for an event that can be.
	Parked string
}

// header is an event without its payload, as it stands on the Redis list.
// Its field names are read by dispatch.lua.
type header struct {
	ID       string   `json:"id"`
	Name     string   `json:"event"`
	User     string   `json:"user,omitempty"`
	Resource string   `json:"resource,omitempty"`
	URL      string   `json:"url,omitempty"`
	Time     int64    `json:"at"` // ms since 1970, exact in Lua's doubles
	Rule     string   `json:"rule,omitempty"`
	Omitted  string   `json:"omitted,omitempty"`
	Redacted []string `json:"redacted,omitempty"`
	Parked   string   `json:"parked,omitempty"`
}

// ErrMalformed is what Decode answers for bytes that Encode never wrote.
var ErrMalformed = errors.New("malformed event")

// MaxHeader bounds an element's header, in bytes. Dispatch takes a longer one for
// damaged.
const MaxHeader = 64 << 10

// Encode writes the event as an element of the Redis list: a short JSON
// header, a newline, and the payload as opaque bytes. Lua decodes the header
// only; its cjson loses big integers and confuses [] with {}.
//
// Where the header would be longer than MaxHeader, the list of what was redacted
// gives way, half by half.
func (e Event) Encode() ([]byte, error) { return e.encodeTo(make([]byte, 0, e.room())) }

// room is how many bytes its element takes at most, but for what needs escaping
// and what was redacted.
func (e *Event) room() int {
	const names = 128 // with their quotes, and the time
	return names + len(e.ID) + len(e.Name) + len(e.User) + len(e.Resource) + len(e.URL) + len(e.Rule) + len(e.Omitted) + len(e.Parked) + len(e.Payload)
}

// encodeTo is Encode, in the memory of an empty slice where it has as much as is
// needed.
func (e *Event) encodeTo(element []byte) ([]byte, error) {
	if element, ok := e.encodePlain(element); ok {
		return element, nil
	}
	return e.encodeAny()
}

func (e *Event) encodeAny() ([]byte, error) {
	h := header{
		ID: e.ID, Name: e.Name, User: e.User, Resource: e.Resource, URL: e.URL, Time: e.Time.UnixMilli(),
		Rule: e.Rule, Omitted: e.Omitted, Redacted: e.Redacted, Parked: e.Parked,
	}
	var element bytes.Buffer
	for {
		writer := json.NewEncoder(&element)
		writer.SetEscapeHTML(false) // six bytes for one, and no HTML is near
		if err := writer.Encode(h); err != nil {
			return nil, fmt.Errorf("encode event %s: %w", e.ID, err)
		}
		if element.Len() <= MaxHeader || len(h.Redacted) == 0 {
			break
		}
		h.Redacted = h.Redacted[:len(h.Redacted)/2]
		element.Reset()
	}
	element.Write(e.Payload) // after the newline that Encode ends with
	return element.Bytes(), nil
}

// encodePlain is encodeTo without reflection, for an event of which nothing needs
// escaping and nothing was redacted.
func (e *Event) encodePlain(element []byte) (encoded []byte, ok bool) {
	if len(e.Redacted) > 0 {
		return nil, false
	}
	for _, field := range [...]struct{ before, value string }{
		{`{"id":"`, e.ID}, {`","event":"`, e.Name}, {`","user":"`, e.User}, {`","resource":"`, e.Resource}, {`","url":"`, e.URL},
	} {
		if field.value == "" && field.before[0] == '"' && field.before != `","event":"` {
			continue
		}
		if !IsPlain(field.value) {
			return nil, false
		}
		element = append(append(element, field.before...), field.value...)
	}
	element = strconv.AppendInt(append(element, `","at":`...), e.Time.UnixMilli(), 10)
	for _, field := range [...]struct{ before, value string }{
		{`,"rule":"`, e.Rule}, {`,"omitted":"`, e.Omitted}, {`,"parked":"`, e.Parked},
	} {
		if field.value == "" {
			continue
		}
		if !IsPlain(field.value) {
			return nil, false
		}
		element = append(append(append(element, field.before...), field.value...), '"')
	}
	element = append(element, '}', '\n')
	return append(element, e.Payload...), true
}

// IsPlain reports whether a string stands in JSON as it is.
func IsPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// Decode reads what Encode wrote. The payload aliases element. It answers
// ErrMalformed where the header cannot be read or lacks the id or the name.
func Decode(element []byte) (Event, error) {
	head, payload, found := bytes.Cut(element, []byte{'\n'})
	if !found {
		return Event{}, fmt.Errorf("%w: no newline after the header", ErrMalformed)
	}
	return DecodeParts(head, payload)
}

// DecodeParts reads an event whose header and payload are stored apart.
func DecodeParts(head, payload []byte) (Event, error) {
	var h header
	if err := json.Unmarshal(head, &h); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if h.ID == "" || h.Name == "" {
		return Event{}, fmt.Errorf("%w: the header lacks the id or the event name", ErrMalformed)
	}
	if len(payload) == 0 {
		payload = nil
	}
	return Event{
		ID: h.ID, Name: h.Name, User: h.User, Resource: h.Resource, URL: h.URL, Time: time.UnixMilli(h.Time).UTC(),
		Rule: h.Rule, Omitted: h.Omitted, Redacted: h.Redacted, Parked: h.Parked, Payload: payload,
	}, nil
}

package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/hookproxy/hookproxy/subscriptions"
)

// hook is the part of a REST Hooks body that tells about the delivery.
type hook struct {
	ID           string   `json:"id"`
	Event        string   `json:"event"`
	Target       string   `json:"target"`
	EventID      string   `json:"event_id,omitempty"` // in a batch, as the next one
	Sequence     int64    `json:"sequence,omitempty"`
	DataOmitted  string   `json:"data_omitted,omitempty"`
	DataRedacted []string `json:"data_redacted,omitempty"`
}

// payload answers the event's data, null where there is none.
func (d *delivery) payload() []byte {
	if len(d.event.Payload) == 0 {
		return []byte("null")
	}
	return d.event.Payload
}

// body writes what is posted. The payload is spliced in as the API wrote it:
// marshalling it again would change numbers, escapes and the order of keys.
//
//	resthooks    {"hook": {"id", "event", "target"}, "data": payload}
//	standard     {"type", "timestamp", "data": payload}
//	raw          payload
//	cloudevents  payload; the rest is in headers
//
// Without a payload its place is taken by null, and data_omitted says why. Where it
// is one of a batch, hook holds event_id and sequence too, and a standard body id.
func (d *delivery) body() ([]byte, error) {
	data, id, sequence := d.payload(), "", int64(0)
	if d.batch != "" {
		id, sequence = d.event.ID, d.sequence
	}
	switch d.format {
	case subscriptions.FormatRaw, subscriptions.FormatCloudEvents:
		return data, nil
	case subscriptions.FormatStandard:
		return splice(standard{
			ID: id, Type: d.event.Name, Timestamp: d.event.Time.UTC().Format(time.RFC3339Nano),
			DataOmitted: d.event.Omitted, DataRedacted: d.event.Redacted,
		}, data)
	}
	return splice(struct {
		Hook hook `json:"hook"`
	}{hook{
		ID: d.subscription, Event: d.event.Name, Target: d.target, EventID: id, Sequence: sequence,
		DataOmitted: d.event.Omitted, DataRedacted: d.event.Redacted,
	}}, data)
}

// standard is a Standard Webhooks payload but for its data.
type standard struct {
	ID           string   `json:"id,omitempty"` // in a batch
	Type         string   `json:"type"`
	Timestamp    string   `json:"timestamp"`
	DataOmitted  string   `json:"data_omitted,omitempty"`
	DataRedacted []string `json:"data_redacted,omitempty"`
}

// splice writes an object's fields and then data, as it is, as the last of them.
func splice(object any, data []byte) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(len(data) + 512)
	head := json.NewEncoder(&b)
	head.SetEscapeHTML(false) // a target's & shall read as the subscriber wrote it
	if err := head.Encode(object); err != nil {
		return nil, fmt.Errorf("encode the body: %w", err)
	}
	b.Truncate(b.Len() - len("}\n")) // Encode ends with a newline
	b.WriteString(`,"data":`)
	b.Write(data)
	b.WriteByte('}')
	return b.Bytes(), nil
}

// request builds the signed POST. Its errors do not show the target.
func (d *delivery) request(ctx context.Context, agent string, now time.Time) (*http.Request, error) {
	write := d.body
	if d.batch != "" {
		write = d.batchBody
	}
	body, err := write()
	if err != nil {
		return nil, err
	}
	req, err := newPost(ctx, d.target, body)
	if err != nil {
		return nil, err
	}
	timestamp := strconv.FormatInt(now.Unix(), 10)
	h := req.Header
	addHeaders(h, d.headers) // first: none takes the place of ours
	d.hookHeaders(h, agent, timestamp, body)
	switch {
	case d.batch != "":
		d.batchHeaders(h)
	case d.format == subscriptions.FormatCloudEvents:
		d.cloudEvent(h)
	}
	return req, nil
}

// hookHeaders adds what every delivery has. The values share one array, which takes
// less than one for each.
func (d *delivery) hookHeaders(h http.Header, agent, timestamp string, body []byte) {
	values := make([]string, 0, hookHeaders)
	set := func(name, value string) { // name is written as http.Header canonicalizes it
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	set("User-Agent", agent)
	set("X-Hook-Event", d.event.Name)
	set("X-Hook-Id", d.id())
	set("X-Hook-Subscription", d.subscription)
	set("X-Hook-Sequence", strconv.FormatInt(d.sequence, 10))
	set("X-Hook-Attempt", strconv.Itoa(d.tries+1))
	if d.symmetric() {
		set("X-Hook-Signature", hookSignature(d.secret, body))
		if d.previousSecret != "" {
			set("X-Hook-Signature-Previous", hookSignature(d.previousSecret, body))
		}
	}
	set("Webhook-Id", d.id())
	set("Webhook-Timestamp", timestamp)
	set("Webhook-Signature", d.signatures(timestamp, body))
}

// addHeaders puts a subscriber's own headers beside those that are there, which
// they cannot replace.
func addHeaders(h http.Header, own map[string]string) {
	for name, value := range own {
		if name = http.CanonicalHeaderKey(name); h[name] == nil {
			h[name] = []string{value}
		}
	}
}

// newPost builds a POST of JSON to a target. Its errors do not show the target.
func newPost(ctx context.Context, target string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return nil, errTarget
	}
	if (req.URL.Scheme != "http" && req.URL.Scheme != "https") || req.URL.Host == "" {
		return nil, errTarget
	}
	req.Header = make(http.Header, hookHeaders+2) // at once what it is to hold, as a rule
	req.Header["Content-Type"] = contentType
	// Nothing is sent for a header without values, but net/http takes the request
	// for idempotent and repeats it itself where a kept connection turns out to be
	// closed. That race is no failure of the target's, and webhook-id tells repeats.
	req.Header["Idempotency-Key"] = nil
	return req, nil
}

// hookHeaders is how many headers every delivery has, beside the type of its content.
const hookHeaders = 11

// contentType is shared by all requests; nothing changes it.
var contentType = []string{"application/json"}

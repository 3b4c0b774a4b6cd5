package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Formats of a delivery's body.
const (
	formatRESTHooks = "resthooks"
	formatRaw       = "raw"
)

// hook is the part of a REST Hooks body that tells about the delivery.
type hook struct {
	ID           string   `json:"id"`
	Event        string   `json:"event"`
	Target       string   `json:"target"`
	DataOmitted  string   `json:"data_omitted,omitempty"`
	DataRedacted []string `json:"data_redacted,omitempty"`
}

// body writes what is posted. The payload is spliced in as the API wrote it:
// marshalling it again would change numbers, escapes and the order of keys.
//
//	resthooks  {"hook": {"id", "event", "target"}, "data": payload}
//	raw        payload
//
// Without a payload its place is taken by null, and data_omitted says why.
func (d *delivery) body() ([]byte, error) {
	data := d.event.Payload
	if len(data) == 0 {
		data = []byte("null")
	}
	if d.format == formatRaw {
		return data, nil
	}
	var b bytes.Buffer
	b.Grow(len(data) + 256 + len(d.target))
	b.WriteString(`{"hook":`)
	head := json.NewEncoder(&b)
	head.SetEscapeHTML(false) // a target's & shall read as the subscriber wrote it
	err := head.Encode(hook{
		ID: d.subscription, Event: d.event.Name, Target: d.target,
		DataOmitted: d.event.Omitted, DataRedacted: d.event.Redacted,
	})
	if err != nil {
		return nil, fmt.Errorf("encode the hook: %w", err)
	}
	b.Truncate(b.Len() - 1) // Encode ends with a newline
	b.WriteString(`,"data":`)
	b.Write(data)
	b.WriteByte('}')
	return b.Bytes(), nil
}

// request builds the signed POST. Its errors do not show the target.
func (d *delivery) request(ctx context.Context, agent string, now time.Time) (*http.Request, error) {
	body, err := d.body()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.target, bytes.NewReader(body))
	if err != nil {
		return nil, errTarget
	}
	if (req.URL.Scheme != "http" && req.URL.Scheme != "https") || req.URL.Host == "" {
		return nil, errTarget
	}
	timestamp := strconv.FormatInt(now.Unix(), 10)
	h := req.Header
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", agent)
	h.Set("X-Hook-Event", d.event.Name)
	h.Set("X-Hook-Id", d.event.ID)
	h.Set("X-Hook-Subscription", d.subscription)
	h.Set("X-Hook-Sequence", strconv.FormatInt(d.sequence, 10))
	h.Set("X-Hook-Attempt", strconv.Itoa(d.tries+1))
	h.Set("X-Hook-Signature", hookSignature(d.secret, body))
	h.Set("Webhook-Id", d.event.ID)
	h.Set("Webhook-Timestamp", timestamp)
	h.Set("Webhook-Signature", standardSignature(d.secret, d.event.ID, timestamp, body))
	// Nothing is sent for a header without values, but net/http takes the request
	// for idempotent and repeats it itself where a kept connection turns out to be
	// closed. That race is no failure of the target's, and webhook-id tells repeats.
	h["Idempotency-Key"] = nil
	return req, nil
}

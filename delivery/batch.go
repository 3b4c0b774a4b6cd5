package delivery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/subscriptions"
)

// batchEvent is what X-Hook-Event says of a batch, whose events may be of many names.
const batchEvent = "hook.batch"

// rider is one of a batch's events but for the first.
type rider struct {
	event    events.Event
	sequence int64
}

// readBatch reads {name, and of each rider event, sequence, and how it is stored}.
func (d *delivery) readBatch(row any) error {
	values, ok := row.([]any)
	if !ok || len(values)%3 != 1 {
		return fmt.Errorf("%w: a batch, but got %T", errAnswer, row)
	}
	text, err := texts(row, len(values))
	if err != nil {
		return err
	}
	d.batch = text[0]
	for r := text[1:]; len(r) > 0; r = r[3:] {
		sequence, err := strconv.ParseInt(r[1], 10, 64)
		if err != nil {
			return fmt.Errorf("%w: sequence %q", errAnswer, r[1])
		}
		e, unreadable := events.DecodeStored(r[0], []byte(r[2]))
		if d.skinny {
			e = skinny(e)
		}
		d.unreadable = errors.Join(d.unreadable, unreadable)
		d.riders = append(d.riders, rider{e, sequence})
	}
	return nil
}

// id is what names what is posted: the event, or the batch. It is the same at each
// attempt.
func (d *delivery) id() string {
	if d.batch != "" {
		return d.batch
	}
	return d.event.ID
}

// events answers how many are posted at once.
func (d *delivery) events() int { return 1 + len(d.riders) }

// each calls do with every event of a batch, as a delivery of its own.
func (d *delivery) each(do func(*delivery) error) error {
	one := *d
	if err := do(&one); err != nil {
		return err
	}
	for _, r := range d.riders {
		one.event, one.sequence = r.event, r.sequence
		if err := do(&one); err != nil {
			return err
		}
	}
	return nil
}

// batchBody writes an array of what the events' own bodies would be. Where a body
// has room for them, it also says the event's id and its sequence, by which a
// receiver knows an event that comes again in another batch; and of CloudEvents it
// holds the attributes too (JSON batch format, CloudEvents 1.0 JSON format §4).
func (d *delivery) batchBody() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('[')
	err := d.each(func(one *delivery) error {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		body, err := one.body()
		if one.format == subscriptions.FormatCloudEvents {
			body, err = one.structured()
		}
		b.Write(body)
		return err
	})
	b.WriteByte(']')
	return b.Bytes(), err
}

// batchHeaders say that there are several events. X-Hook-Sequence is the first's.
func (d *delivery) batchHeaders(h http.Header) {
	h["X-Hook-Event"] = []string{batchEvent}
	h["X-Hook-Count"] = []string{strconv.Itoa(d.events())}
	if d.format == subscriptions.FormatCloudEvents {
		h["Content-Type"] = []string{"application/cloudevents-batch+json"}
	}
}

// structured writes a CloudEvent, attributes and all, as one JSON object.
func (d *delivery) structured() ([]byte, error) {
	return splice(struct {
		SpecVersion string `json:"specversion"`
		ID          string `json:"id"`
		Source      string `json:"source"`
		Type        string `json:"type"`
		Time        string `json:"time"`
		Subject     string `json:"subject,omitempty"`
		ContentType string `json:"datacontenttype"`
		DataOmitted string `json:"dataomitted,omitempty"`
	}{
		"1.0", d.event.ID, cloudEventSource, d.event.Name, d.event.Time.UTC().Format(time.RFC3339Nano), d.event.Resource,
		contentType[0], d.event.Omitted,
	}, d.payload())
}

// roll answers what the log of attempts keeps of a batch; "" where there is none.
func (d *delivery) roll() string {
	if d.batch == "" {
		return ""
	}
	batch := subscriptions.AttemptBatch{ID: d.batch}
	_ = d.each(func(one *delivery) error { // which never fails
		batch.Events = append(batch.Events, subscriptions.AttemptEvent{EventID: one.event.ID, Event: one.event.Name, Sequence: one.sequence})
		return nil
	})
	text, _ := json.Marshal(batch) // texts and numbers always encode
	return string(text)
}

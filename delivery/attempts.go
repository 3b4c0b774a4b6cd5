package delivery

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/subscriptions"
)

// attemptsRead bounds how many attempts one look reads. Streams are capped near
// attemptsKept.
const attemptsRead = 1000

// Attempts answers the last attempts of a subscription, newest first.
func (o *Operations) Attempts(ctx context.Context, subscription string, q subscriptions.AttemptQuery) (list []subscriptions.Attempt, more bool, err error) {
	lane, err := o.lane(subscription)
	if err != nil {
		return nil, false, err
	}
	newest := "+"
	if q.Before != "" {
		newest = "(" + q.Before
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	entries, err := o.client.XRevRangeN(ctx, lane.Attempts(subscription), newest, "-", attemptsRead).Result()
	if err != nil {
		return nil, false, unavailable("attempts", err)
	}
	for _, entry := range entries {
		a := readAttempt(entry)
		if q.Outcome != "" && q.Outcome != a.Outcome || !isAbout(a, q.Event) {
			continue
		}
		if len(list) == q.Limit {
			return list, true, nil
		}
		list = append(list, a)
	}
	return list, false, nil
}

// isAbout tells whether an attempt was at an event with this name or id, or one that
// a pattern covers; where none is asked for, each is.
func isAbout(a subscriptions.Attempt, event string) bool {
	is := func(id, name string) bool { return event == "" || event == id || subscriptions.Covers(event, name) }
	if is(a.EventID, a.Event) || a.Batch == nil {
		return is(a.EventID, a.Event)
	}
	return slices.ContainsFunc(a.Batch.Events, func(e subscriptions.AttemptEvent) bool { return is(e.EventID, e.Event) })
}

// remembered answers an attempt as the log of them has it: one JSON array, since Redis
// takes a field of its own for each part several times as long to write down.
//
//	[event, name, sequence, attempt, outcome, status, ms, error, head, batch]
//
// What is empty at the end is left out.
func (f *finished) remembered() []byte {
	d := f.delivery
	b := appendText(append(make([]byte, 0, 128), '['), d.event.ID)
	b = appendText(append(b, ','), d.event.Name)
	b = strconv.AppendInt(append(b, ','), d.sequence, 10)
	b = strconv.AppendInt(append(b, ','), int64(d.tries+1), 10)
	b = appendText(append(b, ','), string(f.step))
	b = strconv.AppendInt(append(b, ','), int64(f.status), 10)
	b = strconv.AppendInt(append(b, ','), f.took.Milliseconds(), 10)
	rest := [...]string{f.class, f.head, d.roll()}
	most := len(rest)
	for most > 0 && rest[most-1] == "" {
		most--
	}
	for _, text := range rest[:most] {
		b = appendText(append(b, ','), text)
	}
	return append(b, ']')
}

// appendText appends a text as JSON.
func appendText(b []byte, text string) []byte {
	if !events.IsPlain(text) {
		quoted, _ := json.Marshal(text) // a text always encodes
		return append(b, quoted...)
	}
	return append(append(append(b, '"'), text...), '"')
}

// readAttempt reads what finish.lua recorded. What is missing or not as expected is
// left at zero: this is for people to look at.
func readAttempt(entry redis.XMessage) subscriptions.Attempt {
	text, one := entry.Values["is"].(string)
	if !one {
		return readFields(entry)
	}
	at, _ := entry.Values["at"].(string)
	ms, _ := strconv.ParseInt(at, 10, 64)
	a := subscriptions.Attempt{Cursor: entry.ID, At: time.UnixMilli(ms).UTC()}
	var batch string
	parts := []any{&a.EventID, &a.Event, &a.Sequence, &a.Attempt, &a.Outcome, &a.Status, &a.DurationMS, &a.Error, &a.Response, &batch}
	_ = json.Unmarshal([]byte(text), &parts)
	if batch != "" {
		a.Batch = new(subscriptions.AttemptBatch)
		_ = json.Unmarshal([]byte(batch), a.Batch)
	}
	return a
}

// readFields reads an attempt of which each part is a field, as they were recorded
// before remembered. They go as others come.
func readFields(entry redis.XMessage) subscriptions.Attempt {
	field := func(name string) string {
		text, _ := entry.Values[name].(string)
		return text
	}
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(field(name), 10, 64)
		return n
	}
	var batch *subscriptions.AttemptBatch
	if text := field("batch"); text != "" {
		batch = new(subscriptions.AttemptBatch)
		_ = json.Unmarshal([]byte(text), batch)
	}
	return subscriptions.Attempt{
		Batch: batch, Cursor: entry.ID, At: time.UnixMilli(number("at")).UTC(), EventID: field("event"), Event: field("name"), Sequence: number("seq"),
		Attempt: int(number("attempt")), Outcome: field("outcome"), Status: int(number("status")), DurationMS: number("ms"),
		Error: field("error"), Response: field("head"),
	}
}

package delivery

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

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

// readAttempt reads what finish.lua recorded. A field that is missing or no number
// is left at zero: this is for people to look at.
func readAttempt(entry redis.XMessage) subscriptions.Attempt {
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

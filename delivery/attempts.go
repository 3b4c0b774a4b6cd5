package delivery

import (
	"context"
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
		if q.Outcome != "" && q.Outcome != a.Outcome || q.Event != "" && q.Event != a.EventID && !subscriptions.Covers(q.Event, a.Event) {
			continue
		}
		if len(list) == q.Limit {
			return list, true, nil
		}
		list = append(list, a)
	}
	return list, false, nil
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
	return subscriptions.Attempt{
		Cursor: entry.ID, At: time.UnixMilli(number("at")).UTC(), EventID: field("event"), Event: field("name"), Sequence: number("seq"),
		Attempt: int(number("attempt")), Outcome: field("outcome"), Status: int(number("status")), DurationMS: number("ms"),
		Error: field("error"), Response: field("head"),
	}
}

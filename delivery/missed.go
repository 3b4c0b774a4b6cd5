package delivery

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/subscriptions"
)

var (
	//go:embed missed.lua
	missedLua string
	//go:embed drop.lua
	dropLua string

	missedScript = layout.NewScript(missedLua)
	dropScript   = layout.NewScript(dropLua)
)

const (
	// missedBytes is how much payload a page holds, but for its last event's.
	missedBytes = 4 << 20
	// dropChunk bounds what one script call lets go of, dropCalls how many of
	// those one request makes.
	dropChunk = 500
	dropCalls = 20
)

// Missed answers what a subscription has not had delivered, by sequence.
func (o *Operations) Missed(ctx context.Context, subscription string, q subscriptions.MissedQuery) (subscriptions.MissedPage, error) {
	lane, err := o.lane(subscription)
	if err != nil {
		return subscriptions.MissedPage{}, err
	}
	payload := 0
	if q.Data {
		payload = missedBytes
	}
	rows, err := o.run(ctx, missedScript, lane, subscription, q.After, q.Limit, payload, q.Dead).Slice()
	if err != nil {
		return subscriptions.MissedPage{}, unavailable("missed", err)
	}
	return readMissed(rows)
}

// readMissed reads missed.lua's answer.
func readMissed(rows []any) (page subscriptions.MissedPage, err error) {
	if len(rows) < 3 {
		return page, fmt.Errorf("%w: what was missed", errAnswer)
	}
	more, _ := rows[0].(int64)
	looked, _ := rows[1].(string)
	resting, _ := rows[2].(int64)
	page.Resting = resting == 1
	if more == 1 {
		if page.Next, err = strconv.ParseInt(looked, 10, 64); err != nil {
			return page, fmt.Errorf("%w: sequence %q", errAnswer, looked)
		}
	}
	for _, row := range rows[3:] {
		text, err := texts(row, 6)
		if err != nil {
			return page, err
		}
		page.List = append(page.List, readOneMissed(text))
	}
	return page, nil
}

// readOneMissed reads {event, sequence, attempts, state, ms, event}.
func readOneMissed(text []string) subscriptions.Missed {
	m := subscriptions.Missed{EventID: text[0], State: text[3]}
	m.Sequence, _ = strconv.ParseInt(text[1], 10, 64)
	m.Attempts, _ = strconv.Atoi(text[2])
	if ms, _ := strconv.ParseFloat(text[4], 64); ms > 0 {
		at := time.UnixMilli(int64(ms)).UTC()
		if m.State == subscriptions.MissedDead {
			m.GivenUpAt = at
		} else {
			m.NextAttemptAt = at
		}
	}
	e, err := events.DecodeStored(text[0], []byte(text[5]))
	if err != nil {
		m.DataOmitted = classUnreadable
		return m
	}
	m.Event, m.OccurredAt, m.DataOmitted, m.DataRedacted = e.Name, e.Time, e.Omitted, e.Redacted
	if json.Valid(e.Payload) {
		m.Data = e.Payload
	}
	return m
}

// texts reads a row of so many strings.
func texts(row any, count int) ([]string, error) {
	values, ok := row.([]any)
	if !ok || len(values) != count {
		return nil, fmt.Errorf("%w: a row of %d, but got %T", errAnswer, count, row)
	}
	text := make([]string, count)
	for i, v := range values {
		if text[i], ok = v.(string); !ok {
			return nil, fmt.Errorf("%w: a string, but got %T", errAnswer, v)
		}
	}
	return text, nil
}

// Acknowledge lets go of what a subscription has not had delivered, up to a
// sequence.
func (o *Operations) Acknowledge(ctx context.Context, subscription string, through int64) (count int64, more bool, err error) {
	return o.drop(ctx, subscription, "all", strconv.FormatInt(through, 10), "")
}

// What Drop lets go of.
const (
	// DropWaiting: what was never tried, or is to be tried again.
	DropWaiting = "waiting"
	// DropDead: dead letters.
	DropDead = "dead"
)

// Drop lets go of deliveries of a subscription, of one of the Drop… kinds, or of
// the one event alone if that is not empty. What is in flight stays. It answers how
// many it let go of, and whether there may be more, for which it is to be called
// again.
func (o *Operations) Drop(ctx context.Context, subscription, kind, event string) (count int64, more bool, err error) {
	return o.drop(ctx, subscription, kind, "", event)
}

func (o *Operations) drop(ctx context.Context, subscription, kind, through, event string) (count int64, more bool, err error) {
	lane, err := o.lane(subscription)
	if err != nil {
		return 0, false, err
	}
	for range dropCalls {
		n, err := o.run(ctx, dropScript, lane, subscription, kind, through, event, dropChunk).Int64Slice()
		if err != nil {
			return count, true, unavailable("drop", err)
		}
		if count += n[0]; n[1] == 0 {
			return count, false, nil
		}
	}
	return count, true, nil
}

// DeadLetter answers one dead letter, payload and all, or
// subscriptions.ErrNotFound.
func (o *Operations) DeadLetter(ctx context.Context, subscription, event string) (subscriptions.Missed, error) {
	lane, err := o.lane(subscription)
	if err != nil {
		return subscriptions.Missed{}, err
	}
	bound, cancel := bounded(ctx)
	defer cancel()
	score, err := o.client.ZScore(bound, lane.Tries(subscription), event).Result()
	if isNil(err) {
		return subscriptions.Missed{}, subscriptions.ErrNotFound
	}
	if err != nil {
		return subscriptions.Missed{}, unavailable("dead letter", err)
	}
	page, err := o.Missed(ctx, subscription, subscriptions.MissedQuery{After: int64(score) - 1, Limit: 1, Data: true, Dead: true})
	if err != nil {
		return subscriptions.Missed{}, err
	}
	if len(page.List) == 0 || page.List[0].EventID != event {
		return subscriptions.Missed{}, subscriptions.ErrNotFound
	}
	return page.List[0], nil
}

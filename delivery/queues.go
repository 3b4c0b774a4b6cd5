package delivery

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/internal/layout"
)

// Queue is what stands between one subscription and its target.
type Queue struct {
	Subscription string `json:"subscription"`
	// Waiting were never tried, Retrying are tried again, InFlight are being tried
	// now, and Dead were given up.
	Waiting  int64 `json:"waiting"`
	Retrying int64 `json:"retrying"`
	InFlight int64 `json:"in_flight"`
	Dead     int64 `json:"dead"`
	// Debounced wait for a later event of their name and resource. They have no
	// sequence yet.
	Debounced int64 `json:"debounced,omitempty"`
	// Batched go along in a batch with one of the others, waiting, retrying or in
	// flight, of which a batch counts as one.
	Batched int64 `json:"batched,omitempty"`
	// Oldest is when the oldest event occurred that waits, is to be tried again or
	// was given up.
	Oldest time.Time `json:"oldest,omitzero"`
	// Sequence is the last number that was given to a delivery.
	Sequence int64 `json:"sequence"`
	// Dropped were lost because too many waited, Expired were dead for too long.
	Dropped int64 `json:"dropped"`
	Expired int64 `json:"expired"`
	// Replaced gave way to later events, by debounce.
	Replaced int64 `json:"replaced,omitempty"`
	Failure
}

// Failure is how a subscription's target fails.
type Failure struct {
	// Failures in a row, since FailingSince.
	Failures     int64     `json:"failures"`
	FailingSince time.Time `json:"failing_since,omitzero"`
	// LastAttemptAt, LastStatus and LastError are of the last attempt.
	LastAttemptAt time.Time `json:"last_attempt_at,omitzero"`
	LastStatus    int64     `json:"last_status,omitempty"`
	LastError     string    `json:"last_error,omitempty"`
	// RestsUntil is before when nothing is sent: the breaker is open, the target
	// asked for a pause, or the rate is used up.
	RestsUntil time.Time `json:"rests_until,omitzero"`
	// Breaker is closed, open, or half_open while it lets few through.
	Breaker string `json:"breaker"`
	// BreakerTrips counts how often it opened since it was closed.
	BreakerTrips int64 `json:"breaker_trips,omitempty"`
}

// queueFields are what delivery keeps in a subscription's HASH.
var queueFields = []string{
	"seq", "dropped", "expired", "failures", "failing_since", "last_at", "last_status", "last_error", "resume_at", "open_until", "ramp", "trips", "replaced",
}

// queueReading is what one pipeline asks of a subscription.
type queueReading struct {
	waiting, retrying, dead, debounced, batched *redis.IntCmd
	inFlight                                    *redis.StringCmd
	fields                                      *redis.SliceCmd
	first, failed                               *redis.StringSliceCmd
	// events are what came first, oldest how each is stored.
	events []string
	oldest []*redis.StringCmd
}

// Queues answers the queues of some subscriptions, in their order. One of a
// subscription that is gone is empty.
func (o *Operations) Queues(ctx context.Context, ids ...string) ([]Queue, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	readings := make([]queueReading, len(ids))
	now := &redis.TimeCmd{}
	read := func(p redis.Pipeliner) error {
		for i, id := range ids {
			if lane, err := o.lane(id); err == nil {
				readings[i].ask(ctx, p, lane, id)
			}
		}
		now = p.Time(ctx)
		return nil
	}
	if _, err := o.client.Pipelined(ctx, read); err != nil && !isNil(err) {
		return nil, unavailable("queues", err)
	}
	if err := o.readOldest(ctx, ids, readings); err != nil {
		return nil, err
	}
	queues := make([]Queue, len(ids))
	for i, id := range ids {
		queues[i] = readings[i].answer(id, now.Val().Add(time.Duration(o.offset())*time.Millisecond))
	}
	return queues, nil
}

// isNil tells whether a pipeline met nothing worse than a value that is not there.
func isNil(err error) bool { return errors.Is(err, redis.Nil) }

func (q *queueReading) ask(ctx context.Context, p redis.Pipeliner, lane layout.Lane, id string) {
	q.waiting, q.retrying, q.dead = p.ZCard(ctx, lane.Queue(id)), p.ZCard(ctx, lane.Retry(id)), p.ZCard(ctx, lane.Dead(id))
	q.debounced, q.batched = p.ZCard(ctx, lane.Windows(id)), p.ZCard(ctx, lane.Riders(id))
	q.inFlight, q.fields = p.HGet(ctx, lane.InFlight(), id), p.HMGet(ctx, lane.Subscription(id), queueFields...)
	q.first, q.failed = p.ZRange(ctx, lane.Queue(id), 0, 0), p.ZRange(ctx, lane.Tries(id), 0, 0)
}

// readOldest reads the headers of what came first, among what was tried and what
// was not.
func (o *Operations) readOldest(ctx context.Context, ids []string, readings []queueReading) error {
	_, err := o.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			lane, err := o.lane(id)
			if err != nil {
				continue
			}
			for _, event := range append(readings[i].first.Val(), readings[i].failed.Val()...) {
				readings[i].events = append(readings[i].events, event)
				readings[i].oldest = append(readings[i].oldest, p.HGet(ctx, lane.Stored(), event))
			}
		}
		return nil
	})
	if err != nil && !isNil(err) {
		return unavailable("queues", err)
	}
	return nil
}

func (q *queueReading) answer(id string, now time.Time) Queue {
	if q.fields == nil {
		return Queue{Subscription: id, Failure: Failure{Breaker: "closed"}}
	}
	fields := map[string]string{}
	for i, value := range q.fields.Val() {
		fields[queueFields[i]], _ = value.(string)
	}
	number := func(name string) int64 {
		n, _ := strconv.ParseFloat(fields[name], 64) // scripts write times as they are
		return int64(n)
	}
	moment := func(name string) time.Time {
		if ms := number(name); ms > 0 {
			return time.UnixMilli(ms).UTC()
		}
		return time.Time{}
	}
	inFlight, _ := q.inFlight.Int64()
	answer := Queue{
		Subscription: id, Waiting: q.waiting.Val(), Retrying: q.retrying.Val(), InFlight: inFlight, Dead: q.dead.Val(),
		Debounced: q.debounced.Val(), Batched: q.batched.Val(), Replaced: number("replaced"), Sequence: number("seq"), Dropped: number("dropped"), Expired: number("expired"),
		Failure: Failure{
			Failures: number("failures"), FailingSince: moment("failing_since"), LastAttemptAt: moment("last_at"), LastStatus: number("last_status"),
			LastError: fields["last_error"], Breaker: "closed", BreakerTrips: number("trips"),
		},
	}
	if until := moment("resume_at"); until.After(now) {
		answer.RestsUntil = until
	}
	switch {
	case moment("open_until").After(now):
		answer.Breaker = "open"
	case number("ramp") > 0:
		answer.Breaker = "half_open"
	}
	for i, stored := range q.oldest {
		e, err := events.DecodeStored(q.events[i], []byte(stored.Val()))
		if err == nil && (answer.Oldest.IsZero() || e.Time.Before(answer.Oldest)) {
			answer.Oldest = e.Time
		}
	}
	return answer
}

// deadLimit bounds how many subscriptions with dead letters a lane tells of.
const deadLimit = 10_000

// WithDead answers the ids of the subscriptions that have dead letters; of more than
// deadLimit in a lane, those whose dead letters are the oldest.
func (o *Operations) WithDead(ctx context.Context) ([]string, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var all []string
	for _, lane := range o.layout.All() {
		ids, err := o.client.ZRange(ctx, lane.Retained(), 0, deadLimit-1).Result()
		if err != nil {
			return nil, unavailable("dead letters", err)
		}
		all = append(all, ids...)
	}
	return all, nil
}

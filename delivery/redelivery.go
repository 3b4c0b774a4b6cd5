package delivery

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/subscriptions"
)

var (
	//go:embed job.lua
	jobLua string
	//go:embed cancel.lua
	cancelLua string

	jobScript    = layout.NewScript(jobLua)
	cancelScript = layout.NewScript(cancelLua)
)

const (
	// redeliveriesPerSubscription and redeliveriesPerLane bound how many
	// redeliveries there are: the first unfinished, the second of any state.
	redeliveriesPerSubscription = 10
	redeliveriesPerLane         = 10_000
	// MaxRedeliveryDelay is how far ahead a redelivery may be scheduled.
	MaxRedeliveryDelay = 30 * 24 * time.Hour
)

// ErrTooManyJobs says that there are as many redeliveries as are remembered.
var ErrTooManyJobs = errors.New("there are too many redeliveries of all subscriptions")

// What a redelivery is of, in job.lua's words.
const (
	ofEvent  = "event"
	ofMissed = "missed"
	ofRange  = "range"
)

// Redeliver begins a redelivery of what a subscription has not had delivered. It
// is carried out in bounded steps, by any process that delivers, from
// wanted.StartsAt on.
func (o *Operations) Redeliver(ctx context.Context, subscription string, wanted subscriptions.Redelivery) (subscriptions.Redelivery, error) {
	lane, err := o.lane(subscription)
	if err != nil {
		return subscriptions.Redelivery{}, err
	}
	made := ulid.Make()
	id := strconv.Itoa(lane.Number) + "-" + strings.ToLower(made.String())
	what, by := ofMissed, "owner"
	switch {
	case wanted.Event != "":
		what = ofEvent
	case !wanted.From.IsZero():
		what = ofRange
	}
	if wanted.Operator {
		by = "operator"
	}
	word, err := o.run(ctx, jobScript, lane, id, subscription, what, wanted.Event, milli(wanted.From), milli(wanted.To), milli(wanted.StartsAt),
		by, redeliveriesPerSubscription, redeliveriesPerLane, o.forgotten(lane, made)).Text()
	if err != nil {
		return subscriptions.Redelivery{}, unavailable("redeliver", err)
	}
	switch word {
	case "missing":
		return subscriptions.Redelivery{}, subscriptions.ErrNotFound
	case "not_kept":
		return subscriptions.Redelivery{}, subscriptions.ErrNotKept
	case "busy":
		return subscriptions.Redelivery{}, fmt.Errorf("%w: at most %d", subscriptions.ErrTooManyRedeliveries, redeliveriesPerSubscription)
	case "full":
		return subscriptions.Redelivery{}, fmt.Errorf("%w: at most %d", ErrTooManyJobs, redeliveriesPerLane)
	}
	return o.Redelivery(ctx, subscription, id)
}

// forgotten answers the lowest id of a redelivery that can still be under way or
// looked at.
func (o *Operations) forgotten(lane layout.Lane, now ulid.ULID) string {
	var first ulid.ULID
	oldest := ulid.Time(now.Time()).Add(-MaxRedeliveryDelay - 2*redeliveryKept)
	_ = first.SetTime(uint64(oldest.UnixMilli())) // only a time after the year 10889 is refused
	return strconv.Itoa(lane.Number) + "-" + strings.ToLower(first.String())
}

// milli writes a time as scripts take it, "" for none.
func milli(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMilli(), 10)
}

// Redelivery answers how far a redelivery is. Where subscription is empty it may be
// of any. It answers subscriptions.ErrNotFound where there is none, or no more.
func (o *Operations) Redelivery(ctx context.Context, subscription, id string) (subscriptions.Redelivery, error) {
	lane, err := o.lane(id)
	if err != nil {
		return subscriptions.Redelivery{}, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	job, err := o.client.HGetAll(ctx, lane.Redelivery(id)).Result()
	if err != nil {
		return subscriptions.Redelivery{}, unavailable("redelivery", err)
	}
	if job["id"] == "" || subscription != "" && job["subscription"] != subscription {
		return subscriptions.Redelivery{}, subscriptions.ErrNotFound
	}
	return o.progress(ctx, lane, job)
}

// progress reads what a job's HASH says, and counts what is still to be done: what
// it has put back, and what it has not looked at yet.
func (o *Operations) progress(ctx context.Context, lane layout.Lane, job map[string]string) (subscriptions.Redelivery, error) {
	r := subscriptions.Redelivery{
		ID: job["id"], Subscription: job["subscription"], Event: job["event"], Missed: job["what"] == ofMissed,
		Operator: job["by"] == "operator", State: job["state"],
	}
	for field, at := range map[string]*time.Time{
		"from": &r.From, "to": &r.To, "created_at": &r.CreatedAt, "starts_at": &r.StartsAt, "ended_at": &r.EndedAt,
	} {
		if ms, err := strconv.ParseInt(job[field], 10, 64); err == nil {
			*at = time.UnixMilli(ms).UTC()
		}
	}
	r.Done, _ = strconv.ParseInt(job["done"], 10, 64)
	r.Failed, _ = strconv.ParseInt(job["failed"], 10, 64)
	r.Total = r.Done
	if r.State == subscriptions.RedeliveryDone {
		return r, nil
	}
	cursor, _ := strconv.ParseInt(job["cursor"], 10, 64)
	through, _ := strconv.ParseInt(job["through"], 10, 64)
	var waiting, ahead *redis.IntCmd
	if _, err := o.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		waiting = p.HLen(ctx, lane.Redelivered(r.ID))
		ahead = p.ZCount(ctx, lane.Tries(r.Subscription), strconv.FormatInt(cursor+1, 10), "("+strconv.FormatInt(through+1, 10))
		return nil
	}); err != nil {
		return r, unavailable("redelivery", err)
	}
	r.Total += waiting.Val()
	switch {
	case job["scanned"] == "1":
	case job["what"] == ofEvent:
		r.Total++
	default:
		r.Total += ahead.Val()
	}
	return r, nil
}

// Cancel ends a redelivery; what it has put back already goes on. It answers
// subscriptions.ErrNotFound where there is none under way.
func (o *Operations) Cancel(ctx context.Context, id string) error {
	lane, err := o.lane(id)
	if err != nil {
		return err
	}
	cancelled, err := o.run(ctx, cancelScript, lane, id).Int()
	if err != nil {
		return unavailable("cancel", err)
	}
	if cancelled == 0 {
		return subscriptions.ErrNotFound
	}
	return nil
}

// Redeliveries answers redeliveries of all subscriptions, the newest first, behind
// the one with an id; begin with "". next is what to go on after, empty at the end.
func (o *Operations) Redeliveries(ctx context.Context, after string, limit int) (list []subscriptions.Redelivery, next string, err error) {
	ids, err := o.redeliveryIDs(ctx, after, limit+1)
	if err != nil {
		return nil, "", err
	}
	if len(ids) > limit {
		ids = ids[:limit]
		next = ids[limit-1]
	}
	for _, id := range ids {
		r, err := o.Redelivery(ctx, "", id)
		if errors.Is(err, subscriptions.ErrNotFound) {
			continue // forgotten since
		}
		if err != nil {
			return nil, "", err
		}
		list = append(list, r)
	}
	return list, next, nil
}

// redeliveryIDs merges the lanes' by when they were made, which an id says behind
// its lane.
func (o *Operations) redeliveryIDs(ctx context.Context, after string, limit int) ([]string, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	_, before, _ := strings.Cut(after, "-")
	results, err := o.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, lane := range o.layout.All() {
			newest := "+"
			if before != "" {
				newest = "(" + strconv.Itoa(lane.Number) + "-" + before
			}
			p.ZRevRangeByLex(ctx, lane.Redeliveries(), &redis.ZRangeBy{Min: "-", Max: newest, Count: int64(limit)})
		}
		return nil
	})
	if err != nil {
		return nil, unavailable("redeliveries", err)
	}
	var ids []string
	for _, result := range results {
		ids = append(ids, result.(*redis.StringSliceCmd).Val()...)
	}
	slices.SortFunc(ids, func(a, b string) int {
		_, a, _ = strings.Cut(a, "-")
		_, b, _ = strings.Cut(b, "-")
		return strings.Compare(b, a)
	})
	return ids[:min(limit, len(ids))], nil
}

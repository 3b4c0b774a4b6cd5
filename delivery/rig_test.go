package delivery

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/hookproxy/hookproxy/subscriptions"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is one lane of a Redis of the test's own, with a clock that can be moved.
type rig struct {
	testing.TB
	*queue
	server *redistest.Server
	moved  atomic.Int64
}

func newRig(t testing.TB, s *redistest.Server) *rig {
	t.Helper()
	r := &rig{TB: t, server: s}
	r.queue = &queue{
		client: s.Client, lane: layout.Layout{}.Lane(0), offset: r.moved.Load,
		leaseFor: leaseFor, cap: DefaultPerSubscription, breakAfter: DefaultBreakAfter, backlog: new(backlog),
		maxQueued: DefaultMaxQueued, retain: DefaultRetain,
	}
	r.backlog.keep(DefaultMaxBacklog, DefaultMaxKept)
	return r
}

// onEachRedis runs a test on a rig on every kind of Redis.
func onEachRedis(t *testing.T, test func(r *rig)) {
	t.Helper()
	redistest.Run(t, func(t *testing.T, s *redistest.Server) { test(newRig(t, s)) })
}

// pass moves the clock on.
func (r *rig) pass(d time.Duration) { r.moved.Add(d.Milliseconds()) }

// must ends the test for an error.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// subscribe stores a subscription, as the subscriptions package does, and
// answers its id.
func (r *rig) subscribe(name, event, target string) string {
	r.Helper()
	return r.subscribeUser(name, "42", event, target)
}

func (r *rig) subscribeUser(name, user, event, target string) string {
	r.Helper()
	id, ctx := "0-"+name, r.Context()
	pipe := r.client.TxPipeline()
	pipe.HSet(ctx, r.lane.Subscription(id), "id", id, "user", user, "event", event, "format", subscriptions.FormatRESTHooks,
		"target_url", target, "active", "1", "secret", testSecret, "created_at", 1, "updated_at", 1, "inactive_reason", "")
	pipe.SAdd(ctx, r.lane.Subscribers(event, user), id)
	pipe.SAdd(ctx, r.lane.Subscriptions(user), id)
	if _, err := pipe.Exec(ctx); err != nil {
		r.Fatalf("subscribe: %v", err)
	}
	return id
}

const testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

var (
	setActiveScript = layout.NewScript(`
redis.call('HSET', subscription_key(ARGV[1]), 'active', ARGV[2])
if place(ARGV[1], now(ARGV[3])) then wake() end`)
	deleteScript = layout.NewScript(`
local id = ARGV[1]
local s = redis.call('HMGET', subscription_key(id), 'event', 'user')
if not s[1] then return 0 end
redis.call('SREM', lane .. 'subscribers:' .. s[1] .. ':' .. s[2], id)
redis.call('SREM', lane .. 'subscriptions:' .. s[2], id)
redis.call('DEL', subscription_key(id))
redis.call('SADD', lane .. 'purge', id)
redis.call('ZREM', lane .. 'runnable', id)
redis.call('ZREM', lane .. 'waiting', id)
wake()
return 1`)
)

func (r *rig) setActive(id, active string) {
	r.Helper()
	if err := setActiveScript.Run(r.Context(), r.client, r.lane, id, active, r.offset()).Err(); err != nil && err.Error() != "redis: nil" {
		r.Fatalf("set active: %v", err)
	}
}

func (r *rig) remove(id string) {
	r.Helper()
	if err := deleteScript.Run(r.Context(), r.client, r.lane, id).Err(); err != nil {
		r.Fatalf("delete: %v", err)
	}
}

// event answers an event of user 42, whose id and payload hold its number.
func event(number int) events.Event {
	return events.Event{
		ID: fmt.Sprintf("e%d", number), Name: "contact.create", User: "42", Resource: strconv.Itoa(number),
		Time: time.Now(), Rule: "rules.yaml:1", Payload: fmt.Appendf(nil, `{"id":%d}`, number),
	}
}

// push puts events on the list, as a publisher does.
func (r *rig) push(batch ...events.Event) {
	r.Helper()
	for _, e := range batch {
		r.pushRaw(must(e.Encode()))
	}
}

func (r *rig) pushRaw(element []byte) {
	r.Helper()
	if err := r.client.LPush(r.Context(), r.lane.Events(), element).Err(); err != nil {
		r.Fatalf("push: %v", err)
	}
	if err := r.wake(r.Context()); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) pushMany(from, to int) {
	r.Helper()
	for i := from; i < to; i++ {
		r.push(event(i))
	}
}

// dispatchAll dispatches until the list is empty, and answers the sums.
func (r *rig) dispatchAll() dispatched {
	r.Helper()
	var sum dispatched
	for {
		d, err := r.dispatch(r.Context(), dispatchEvents)
		if err != nil {
			r.Fatal(err)
		}
		sum.events, sum.deliveries = sum.events+d.events, sum.deliveries+d.deliveries
		sum.duplicates, sum.parked, sum.dropped = sum.duplicates+d.duplicates, sum.parked+d.parked, sum.dropped+d.dropped
		sum.overflowed, sum.replaced = sum.overflowed+d.overflowed, sum.replaced+d.replaced
		if d.left == 0 {
			return sum
		}
	}
}

func (r *rig) take(want int) claimed {
	r.Helper()
	c, err := r.claim(r.Context(), want, want)
	if err != nil {
		r.Fatal(err)
	}
	return c
}

func (r *rig) takeOne() *delivery {
	r.Helper()
	c := r.take(1)
	if len(c.deliveries) != 1 {
		r.Fatalf("claimed %d deliveries, want 1", len(c.deliveries))
	}
	return c.deliveries[0]
}

// end finishes a delivery and answers what became of it.
func (r *rig) end(d *delivery, s step, after time.Duration) string {
	r.Helper()
	a := attempt{status: 200, after: after, took: time.Millisecond}
	if s != stepDelivered {
		a.status, a.class = 500, classHTTP5xx
	}
	results, err := r.finish(r.Context(), []finished{{attempt: a, delivery: d, step: s}})
	if err != nil {
		r.Fatal(err)
	}
	return results[0]
}

func (r *rig) field(id, name string) string {
	r.Helper()
	return r.client.HGet(r.Context(), r.lane.Subscription(id), name).Val()
}

// keys answers the lane's keys whose names begin so.
func (r *rig) keys(prefix string) []string {
	r.Helper()
	return must(r.client.Keys(r.Context(), r.lane.Prefix+prefix+"*").Result())
}

// stored answers how many events are kept for deliveries.
func (r *rig) stored() int {
	r.Helper()
	return int(r.client.HLen(r.Context(), r.lane.Stored()).Val())
}

// wantNothingLeft fails unless every event and every trace of a delivery is freed.
func (r *rig) wantNothingLeft() {
	r.Helper()
	for _, prefix := range []string{"stored", "shares", "broken", "heads:", "blocked:", "line:", "windows:", "latest:", "batches:", "riders:", "riding:", "marks:", "queue:", "retry:", "tries:", "leases", "inflight", "full", "runnable", "waiting", "retained", "events"} {
		if keys := r.keys(prefix); len(keys) > 0 {
			r.Errorf("left behind: %s", strings.Join(keys, " "))
		}
	}
}

func ids(deliveries []*delivery) string {
	var names []string
	for _, d := range deliveries {
		names = append(names, d.event.ID)
	}
	return strings.Join(names, " ")
}

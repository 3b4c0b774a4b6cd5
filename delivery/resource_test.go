package delivery

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/subscriptions"
)

func (r *rig) set(id string, fields ...any) {
	r.Helper()
	if err := r.client.HSet(r.Context(), r.lane.Subscription(id), fields...).Err(); err != nil {
		r.Fatal(err)
	}
}

// about answers an event about a resource.
func about(number int, resource string) events.Event {
	e := event(number)
	e.Resource = resource
	return e
}

func TestWhatIsAboutNothingGoesBehindWhatWaitsForItsResource(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		r.set(id, "ordered", "resource")
		r.push(about(1, "x"))
		r.dispatchAll()
		r.takeOne()
		r.push(about(2, "x"), about(3, "")) // one dispatch
		r.dispatchAll()
		if c := r.take(8).deliveries; ids(c) != "e3" {
			t.Fatalf("claimed %q while x is in flight", ids(c))
		}
	})
}

func TestARetryOfOneResourceHoldsUpThatResourceAlone(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		r.set(id, "ordered", "resource")
		r.push(about(1, "x"), about(2, "y"), about(3, "x"), about(4, "x"), about(5, ""), about(6, ""))
		r.dispatchAll()
		c := r.take(8).deliveries
		if ids(c) != "e1 e2 e5 e6" {
			t.Fatalf("claimed %s; what is about nothing has no order", ids(c))
		}
		r.end(c[0], stepRetry, time.Minute)
		for _, d := range c[1:] {
			r.end(d, stepDelivered, 0)
		}
		r.push(about(7, "y"))
		r.dispatchAll()
		if c = r.take(8).deliveries; ids(c) != "e7" {
			t.Fatalf("claimed %s while x waits for its retry", ids(c))
		}
		r.end(c[0], stepDelivered, 0)
		r.pass(61 * time.Second)
		for _, want := range []string{"e1", "e3", "e4"} {
			if c = r.take(8).deliveries; ids(c) != want {
				t.Fatalf("claimed %s, want %s", ids(c), want)
			}
			r.pass(leaseFor + time.Second) // its holder dies
			if c = r.take(8).deliveries; ids(c) != want {
				t.Fatalf("after the lapse %s, want %s", ids(c), want)
			}
			r.end(c[0], stepDelivered, 0)
		}
		r.wantNothingLeft()
	})
}

func TestWhatIsBlockedHidesNothingThatIsNot(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.set(r.subscribe("a", "contact.create", "http://a"), "ordered", "resource")
		r.push(about(1, "x"))
		r.dispatchAll()
		r.end(r.takeOne(), stepRetry, time.Hour)
		r.push(about(2, "x"), about(3, "y")) // the first is blocked, in the same call
		r.dispatchAll()
		if got := ids(r.take(8).deliveries); got != "e3" {
			t.Errorf("claimed %q, want e3", got)
		}
	})
}

func TestTenThousandBlockedDeliveriesCostAClaimNothing(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		r.set(id, "ordered", "resource")
		// The newest first, from the right: miniredis moves all of a list for each
		// element that is put before it.
		elements := []any{must(about(10_000, "cool").Encode())}
		for i := range 10_000 {
			elements = append(elements, must(about(9_999-i, "hot").Encode()))
		}
		must(r.client.RPush(r.Context(), r.lane.Events(), elements...).Result())
		r.dispatchAll()
		if n := r.client.ZCard(r.Context(), r.lane.Queue(id)).Val(); n != 2 {
			t.Errorf("%d deliveries stand where a claim looks, want the two heads", n)
		}
		if got := ids(r.take(8).deliveries); got != "e0 e10000" {
			t.Errorf("claimed %s", got)
		}
	})
}

func TestABacklogGetsInLineOnceOrderByResourceIsAskedFor(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		for i := range 300 {
			r.push(about(i, fmt.Sprint(i%2)))
		}
		r.dispatchAll()
		r.set(id, "ordered", "resource")
		last := map[string]int64{}
		for n := 0; n < 300; {
			c := r.take(8).deliveries
			if len(c) > 2 {
				t.Fatalf("%d are in flight, of two resources", len(c))
			}
			for _, d := range c {
				if d.sequence < last[d.event.Resource] {
					t.Fatalf("%d of %s comes after %d", d.sequence, d.event.Resource, last[d.event.Resource])
				}
				last[d.event.Resource] = d.sequence
				r.end(d, stepDelivered, 0)
				n++
			}
			if n == 100 { // and strictly, from here on
				r.set(id, "ordered", "1")
			}
		}
		r.wantNothingLeft()
	})
}

func TestADeletedSubscriptionLeavesNoLines(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		r.set(id, "ordered", "resource")
		for i := range 50 {
			r.push(about(i, fmt.Sprint(i%20)))
		}
		r.dispatchAll()
		r.remove(id)
		for must(r.purge(r.Context())) > 0 {
		}
		r.wantNothingLeft()
		if keys := append(r.keys("line:"), append(r.keys("heads:"), r.keys("blocked:")...)...); len(keys) > 0 {
			t.Errorf("left behind: %v", keys)
		}
	})
}

func TestWhatIsBlockedIsMissedDroppedAndTrimmedLikeTheRest(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		r.set(id, "ordered", "resource")
		r.push(about(1, "x"), about(2, "x"), about(3, "x"), about(4, "x"))
		r.dispatchAll()
		if page, err := r.operations().Missed(r.Context(), id, subscriptions.MissedQuery{Limit: 10}); err != nil || len(page.List) != 4 {
			t.Fatalf("missed are %+v, %v", page.List, err)
		}
		for _, event := range []string{"e1", "e3"} { // the head, and one behind it
			if n, _, err := r.operations().Drop(r.Context(), id, DropWaiting, event); n != 1 || err != nil {
				t.Fatalf("dropped %d of %s, %v", n, event, err)
			}
		}
		head := r.takeOne()
		if head.event.ID != "e2" {
			t.Fatalf("claimed %s, want e2", head.event.ID)
		}
		r.end(head, stepDead, 0)
		r.setActive(id, "0")
		r.backlog.most.Store(2)
		r.push(about(5, "x"), about(6, "x"))
		if d := r.dispatchAll(); d.dropped != 1 {
			t.Fatalf("dispatched %+v, want the oldest dropped", d)
		}
		r.setActive(id, "1")
		for _, want := range []string{"e5", "e6"} {
			d := r.takeOne()
			if d.event.ID != want {
				t.Fatalf("claimed %s, want %s", d.event.ID, want)
			}
			r.end(d, stepDelivered, 0)
		}
		if n := r.client.ZRangeByScore(r.Context(), r.lane.Blocked(id), &redis.ZRangeBy{Min: "-inf", Max: "+inf"}).Val(); len(n) > 0 {
			t.Errorf("%v are blocked by nothing", n)
		}
	})
}

// What was in flight, had failed or was queued when the order was asked for is not
// waited for: it may come after something newer, but holds up nothing out of turn.
func TestOrderByResourceHoldsForWhatComesOnceItIsAskedFor(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		r.push(about(1, "x"), about(2, "x"), about(3, "x"))
		r.dispatchAll()
		before := r.take(2).deliveries
		r.end(before[0], stepRetry, time.Second)
		r.set(id, "ordered", "resource")
		r.push(about(4, "x"), about(5, "x"), about(6, "x"))
		r.dispatchAll()
		head := r.take(8).deliveries
		if ids(head) != "e4" {
			t.Fatalf("claimed %s, want the first from the switch on", ids(head))
		}
		r.end(before[1], stepRetry, time.Second) // while e4 is in flight
		r.pass(2 * time.Second)
		for _, want := range []string{"e1", "e2", "e3", "e5", "e6"} {
			if c := r.take(8).deliveries; len(c) > 0 {
				t.Fatalf("claimed %s beside %s", ids(c), ids(head))
			}
			r.end(head[0], stepDelivered, 0)
			if head = r.take(8).deliveries; ids(head) != want {
				t.Fatalf("claimed %s, want %s", ids(head), want)
			}
		}
		r.end(head[0], stepDelivered, 0)
		r.wantNothingLeft()
	})
}

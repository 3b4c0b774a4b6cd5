package delivery

import (
	"testing"
	"time"
)

func (r *rig) subscribeOrdered(name string) string {
	r.Helper()
	id := r.subscribe(name, "contact.create", "http://"+name)
	r.client.HSet(r.Context(), r.lane.Subscription(id), "ordered", "1")
	return id
}

func TestAnOrderedSubscriptionIsServedStrictlyInSequence(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.subscribeOrdered("a")
		r.pushMany(1, 5)
		r.dispatchAll()
		first := r.takeOne()
		if c := r.take(10); len(c.deliveries) != 0 {
			r.Fatalf("%s claimed while e1 is in flight", ids(c.deliveries))
		}
		r.end(first, stepRetry, time.Minute)
		if c := r.take(10); len(c.deliveries) != 0 || c.due < 59*time.Second {
			r.Fatalf("%s passed e1, due in %s", ids(c.deliveries), c.due)
		}
		r.pass(61 * time.Second)
		again := r.takeOne()
		if again.event.ID != "e1" || again.tries != 1 || again.sequence != 1 {
			r.Fatalf("claimed %+v", again)
		}
		r.pass(leaseFor + time.Second) // the process dies
		again = r.takeOne()
		if again.event.ID != "e1" || again.tries != 1 {
			r.Fatalf("after the lapse: %+v", again)
		}
		r.end(again, stepDead, 0) // a head given up lets the next go
		for _, want := range []string{"e2", "e3", "e4"} {
			d := r.takeOne()
			if d.event.ID != want {
				r.Fatalf("claimed %s, want %s", d.event.ID, want)
			}
			r.end(d, stepDelivered, 0)
		}
	})
}

func TestASubscriptionThatBecomesOrderedPutsItsRetriesFirst(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		r.pushMany(1, 6)
		r.dispatchAll()
		for _, d := range r.take(3).deliveries {
			r.end(d, stepRetry, time.Hour)
		}
		set := func(ordered string) { r.client.HSet(r.Context(), r.lane.Subscription(id), "ordered", ordered) }
		set("1")
		for _, want := range []string{"e1", "e2"} {
			d := r.takeOne()
			if d.event.ID != want || d.tries != 1 {
				r.Fatalf("claimed %+v, want %s", d, want)
			}
			r.end(d, stepDelivered, 0)
		}
		set("") // what is left keeps its count, and waits for a worker for retries
		if c := must(r.claim(r.Context(), 1, 0)); len(c.deliveries) != 0 || c.runnable != 0 || c.due <= 0 {
			r.Fatalf("without workers for retries: %d claimed, %d runnable, due in %s", len(c.deliveries), c.runnable, c.due)
		}
		r.pass(time.Second)
		c := r.take(8).deliveries
		if ids(c) != "e3 e4 e5" || c[0].tries != 1 || c[1].tries != 0 {
			r.Fatalf("claimed %s, e3 with %d tries", ids(c), c[0].tries)
		}
		for _, d := range c {
			r.end(d, stepDelivered, 0)
		}
		r.wantNothingLeft()
	})
}

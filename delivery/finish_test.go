package delivery

import (
	"strconv"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/subscriptions"
)

func TestARetryComesBackWhenItIsDueAndNotBefore(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.subscribe("a", "contact.create", "http://a")
		r.push(event(1))
		r.dispatchAll()
		for try := range 4 {
			d := r.takeOne()
			if d.tries != try || d.sequence != 1 {
				r.Fatalf("attempt %d: tries %d, sequence %d", try+1, d.tries, d.sequence)
			}
			if got := r.end(d, stepRetry, time.Minute); got != "ok" {
				r.Fatalf("finish: %s", got)
			}
			r.pass(58 * time.Second)
			if c := r.take(1); len(c.deliveries) != 0 {
				r.Fatal("claimed before it was due")
			}
			r.pass(3 * time.Second)
		}
		r.end(r.takeOne(), stepDelivered, 0)
		r.wantNothingLeft()
	})
}

func TestADeliveryHandedBackIsChargedNoAttempt(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		r.pushMany(1, 3)
		r.dispatchAll()
		r.end(r.takeOne(), stepReleased, 0)
		d := r.takeOne()
		if d.event.ID != "e1" || d.tries != 0 || d.sequence != 1 {
			r.Fatalf("after handing back: %+v", d)
		}
		r.end(d, stepReleased, 30*time.Second)
		if other := r.takeOne(); other.event.ID != "e2" {
			r.Fatalf("a pause of e1's held up %s", other.event.ID)
		}
		r.pass(31 * time.Second)
		c := r.take(2) // e2's lease has lapsed too
		for _, d := range c.deliveries {
			if d.tries != 0 {
				r.Errorf("%s has %d tries", d.event.ID, d.tries)
			}
			r.end(d, stepDelivered, 0)
		}
		if f := r.field(id, "failures"); f != "" {
			r.Errorf("failures %s", f)
		}
		r.wantNothingLeft()
	})
}

func TestAttemptsAndFailureStateAreRecorded(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		r.push(event(1))
		r.dispatchAll()
		r.end(r.takeOne(), stepRetry, time.Second)
		if f, s, e := r.field(id, "failures"), r.field(id, "last_status"), r.field(id, "last_error"); f != "1" || s != "500" || e != classHTTP5xx {
			r.Errorf("after a failure: failures %q, last_status %q, last_error %q", f, s, e)
		}
		if since, last := r.field(id, "failing_since"), r.field(id, "last_at"); since == "" || since != last {
			r.Errorf("failing since %q, last at %q", since, last)
		}
		r.pass(2 * time.Second)
		r.end(r.takeOne(), stepDelivered, 0)
		if f, since, e := r.field(id, "failures"), r.field(id, "failing_since"), r.field(id, "last_error"); f+since+e != "" {
			r.Errorf("after a success: failures %q, failing since %q, last error %q", f, since, e)
		}
		entries := must(r.client.XRange(r.Context(), r.lane.Attempts(id), "-", "+").Result())
		if len(entries) != 2 {
			r.Fatalf("%d attempts recorded, want 2", len(entries))
		}
		for i, outcome := range []string{"retry", "delivered"} {
			a := readAttempt(entries[i])
			if a.Outcome != outcome || a.Attempt != i+1 || a.EventID != "e1" || a.DurationMS != 1 || time.Since(a.At) > time.Minute {
				r.Errorf("attempt %d recorded as %+v", i+1, a)
			}
		}
	})
}

func TestASubscriptionThatFailsForADayIsMadeInactiveAndKeepsItsEvents(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		r.breakAfter = 0 // this is about the day, not about the breaker
		r.pushMany(0, 20)
		r.dispatchAll()
		for i := range 12 { // many failures, but not yet a day
			if got := r.end(r.takeOne(), stepRetry, 48*time.Hour); got != "ok" {
				r.Fatalf("failure %d: %s", i+1, got)
			}
		}
		r.pass(24*time.Hour + time.Second)
		if got := r.end(r.takeOne(), stepRetry, time.Hour); got != finishedInactive {
			r.Fatalf("after a day: %s, want inactive", got)
		}
		if a, why := r.field(id, "active"), r.field(id, "inactive_reason"); a != "0" || why != "failing" {
			r.Errorf("active %q, reason %q", a, why)
		}
		r.pass(72 * time.Hour)
		if c := r.take(100); len(c.deliveries) != 0 {
			r.Fatalf("%d claimed while inactive", len(c.deliveries))
		}
		r.setActive(id, "1")
		delivered := 0
		for c := r.take(100); len(c.deliveries) > 0; c = r.take(100) {
			for _, d := range c.deliveries {
				r.end(d, stepDelivered, 0)
				delivered++
			}
		}
		if delivered != 20 {
			r.Errorf("%d delivered after activation, want 20", delivered)
		}
		r.wantNothingLeft()
	})
}

func TestADayWithFewFailuresDoesNotMakeInactive(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		r.pushMany(0, failingTimes)
		r.dispatchAll()
		for range failingTimes - 1 {
			if got := r.end(r.takeOne(), stepRetry, 1000*time.Hour); got != "ok" {
				r.Fatalf("finish: %s", got)
			}
			r.pass(25 * time.Hour)
		}
		if got := r.field(id, "failures"); got != strconv.Itoa(failingTimes-1) {
			r.Fatalf("failures %s", got)
		}
		if got := r.end(r.takeOne(), stepRetry, time.Hour); got != finishedInactive {
			r.Errorf("the %dth failure: %s, want inactive", failingTimes, got)
		}
	})
}

func TestADeadLetterIsKeptAndCanBeRedelivered(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		r.pushMany(1, 4)
		r.dispatchAll()
		for _, d := range r.take(3).deliveries {
			r.end(d, stepDead, 0)
		}
		if n := r.client.ZCard(r.Context(), r.lane.Dead(id)).Val(); n != 3 || r.stored() != 3 {
			r.Fatalf("%d dead letters, %d events; want 3, 3", n, r.stored())
		}
		r.redeliverNow(id, subscriptions.Redelivery{Missed: true})
		c := r.take(8)
		if ids(c.deliveries) != "e1 e2 e3" {
			r.Fatalf("redelivered %s", ids(c.deliveries))
		}
		for i, d := range c.deliveries {
			if d.tries != 1 || d.sequence != int64(i+1) {
				r.Errorf("%s: tries %d, sequence %d", d.event.ID, d.tries, d.sequence)
			}
			r.end(d, stepDelivered, 0)
		}
		r.wantNothingLeft()
	})
}

func TestTheAttemptsRememberedAreBounded(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		r.pushMany(0, 600)
		r.dispatchAll()
		for c := r.take(8); len(c.deliveries) > 0; c = r.take(8) {
			for _, d := range c.deliveries {
				r.end(d, stepDelivered, 0)
			}
		}
		// Redis trims whole nodes of a stream, of 100 entries each.
		if n := r.client.XLen(r.Context(), r.lane.Attempts(id)).Val(); n < attemptsKept || n > 3*attemptsKept {
			r.Errorf("%d attempts remembered, want about %d", n, attemptsKept)
		}
		r.wantNothingLeft()
	})
}

func TestADeletedSubscriptionIsDeliveredNothingAndLeavesNothing(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		other := r.subscribe("b", "contact.create", "http://b")
		r.pushMany(0, 700)
		r.dispatchAll()
		c := r.take(16)
		var held []*delivery
		for _, d := range c.deliveries {
			if d.subscription == id {
				held = append(held, d)
			} else {
				r.end(d, stepDelivered, 0)
			}
		}
		r.end(held[0], stepRetry, time.Second)
		r.end(held[1], stepDead, 0)
		r.remove(id)
		if got := r.end(held[2], stepDelivered, 0); got != finishedGone {
			r.Fatalf("finish after deletion: %s, want gone", got)
		}
		// What the others hold lapses.
		r.pass(leaseFor + time.Second)
		for c := r.take(16); len(c.deliveries)+int(c.deleted) > 0; c = r.take(16) {
			for _, d := range c.deliveries {
				if d.subscription != other {
					r.Fatalf("claimed for the deleted subscription: %+v", d)
				}
				r.end(d, stepDelivered, 0)
			}
			if _, err := r.purge(r.Context()); err != nil {
				r.Fatal(err)
			}
		}
		r.wantNothingLeft()
		for _, prefix := range []string{"dead:", "purge", "attempts:" + id, "subscription:" + id} {
			if keys := r.keys(prefix); len(keys) != 0 {
				r.Errorf("left behind: %v", keys)
			}
		}
	})
}

func TestAPurgeDoesABoundedPart(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		r.pushMany(0, purgeChunk+10)
		r.dispatchAll()
		r.remove(id)
		if left := must(r.purge(r.Context())); left != 1 || r.stored() != 10 {
			r.Fatalf("after one part %d subscriptions and %d events are left, want 1 and 10", left, r.stored())
		}
		if left := must(r.purge(r.Context())); left != 0 {
			r.Fatalf("after two parts %d are left", left)
		}
		r.wantNothingLeft()
	})
}

func TestSeveralAttemptsEndInOneCall(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.subscribe("a", "contact.create", "http://a")
		r.pushMany(1, 5)
		r.dispatchAll()
		var batch []finished
		for i, d := range r.take(4).deliveries {
			batch = append(batch, finished{delivery: d, step: []step{stepDelivered, stepRetry, stepDead, stepReleased}[i]})
		}
		batch = append(batch, batch[0])
		results := must(r.finish(r.Context(), batch))
		want := []string{"ok", "ok", "ok", "ok", finishedLost}
		for i := range want {
			if results[i] != want[i] {
				r.Errorf("result %d is %s, want %s", i, results[i], want[i])
			}
		}
	})
}

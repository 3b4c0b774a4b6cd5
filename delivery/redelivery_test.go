package delivery

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/subscriptions"
)

// bury makes events from..to-1, oldest first and a minute apart, and gives up on
// all of them.
func (r *rig) bury(from, to int) {
	r.Helper()
	for i := from; i < to; i++ {
		e := event(i)
		e.Time = epoch.Add(time.Duration(i) * time.Minute)
		r.push(e)
	}
	r.dispatchAll()
	r.endAll(to-from, finished{attempt: attempt{status: 302, class: classHTTP3xx}, step: stepDead})
}

// endAll has so many deliveries end alike.
func (r *rig) endAll(count int, how finished) {
	r.Helper()
	for count > 0 {
		var batch []finished
		for _, d := range r.take(min(count, claimMost)).deliveries {
			how.delivery = d
			batch = append(batch, how)
		}
		must(r.finish(r.Context(), batch))
		count -= len(batch)
	}
}

// epoch is when event 0 of bury occurred.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// deliverAll takes what there is and delivers it, and answers the ids.
func (r *rig) deliverAll() string {
	r.Helper()
	c := r.take(claimMost)
	for _, d := range c.deliveries {
		r.end(d, stepDelivered, 0)
	}
	return ids(c.deliveries)
}

// shown fails unless a redelivery is where it should be.
func (r *rig) shown(id, state string, total, done, failed int64) {
	r.Helper()
	got := must(r.operations().Redelivery(r.Context(), "", id))
	if got.State != state || got.Total != total || got.Done != done || got.Failed != failed {
		r.Errorf("the redelivery is %s, %d of %d done, %d failed; want %s, %d of %d, %d", got.State, got.Done, got.Total, got.Failed,
			state, done, total, failed)
	}
}

func TestARedeliveryOfARangeTakesWhatOccurredThen(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.cap, r.breakAfter = claimMost, 0
		id := r.subscribe("a", "contact.create", "http://a")
		r.bury(0, 10)
		job := r.redeliverNow(id, subscriptions.Redelivery{From: epoch.Add(3 * time.Minute), To: epoch.Add(5 * time.Minute)})
		if job.Missed || !job.From.Equal(epoch.Add(3*time.Minute)) || job.Subscription != id {
			r.Errorf("it is %+v", job)
		}
		r.shown(job.ID, subscriptions.RedeliveryRunning, 3, 0, 0)
		first := r.takeOne()
		r.pass(time.Second) // with one worker, the rest is set aside for a moment
		rest := r.take(10).deliveries
		if ids(append(rest, first)) != "e4 e5 e3" {
			r.Errorf("redelivered are %s and %s", first.event.ID, ids(rest))
		}
		r.end(first, stepRetry, time.Hour)
		for _, d := range rest {
			r.end(d, stepDelivered, 0)
		}
		r.pass(time.Second)
		r.step()
		r.shown(job.ID, subscriptions.RedeliveryDone, 3, 3, 1)
		if n := r.client.ZCard(r.Context(), r.lane.Dead(id)).Val(); n != 7 {
			r.Errorf("%d dead letters are left, want 7", n)
		}
		// It can be looked at for a week, and counts against nothing any more.
		if ttl := r.client.PTTL(r.Context(), r.lane.Redelivery(job.ID)).Val(); ttl <= 6*24*time.Hour || len(r.jobs(id)) != 0 {
			r.Errorf("kept for %s; unfinished are %v", ttl, r.jobs(id))
		}
	})
}

func TestARedeliveryOfOneEventTakesThatAlone(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.breakAfter = 0
		id := r.subscribe("a", "contact.create", "http://a")
		other := r.subscribeUser("b", "77", "contact.create", "http://b")
		r.bury(1, 4)
		job := r.redeliverNow(id, subscriptions.Redelivery{Event: "e2"})
		r.shown(job.ID, subscriptions.RedeliveryRunning, 1, 0, 0)
		if got := r.deliverAll(); got != "e2" {
			r.Errorf("redelivered are %s", got)
		}
		// What is to be tried again is tried at once.
		r.push(event(9))
		r.dispatchAll()
		r.end(r.takeOne(), stepRetry, time.Hour)
		r.redeliverNow(id, subscriptions.Redelivery{Event: "e9"})
		if d := r.takeOne(); d.event.ID != "e9" || d.tries != 1 {
			r.Errorf("redelivered is %s with %d tries", d.event.ID, d.tries)
		}
		for subscription, event := range map[string]string{id: "e2", other: "e1", "0-nobody": "e1", "x": "e1", "7-a": "e1"} {
			_, err := r.operations().Redeliver(r.Context(), subscription, subscriptions.Redelivery{Event: event})
			if !errors.Is(err, subscriptions.ErrNotKept) && (subscription == id || subscription == other || !errors.Is(err, subscriptions.ErrNotFound)) {
				r.Errorf("%s of %s: %v", event, subscription, err)
			}
		}
	})
}

func TestAScheduledRedeliveryBeginsAtItsTimeByWhoeverIsThere(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.breakAfter = 0
		id := r.subscribe("a", "contact.create", "http://a")
		r.bury(1, 3)
		at := time.UnixMilli(r.client.Time(r.Context()).Val().UnixMilli()).Add(time.Hour)
		job := r.redeliverNow(id, subscriptions.Redelivery{Missed: true, StartsAt: at, Operator: true})
		if !job.StartsAt.Equal(at) || !job.Operator {
			r.Errorf("it is %+v", job)
		}
		r.shown(job.ID, subscriptions.RedeliveryScheduled, 2, 0, 0)
		if c := r.take(10); len(c.deliveries) != 0 || c.redeliveries != 0 || c.due > time.Hour || c.due < 59*time.Minute {
			r.Errorf("before its time: %d claimed, %d due, the next in %s", len(c.deliveries), c.redeliveries, c.due)
		}
		r.pass(time.Hour)
		if c := r.take(10); c.redeliveries != 1 || c.due != 0 {
			r.Errorf("at its time %d are due, in %s", c.redeliveries, c.due)
		}
		newRig(t, r.server).offsetBy(r).step() // another process
		if got := r.deliverAll(); got != "e1 e2" {
			r.Errorf("redelivered are %s", got)
		}
	})
}

// offsetBy moves the clock to another's.
func (r *rig) offsetBy(other *rig) *rig {
	r.moved.Store(other.moved.Load())
	return r
}

func TestARedeliveryHasNoMoreThanAWindowWaiting(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		const dead = 1000
		r.cap, r.breakAfter = claimMost, 0
		id := r.subscribe("a", "contact.create", "http://a")
		r.bury(0, dead)
		job := r.redeliverNow(id, subscriptions.Redelivery{Missed: true})
		waiting := func() int64 { return r.client.ZCard(r.Context(), r.lane.Retry(id)).Val() }
		if n := waiting(); n != redeliverWindow {
			r.Fatalf("%d wait, want %d", n, redeliverWindow)
		}
		r.shown(job.ID, subscriptions.RedeliveryRunning, dead, 0, 0)
		r.pass(time.Minute)
		r.step()
		if n := waiting(); n != redeliverWindow {
			r.Errorf("nothing was tried, and %d wait", n)
		}
		r.take(claimMost)
		r.pass(r.leaseFor) // which is no attempt
		rounds := 0
		for n := dead; n > 0; rounds++ {
			for range redeliverWindow / claimMost {
				n -= len(strings.Fields(r.deliverAll()))
			}
			r.pass(redeliverStep)
			r.step()
		}
		if rounds < dead/redeliverWindow {
			r.Errorf("over after %d rounds", rounds)
		}
		r.pass(time.Minute)
		r.step()
		r.shown(job.ID, subscriptions.RedeliveryDone, dead, dead, 0)
		r.wantNothingLeft()
	})
}

func TestACancelledRedeliveryLeavesTheRestWhereItIs(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.cap, r.breakAfter = claimMost, 0
		id := r.subscribe("a", "contact.create", "http://a")
		r.bury(0, 400)
		job := r.redeliverNow(id, subscriptions.Redelivery{Missed: true})
		r.cancel(job.ID)
		if err := r.operations().Cancel(r.Context(), "0-none"); !errors.Is(err, subscriptions.ErrNotFound) {
			r.Errorf("cancelling nothing: %v", err)
		}
		r.pass(time.Hour)
		r.step()
		if n := r.client.ZCard(r.Context(), r.lane.Dead(id)).Val(); n != 400-redeliverWindow {
			r.Errorf("%d dead letters are left, want %d", n, 400-redeliverWindow)
		}
		if got := must(r.operations().Redelivery(r.Context(), id, job.ID)); got.State != subscriptions.RedeliveryCancelled || got.EndedAt.IsZero() {
			r.Errorf("it is %+v", got)
		}
		if err := r.operations().Cancel(r.Context(), job.ID); !errors.Is(err, subscriptions.ErrNotFound) {
			r.Errorf("cancelling twice: %v", err)
		}
		if _, err := r.operations().Redelivery(r.Context(), "0-other", job.ID); !errors.Is(err, subscriptions.ErrNotFound) {
			r.Errorf("another subscription's: %v", err)
		}
	})
}

func TestARedeliveryEndsWithItsSubscription(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.breakAfter = 0
		id := r.subscribe("a", "contact.create", "http://a")
		r.bury(0, 20)
		job := r.redeliverNow(id, subscriptions.Redelivery{Missed: true})
		r.remove(id)
		for must(r.purge(r.Context())) > 0 {
			continue
		}
		r.pass(time.Minute)
		r.step()
		r.shown(job.ID, subscriptions.RedeliveryCancelled, 0, 0, 0)
		r.wantNothingLeft()
		for _, prefix := range []string{"redelivering", "redelivered:", "redeliveries:", "dead:"} {
			if keys := r.keys(prefix); len(keys) > 0 {
				r.Errorf("left behind: %v", keys)
			}
		}
	})
}

func TestRedeliveriesAreBounded(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		later := subscriptions.Redelivery{Missed: true, StartsAt: time.Now().Add(time.Hour)}
		for range redeliveriesPerSubscription {
			r.redeliverNow(id, later)
		}
		if _, err := r.operations().Redeliver(r.Context(), id, later); !errors.Is(err, subscriptions.ErrTooManyRedeliveries) {
			r.Errorf("one more: %v", err)
		}
		// One that nobody can look at any more makes room.
		r.client.ZAdd(r.Context(), r.lane.Redeliveries(), redis.Z{Member: fmt.Sprintf("0-%026d", 1)})
		other := r.subscribe("b", "contact.create", "http://b")
		r.redeliverNow(other, later)
		if n := r.client.ZCard(r.Context(), r.lane.Redeliveries()).Val(); n != redeliveriesPerSubscription+1 {
			r.Errorf("%d are remembered", n)
		}
	})
}

// A dead letter goes behind the head of its resource, which what waits in a window
// is not before it is queued.
func TestARedeliveredDeadLetterComesBeforeWhatIsNotYetQueued(t *testing.T) {
	for name, want := range map[string][]string{"in a window": {"e1", "e2"}, "queued": {"e2", "e1"}} {
		t.Run(name, func(t *testing.T) {
			onEachRedis(t, func(r *rig) {
				id := r.subscribeDebounced("a", 15*time.Second)
				r.set(id, "ordered", "resource")
				r.push(about(1, "x"))
				r.dispatchAll()
				r.pass(15 * time.Second)
				r.end(r.takeOne(), stepDead, 0)
				r.push(about(2, "x"))
				r.dispatchAll()
				r.pass(15 * time.Second) // its time is over, but nobody has looked
				if name == "queued" {
					r.push(about(3, "y"))
					r.dispatchAll()
				}
				r.redeliverNow(id, subscriptions.Redelivery{Missed: true})
				for _, event := range want {
					r.wantNext(event)
				}
			})
		})
	}
}

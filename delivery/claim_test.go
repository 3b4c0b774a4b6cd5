package delivery

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/events"
)

func TestASlowSubscriberWithAThousandWaitingDelaysOnlyItself(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		slow := r.subscribeUser("slow", "slow", "contact.create", "http://slow")
		for i := range 1000 {
			e := event(i)
			e.ID, e.User = fmt.Sprintf("s%d", i), "slow"
			r.push(e)
		}
		r.dispatchAll()
		for i := range 9 {
			r.subscribe(fmt.Sprintf("fast%d", i), "contact.create", "http://fast")
		}
		r.pushMany(0, 20)
		r.dispatchAll()
		// The fast ones answer at once, the slow one never does.
		claims := map[string]int{}
		for claims["fast"] < 9*20 {
			c := r.take(10)
			if len(c.deliveries) == 0 {
				r.Fatalf("nothing to claim after %v", claims)
			}
			for _, d := range c.deliveries {
				if d.subscription == slow {
					claims["slow"]++
					continue
				}
				claims["fast"]++
				r.end(d, stepDelivered, 0)
			}
		}
		if claims["slow"] > DefaultPerSubscription {
			r.Errorf("the slow one held %d, its cap is %d", claims["slow"], DefaultPerSubscription)
		}
	})
}

func TestSubscriptionsAreServedInTurnOneDeliveryAVisit(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		a := r.subscribe("a", "contact.create", "http://a")
		r.pushMany(0, 4)
		r.dispatchAll()
		r.subscribe("b", "contact.create", "http://b")
		r.pushMany(4, 8)
		r.dispatchAll()
		var order []string
		for _, d := range r.take(8).deliveries {
			order = append(order, strings.TrimPrefix(d.subscription, "0-")+d.event.ID)
		}
		if got := strings.Join(order, " "); got != "ae0 be4 ae1 be5 ae2 be6 ae3 be7" {
			r.Errorf("order %s (a is %s)", got, a)
		}
	})
}

func TestTheCapHoldsAndFinishFreesIt(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.cap = 3
		r.subscribe("a", "contact.create", "http://a")
		r.pushMany(0, 10)
		r.dispatchAll()
		held := r.take(10).deliveries
		if len(held) != 3 {
			r.Fatalf("claimed %d, the cap is 3", len(held))
		}
		c := r.take(10)
		if len(c.deliveries) != 0 || c.runnable != 0 {
			r.Fatalf("at the cap: %d claimed, %d runnable", len(c.deliveries), c.runnable)
		}
		if n := r.client.LLen(r.Context(), r.lane.Wake()).Val(); n != 0 {
			r.Fatal("a token is left though nothing can be done: processes would spin")
		}
		r.push(event(99))
		r.dispatchAll()
		if c = r.take(10); len(c.deliveries) != 0 {
			r.Fatalf("a new event broke the cap: %d claimed", len(c.deliveries))
		}
		r.end(held[0], stepDelivered, 0)
		if n := r.client.LLen(r.Context(), r.lane.Wake()).Val(); n != 1 {
			r.Fatal("no token after a freed cap")
		}
		if c = r.take(10); len(c.deliveries) != 1 {
			r.Fatalf("after one finish %d claimed, want 1", len(c.deliveries))
		}
	})
}

func TestALapsedLeaseIsDeliveredAgainWithoutAnAttemptCharged(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.subscribe("a", "contact.create", "http://a")
		r.push(event(1))
		r.dispatchAll()
		first := r.takeOne()
		if c := r.take(1); len(c.deliveries) != 0 || c.due <= 0 || c.due > leaseFor {
			r.Fatalf("while leased: %d claimed, due in %s", len(c.deliveries), c.due)
		}
		r.pass(leaseFor + time.Second)
		c := r.take(1)
		if len(c.deliveries) != 1 || c.lapsed != 1 {
			r.Fatalf("after the lapse: %+v", c)
		}
		second := c.deliveries[0]
		if second.tries != 0 || second.sequence != first.sequence || second.lease == first.lease {
			r.Errorf("second claim is %+v, first was %+v", second, first)
		}
		if got := r.end(first, stepRetry, time.Second); got != finishedLost {
			r.Errorf("the first holder's finish: %s, want lost", got)
		}
		if got := r.end(second, stepDelivered, 0); got != "ok" {
			r.Errorf("the second holder's finish: %s, want ok", got)
		}
		if got := r.end(second, stepDelivered, 0); got != finishedLost {
			r.Errorf("the same finish again: %s, want lost", got)
		}
		r.wantNothingLeft()
	})
}

func TestALapsedRetryKeepsItsCount(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.subscribe("a", "contact.create", "http://a")
		r.push(event(1))
		r.dispatchAll()
		r.end(r.takeOne(), stepRetry, time.Minute)
		r.pass(time.Minute + time.Second)
		if d := r.takeOne(); d.tries != 1 {
			r.Fatalf("tries %d, want 1", d.tries)
		}
		r.pass(leaseFor + time.Second)
		d := r.takeOne()
		if d.tries != 1 || d.sequence != 1 {
			r.Fatalf("after the lapse tries %d, sequence %d; want 1, 1", d.tries, d.sequence)
		}
		r.end(d, stepDelivered, 0)
		r.wantNothingLeft()
	})
}

func TestARenewedLeaseDoesNotLapse(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.subscribe("a", "contact.create", "http://a")
		r.push(event(1))
		r.dispatchAll()
		d := r.takeOne()
		for range 5 {
			r.pass(20 * time.Second)
			lost := must(r.renew(r.Context(), []string{d.lease, "0-a|e9|1|0|stranger"}))
			if len(lost) != 1 || !strings.HasSuffix(lost[0], "stranger") {
				r.Fatalf("lost %v, want only the stranger's", lost)
			}
			if c := r.take(1); len(c.deliveries) != 0 {
				r.Fatal("a renewed lease was claimed")
			}
		}
		r.pass(leaseFor + time.Second)
		r.takeOne()
		if lost := must(r.renew(r.Context(), []string{d.lease})); len(lost) != 1 {
			r.Error("a lapsed lease was renewed")
		}
	})
}

func TestNewsAndRetriesAlternateSoThatNeitherStarves(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.cap, r.breakAfter = 100, 0
		r.subscribe("a", "contact.create", "http://a")
		r.pushMany(0, 10)
		r.dispatchAll()
		for _, d := range r.take(10).deliveries {
			r.end(d, stepRetry, time.Second)
		}
		r.pass(2 * time.Second)
		r.pushMany(10, 20)
		r.dispatchAll()
		retries := 0
		for _, d := range r.take(10).deliveries {
			if d.tries > 0 {
				retries++
			}
		}
		if retries != 5 {
			r.Errorf("%d retries among 10, want 5", retries)
		}
	})
}

func TestADeliveryWhoseEventIsGoneIsLetGo(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.subscribe("a", "contact.create", "http://a")
		r.pushMany(1, 3)
		r.dispatchAll()
		r.client.HDel(r.Context(), r.lane.Stored(), "e1")
		c := r.take(10)
		if ids(c.deliveries) != "e2" || c.letGo != 1 {
			r.Fatalf("claimed %s, let go %d", ids(c.deliveries), c.letGo)
		}
		r.end(c.deliveries[0], stepDelivered, 0)
		r.wantNothingLeft()
	})
}

func TestOneClaimAnswersABoundedNumberOfBytes(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.cap = 100
		r.subscribe("a", "contact.create", "http://a")
		var batch []events.Event
		for i := range 8 {
			e := event(i)
			e.Payload = bytes.Repeat([]byte("7"), 1<<20)
			batch = append(batch, e)
		}
		r.push(batch...)
		r.dispatchAll()
		c := r.take(8)
		if len(c.deliveries) != 4 || c.runnable != 1 {
			r.Fatalf("claimed %d of 1 MiB each, %d runnable; want 4 and 1", len(c.deliveries), c.runnable)
		}
		if n := r.client.LLen(r.Context(), r.lane.Wake()).Val(); n != 1 {
			r.Fatal("no token though a subscription is runnable")
		}
	})
}

func TestClaimTellsWhenTheNextRetryIsDue(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.subscribe("a", "contact.create", "http://a")
		if c := r.take(1); c.due >= 0 {
			r.Fatalf("an empty lane is due in %s", c.due)
		}
		r.push(event(1))
		r.dispatchAll()
		r.end(r.takeOne(), stepRetry, 10*time.Second)
		if c := r.take(1); len(c.deliveries) != 0 || c.due <= 9*time.Second || c.due > 10*time.Second {
			r.Fatalf("claimed %d, due in %s; want 0, 10 s", len(c.deliveries), c.due)
		}
		r.pass(10 * time.Second)
		r.takeOne()
	})
}

package delivery

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/subscriptions"
)

func (r *rig) subscribeBatched(name string, most int, within time.Duration, fields ...any) string {
	r.Helper()
	id := r.subscribe(name, "contact.create", "http://"+name)
	r.set(id, append(fields, "batch_max", most, "batch_within", within.Milliseconds())...)
	return id
}

// batchIDs answers what batches hold: events of one with + between two.
func batchIDs(deliveries []*delivery) string {
	var all []string
	for _, d := range deliveries {
		var one []string
		_ = d.each(func(d *delivery) error { one = append(one, d.event.ID); return nil })
		all = append(all, strings.Join(one, "+"))
	}
	return strings.Join(all, " ")
}

// wantBatches claims, and wants just these.
func (r *rig) wantBatches(want string) []*delivery {
	r.Helper()
	c := r.take(50).deliveries
	if got := batchIDs(c); got != want {
		r.Fatalf("claimed %q, want %q", got, want)
	}
	return c
}

func (r *rig) endEach(list []*delivery, s step, after time.Duration) {
	r.Helper()
	for _, d := range list {
		if got := r.end(d, s, after); got != "ok" {
			r.Fatalf("finish answered %s", got)
		}
	}
}

func TestABatchGoesOnceItIsFullOrItsFirstHasWaited(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.subscribeBatched("a", 3, 5*time.Second)
		r.pushMany(1, 3)
		r.dispatchAll()
		if c := r.take(5); len(c.deliveries) != 0 || c.runnable != 0 || c.due <= 4*time.Second || c.due > 5*time.Second {
			r.Fatalf("claimed %s, due in %s", batchIDs(c.deliveries), c.due)
		}
		r.pass(4 * time.Second)
		r.pushMany(3, 9)
		r.dispatchAll()
		r.endEach(r.wantBatches("e1+e2+e3 e4+e5+e6"), stepDelivered, 0)
		r.pass(4 * time.Second)
		r.push(event(9))
		r.dispatchAll()
		r.endEach(r.wantBatches("e7+e8+e9"), stepDelivered, 0)
		r.push(event(10))
		r.dispatchAll()
		r.pass(time.Second)
		r.push(event(11))
		r.dispatchAll()
		if c := r.take(5); len(c.deliveries) != 0 || c.due > 4*time.Second {
			r.Fatalf("claimed %s, due in %s: the first decides", batchIDs(c.deliveries), c.due)
		}
		r.pass(4 * time.Second)
		d := r.wantBatches("e10+e11")[0]
		if d.sequence != 10 || d.riders[0].sequence != 11 || !strings.HasPrefix(d.batch, "batch-") {
			r.Errorf("claimed %+v", d)
		}
		r.end(d, stepDelivered, 0)
		r.wantNothingLeft()
	})
}

// A receiver that knows the webhook-id may leave a batch out: whatever happened to
// whoever sent it, it holds nothing that it did not hold before.
func TestABatchStaysTheSameOverRetriesAndCrashes(t *testing.T) {
	for _, order := range []string{"", "1", "resource"} {
		t.Run("ordered="+order, func(t *testing.T) {
			onEachRedis(t, func(r *rig) {
				id := r.subscribeBatched("a", 3, 5*time.Second, "ordered", order)
				r.pushMany(1, 3)
				r.dispatchAll()
				r.pass(5 * time.Second)
				first := r.wantBatches("e1+e2")[0]
				r.pushMany(3, 5) // which would have had room
				r.dispatchAll()
				r.pass(leaseFor + time.Second) // its holder dies
				r.set(id, "batch_max", 100)
				if order == "1" {
					r.wantBatches("e1+e2")
				} else {
					c := r.take(5).deliveries
					if got := batchIDs(c); got != "e1+e2 e3+e4" {
						r.Fatalf("claimed %q", got)
					}
					r.end(c[1], stepDelivered, 0)
				}
				r.pass(leaseFor + time.Second)
				again := r.takeOne()
				for range 2 {
					if batchIDs([]*delivery{again}) != "e1+e2" || again.batch != first.batch {
						r.Fatalf("claimed %s as %s, which was %s", batchIDs([]*delivery{again}), again.batch, first.batch)
					}
					if got := r.end(first, stepDelivered, 0); got != finishedLost {
						r.Fatalf("a lapsed lease ended as %s", got)
					}
					r.end(again, stepRetry, time.Minute)
					r.pass(time.Minute + time.Second)
					again = r.takeOne()
				}
				if again.tries != 2 {
					r.Errorf("%d attempts have failed, want 2", again.tries)
				}
				r.end(again, stepDelivered, 0)
				r.endEach(r.take(5).deliveries, stepDelivered, 0)
				r.wantNothingLeft()
			})
		})
	}
}

func TestABatchGivenUpIsADeadLetterForEachOfItsEvents(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribeBatched("a", 3, 5*time.Second)
		r.pushMany(1, 4)
		r.dispatchAll()
		r.endEach(r.wantBatches("e1+e2+e3"), stepRetry, time.Minute)
		if got := told(r.missed(id, subscriptions.MissedQuery{Limit: 10}).List); got != "1:e1:retrying 2:e2:retrying 3:e3:retrying" {
			r.Errorf("missed is %s", got)
		}
		r.pass(time.Minute)
		c := r.wantBatches("e1+e2+e3")
		if got := told(r.missed(id, subscriptions.MissedQuery{Limit: 10}).List); got != "1:e1:in_flight 2:e2:in_flight 3:e3:in_flight" {
			r.Errorf("missed is %s", got)
		}
		r.endEach(c, stepDead, 0)
		page := r.missed(id, subscriptions.MissedQuery{Limit: 10})
		if got := told(page.List); got != "1:e1:dead 2:e2:dead 3:e3:dead" || page.List[2].Attempts != 2 {
			r.Errorf("missed is %s, %+v", got, page.List[2])
		}
		if got := r.field(id, "bytes"); got != "0" {
			r.Errorf("%s bytes wait", got)
		}
		r.redeliverNow(id, subscriptions.Redelivery{Missed: true})
		again := r.wantBatches("e1+e2+e3")
		if again[0].batch == c[0].batch || again[0].tries != 1 {
			r.Errorf("what may be another batch has the name %s again, or %d tries", again[0].batch, again[0].tries)
		}
		r.endEach(again, stepDelivered, 0)
		r.step()
		r.wantNothingLeft()
	})
}

func TestARedeliveryOfOneSendsItsBatch(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribeBatched("a", 3, 5*time.Second)
		r.pushMany(1, 4)
		r.dispatchAll()
		r.endEach(r.take(5).deliveries, stepRetry, time.Hour)
		r.redeliverNow(id, subscriptions.Redelivery{Event: "e2"})
		r.endEach(r.wantBatches("e1+e2+e3"), stepDelivered, 0)
	})
}

func TestWhatIsInABatchIsDroppedPurgedAndTrimmedLikeTheRest(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id, ops := r.subscribeBatched("a", 4, 5*time.Second), r.operations()
		drop := func(event string, want int64) {
			r.Helper()
			if n, _, err := ops.Drop(r.Context(), id, DropWaiting, event); n != want || err != nil {
				r.Errorf("dropped %d of %s, %v", n, event, err)
			}
		}
		r.pushMany(1, 5)
		r.dispatchAll()
		first := r.wantBatches("e1+e2+e3+e4")
		drop("e2", 0) // it is in flight
		r.endEach(first, stepRetry, time.Minute)
		drop("e2", 1) // it rides along
		r.pass(time.Minute)
		again := r.wantBatches("e1+e3+e4")
		if again[0].batch != first[0].batch {
			r.Error("a batch with less in it has another name")
		}
		r.endEach(again, stepRetry, time.Minute)
		drop("e1", 1) // the others go on without it
		again = r.wantBatchesSoon("e3+e4")
		if again[0].batch == first[0].batch || again[0].tries != 2 {
			r.Errorf("another batch has the name %s again, or %d tries", again[0].batch, again[0].tries)
		}
		r.endEach(again, stepRetry, time.Minute)
		if n, _, err := ops.Acknowledge(r.Context(), id, 3); n != 1 || err != nil {
			r.Errorf("acknowledged %d, %v", n, err)
		}
		r.endEach(r.wantBatchesSoon("e4"), stepRetry, time.Hour)
		r.pushMany(5, 12)
		r.dispatchAll()
		r.endEach(r.take(1).deliveries, stepRetry, time.Hour)
		r.setActive(id, "0")
		r.backlog.most.Store(3)
		r.push(event(12))
		r.dispatchAll()
		if q := must(ops.Queues(r.Context(), id))[0]; q.Waiting+q.Retrying+q.Batched != 3 {
			r.Errorf("%+v is left of a backlog of 3", q)
		}
		r.setActive(id, "1")
		r.endEach(r.take(1).deliveries, stepRetry, time.Hour)
		r.remove(id)
		for must(r.purge(r.Context())) > 0 {
		}
		r.wantNothingLeft()
	})
}

// wantBatchesSoon also waits for what was taken out of a batch.
func (r *rig) wantBatchesSoon(want string) []*delivery {
	r.Helper()
	r.pass(5 * time.Second)
	return r.wantBatches(want)
}

func TestABatchIsBoundedInBytes(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.subscribeBatched("a", 100, 5*time.Second)
		for i := range 5 {
			e := event(i)
			e.Payload = []byte(`"` + strings.Repeat("x", 400<<10) + `"`)
			if i == 4 {
				e.Payload = []byte(`"` + strings.Repeat("x", 2<<20) + `"`)
			}
			r.push(e)
		}
		r.dispatchAll()
		r.pass(5 * time.Second)
		r.endEach(r.wantBatches("e0+e1 e2+e3 e4"), stepDelivered, 0)
		r.wantNothingLeft()
	})
}

func TestABatchCountsOnceInCapRateAndBreaker(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribeBatched("a", 10, 5*time.Second, "max_rate", 10)
		r.cap = 2
		r.pushMany(0, 100)
		r.dispatchAll()
		first := r.take(5).deliveries // one at once, by its rate
		if len(first) != 1 || len(first[0].riders) != 9 {
			r.Fatalf("claimed %s", batchIDs(first))
		}
		r.set(id, "max_rate", "")
		r.client.HDel(r.Context(), r.lane.Subscription(id), "resume_at", "rate_at", "max_rate")
		r.setActive(id, "1")
		second := r.take(5).deliveries
		if len(second) != 1 || must(r.client.HGet(r.Context(), r.lane.InFlight(), id).Result()) != "2" {
			r.Fatalf("claimed %s beside another, of a cap of 2", batchIDs(second))
		}
		r.endEach(append(first, second...), stepRetry, time.Minute)
		if got := r.field(id, "failures"); got != "2" {
			r.Errorf("%s failures in a row, of two POSTs", got)
		}
		list, _, err := r.operations().Attempts(r.Context(), id, subscriptions.AttemptQuery{Limit: 10, Event: "e7"})
		if err != nil || len(list) != 1 || list[0].Batch.ID != first[0].batch || len(list[0].Batch.Events) != 10 || list[0].Batch.Events[7].EventID != "e7" {
			r.Errorf("the attempts at e7 are %+v, %v", list, err)
		}
	})
}

func TestBatchesBeginAndEndWithTheOption(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		r.pushMany(1, 8)
		r.dispatchAll()
		r.endEach(r.take(2).deliveries, stepRetry, time.Minute)
		r.set(id, "batch_max", 3, "batch_within", 3_600_000)
		r.endEach(r.wantBatches("e3+e4+e5 e6+e7"), stepRetry, time.Minute) // they waited without a batch
		r.pass(time.Minute)
		r.endEach(r.wantBatches("e1+e2 e3+e4+e5 e6+e7"), stepRetry, time.Minute)
		r.client.HDel(r.Context(), r.lane.Subscription(id), "batch_max", "batch_within")
		r.pass(time.Minute)
		seen := map[string]bool{}
		for range 10 {
			c := r.take(5).deliveries
			for _, d := range c {
				if d.batch != "" || len(d.riders) > 0 || d.tries == 0 {
					r.Errorf("%s is a batch still, or has no tries", d.event.ID)
				}
				seen[d.event.ID] = true
			}
			r.endEach(c, stepDelivered, 0)
		}
		if len(seen) != 7 {
			r.Errorf("delivered were %v", seen)
		}
		r.wantNothingLeft()
	})
}

func TestALargeBacklogIsSentInFullBatches(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.subscribeBatched("a", 300, time.Hour)
		pipe := r.client.Pipeline()
		for i := range 3000 {
			pipe.LPush(r.Context(), r.lane.Events(), must(event(i).Encode()))
		}
		must(pipe.Exec(r.Context()))
		r.dispatchAll()
		got := map[string]int{}
		for range 20 {
			c := r.take(8).deliveries
			for _, d := range c {
				got[fmt.Sprint(d.events())]++
			}
			r.endEach(c, stepDelivered, 0)
		}
		if got["300"] != 10 || len(got) != 1 {
			r.Errorf("batches by size: %v", got)
		}
		r.wantNothingLeft()
	})
}

func TestNothingOvertakesABatchOfAnOrderedSubscription(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribeBatched("a", 3, 5*time.Second, "ordered", "1")
		r.pushMany(1, 3)
		r.dispatchAll()
		r.endEach(r.wantBatchesSoon("e1+e2"), stepDead, 0)
		r.pushMany(3, 5)
		r.dispatchAll()
		r.endEach(r.wantBatchesSoon("e3+e4"), stepRetry, time.Minute)
		r.push(event(5))
		r.dispatchAll()
		r.redeliverNow(id, subscriptions.Redelivery{Event: "e1"})
		r.pass(time.Minute)
		for _, want := range []string{"e1", "e3+e4", "e5"} { // not e1+e5
			r.endEach(r.wantBatches(want), stepDelivered, 0)
		}
	})
}

package delivery

import (
	"math"
	"testing"
	"time"
)

// failUntilOpen makes deliveries of the one subscription fail until its breaker opens.
func (r *rig) failUntilOpen() {
	r.Helper()
	for i := range r.breakAfter {
		want := "ok"
		if i == r.breakAfter-1 {
			want = finishedOpened
		}
		if got := r.end(r.takeOne(), stepRetry, time.Hour); got != want {
			r.Fatalf("failure %d: %s, want %s", i+1, got, want)
		}
	}
}

func TestAnOpenBreakerKeepsTheQueueAndChargesNoAttempt(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		r.pushMany(0, 30)
		r.dispatchAll()
		r.failUntilOpen()
		c := r.take(10)
		if len(c.deliveries) != 0 || c.due <= 0 || c.due > 5*time.Second {
			r.Fatalf("while open: %d claimed, due in %s", len(c.deliveries), c.due)
		}
		r.pushMany(30, 35)
		r.dispatchAll()
		if c = r.take(10); len(c.deliveries) != 0 || c.runnable != 0 {
			r.Fatalf("news went through an open breaker: %d", len(c.deliveries))
		}
		if queued, retries := r.client.ZCard(r.Context(), r.lane.Queue(id)).Val(), r.client.ZCard(r.Context(), r.lane.Retry(id)).Val(); queued != 25 || retries != 10 {
			r.Errorf("%d queued, %d to retry; want 25, 10", queued, retries)
		}
		for _, tried := range r.client.ZRangeWithScores(r.Context(), r.lane.Tries(id), 0, -1).Val() {
			if _, tries := math.Modf(tried.Score); tries != 1.0/1024 {
				r.Errorf("%s has %v", tried.Member, tried.Score)
			}
		}
	})
}

func TestABreakerProbesWithOneDeliveryAndRampsUp(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.subscribe("a", "contact.create", "http://a")
		r.pushMany(0, 40)
		r.dispatchAll()
		r.failUntilOpen()
		r.pass(5 * time.Second)
		// The probe fails: open again, twice as long.
		if got := r.end(r.takeOne(), stepRetry, time.Hour); got != finishedOpened {
			r.Fatalf("a failed probe: %s", got)
		}
		r.pass(6 * time.Second)
		if c := r.take(10); len(c.deliveries) != 0 {
			r.Fatal("claimed after 6 s of 10")
		}
		r.pass(4 * time.Second)
		for _, ramp := range []int{1, 2, 4, 8, 8} {
			c := r.take(20).deliveries
			if len(c) != ramp {
				r.Fatalf("%d claimed, the ramp is %d", len(c), ramp)
			}
			for i, d := range c {
				if i == 0 {
					r.end(d, stepDelivered, 0) // each success doubles it
				} else {
					r.end(d, stepReleased, 0)
				}
			}
		}
		if ramp, trips := r.field("0-a", "ramp"), r.field("0-a", "trips"); ramp != "" || trips != "" {
			r.Errorf("a closed breaker has ramp %q, trips %q", ramp, trips)
		}
	})
}

func TestOneThatFailsMoreOftenThanNotIsPausedToo(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.subscribe("a", "contact.create", "http://a")
		r.pushMany(0, 200)
		r.dispatchAll()
		for i := range 200 {
			how := stepRetry
			if i%3 == 0 { // never ten in a row
				how = stepDelivered
			}
			if got := r.end(r.takeOne(), how, time.Hour); got == finishedOpened {
				if i < 20 {
					r.Errorf("opened after %d", i)
				}
				return
			}
		}
		r.Error("two failures of three did not open the breaker")
	})
}

func TestRetryAfterPausesTheWholeSubscription(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.subscribe("a", "contact.create", "http://a")
		r.pushMany(0, 5)
		r.dispatchAll()
		f := finished{delivery: r.takeOne(), step: stepRetry}
		f.status, f.class, f.after, f.pause = 429, classHTTP4xx, 30*time.Second, 30*time.Second
		must(r.finish(r.Context(), []finished{f}))
		if c := r.take(10); len(c.deliveries) != 0 || c.due < 29*time.Second {
			r.Fatalf("%d claimed, due in %s", len(c.deliveries), c.due)
		}
		r.pass(31 * time.Second)
		if c := r.take(10); len(c.deliveries) != 5 {
			r.Errorf("%d claimed after the pause, want 5", len(c.deliveries))
		}
	})
}

func TestARateIsKept(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.cap = 100
		id := r.subscribe("a", "contact.create", "http://a")
		r.client.HSet(r.Context(), r.lane.Subscription(id), "max_rate", "20")
		r.pushMany(0, 1000)
		r.dispatchAll()
		start, total := time.Now(), 0
		for range 100 { // 10 s, in steps of 100 ms
			for _, d := range r.take(50).deliveries {
				r.end(d, stepDelivered, 0)
				total++
			}
			r.pass(100 * time.Millisecond)
		}
		// The clock moved by what the test took as well.
		most := 20*(10+time.Since(start).Seconds()) + 3
		if total < 190 || float64(total) > most {
			r.Errorf("%d in 10 s at 20 a second; at most %.0f", total, most)
		}
		r.client.HSet(r.Context(), r.lane.Subscription(id), "max_rate", "0.1")
		r.pass(time.Minute)
		if c := r.take(50); len(c.deliveries) != 1 || c.due < 9*time.Second {
			r.Errorf("%d at once at 0.1 a second, due in %s", len(c.deliveries), c.due)
		}
		r.pass(5 * time.Second)
		r.client.HSet(r.Context(), r.lane.Subscription(id), "max_rate", "0.01", "resume_at", "")
		if c := r.take(50); len(c.deliveries) != 0 || c.due <= 0 || c.runnable != 0 {
			r.Errorf("a lowered rate: %d claimed, due in %s, %d runnable", len(c.deliveries), c.due, c.runnable)
		}
	})
}

func TestRetriesTakeOnlyTheirShareOfTheWorkers(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.breakAfter = 0
		for _, name := range []string{"a", "b", "c"} {
			r.subscribe(name, "contact.create", "http://"+name)
		}
		r.pushMany(0, 8)
		r.dispatchAll()
		for _, d := range r.take(24).deliveries {
			r.end(d, stepRetry, time.Second)
		}
		r.pass(2 * time.Second)
		count := func(c claimed) (fresh, retried int) {
			for _, d := range c.deliveries {
				if d.tries > 0 {
					retried++
				} else {
					fresh++
				}
			}
			return
		}
		if fresh, retried := count(must(r.claim(r.Context(), 20, 5))); fresh != 0 || retried != 5 {
			r.Fatalf("%d fresh and %d retries, want 0 and 5", fresh, retried)
		}
		c := must(r.claim(r.Context(), 20, 0))
		if len(c.deliveries) != 0 || c.runnable != 0 || c.due <= 0 {
			r.Fatalf("without workers for retries: %d claimed, %d runnable, due in %s", len(c.deliveries), c.runnable, c.due)
		}
		r.pushMany(8, 10)
		r.dispatchAll()
		if fresh, retried := count(must(r.claim(r.Context(), 20, 0))); fresh != 6 || retried != 0 {
			r.Fatalf("%d fresh and %d retries, want 6 and 0", fresh, retried)
		}
		r.pass(time.Second)
		if fresh, retried := count(must(r.claim(r.Context(), 20, 20))); fresh != 0 || retried == 0 {
			r.Fatalf("%d fresh and %d retries once there are workers", fresh, retried)
		}
	})
}

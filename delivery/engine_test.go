package delivery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/hookproxy/hookproxy/subscriptions"
)

func TestEveryEventArrivesOnceAndNothingIsLeft(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, status(200))
		for i := range 3 {
			r.subscribe(fmt.Sprint("s", i), "contact.create", url)
		}
		r.pushMany(0, 20)
		stop := r.run(r.engine(nil))
		r.arrive(got, 60)
		r.pushMany(20, 30)
		r.arrive(got, 30)
		stop()
		if len(got) != 0 {
			r.Errorf("%d more arrived", len(got))
		}
		r.wantNothingLeft()
	})
}

func TestTwoEnginesShareTheWork(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, status(200))
		r.subscribe("a", "contact.create", url)
		stopOne, stopTwo := r.run(r.engine(nil)), r.run(r.engine(nil))
		r.pushMany(0, 100)
		seen := map[string]int{}
		for _, one := range r.arrive(got, 100) {
			seen[one.header.Get("X-Hook-Id")]++
		}
		stopOne()
		stopTwo()
		if len(seen) != 100 || len(got) != 0 {
			r.Errorf("%d different events arrived, %d more requests", len(seen), len(got))
		}
		r.wantNothingLeft()
	})
}

func TestAFailedAttemptIsRepeatedUntilItSucceeds(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, statuses(500, 404, 200))
		id := r.subscribe("a", "contact.create", url)
		stop := r.run(r.engine(nil))
		r.push(event(1))
		for i, one := range r.arrive(got, 3) {
			if n := one.header.Get("X-Hook-Attempt"); n != fmt.Sprint(i+1) {
				r.Errorf("attempt %d says %s", i+1, n)
			}
			if one.header.Get("Webhook-Id") != "e1" || one.header.Get("X-Hook-Sequence") != "1" {
				r.Errorf("attempt %d: %v", i+1, one.header)
			}
		}
		stop()
		if n := r.client.XLen(r.Context(), r.lane.Attempts(id)).Val(); n != 3 {
			r.Errorf("%d attempts recorded, want 3", n)
		}
		r.wantNothingLeft()
	})
}

func TestADeliveryOutOfAttemptsBecomesADeadLetterAndARedeliveryBringsItBack(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, statuses(500, 500, 500, 200))
		id := r.subscribe("a", "contact.create", url)
		e := r.engine(nil)
		stop := r.run(e)
		r.push(event(1))
		r.arrive(got, 3)
		r.eventually("a dead letter", func() bool { return r.client.ZCard(r.Context(), r.lane.Dead(id)).Val() == 1 })
		job := must(r.operations().Redeliver(r.Context(), id, subscriptions.Redelivery{Missed: true}))
		if one := r.arrive(got, 1)[0]; one.header.Get("X-Hook-Attempt") != "2" {
			r.Errorf("redelivered as attempt %s", one.header.Get("X-Hook-Attempt"))
		}
		r.eventually("the end of the redelivery", func() bool {
			return must(r.operations().Redelivery(r.Context(), id, job.ID)).State == subscriptions.RedeliveryDone
		})
		stop()
		r.wantNothingLeft()
	})
}

func TestARedirectIsADeadLetterAtOnce(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, statuses(302))
		id := r.subscribe("a", "contact.create", url)
		stop := r.run(r.engine(nil))
		r.push(event(1))
		r.arrive(got, 1)
		stop()
		if n := r.client.ZCard(r.Context(), r.lane.Dead(id)).Val(); n != 1 {
			r.Errorf("%d dead letters, want 1", n)
		}
	})
}

func TestA410RemovesTheSubscription(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, statuses(410))
		id := r.subscribe("a", "contact.create", url)
		r.pushMany(0, 30)
		stop := r.run(r.engine(func(o *Options) { o.PerSubscription = 1 }))
		r.arrive(got, 1)
		r.eventually("the subscription and its deliveries are gone", func() bool {
			return len(r.keys("subscription:"))+r.stored()+len(r.keys("purge")) == 0
		})
		stop()
		if len(got) != 0 {
			r.Errorf("%d more requests for %s after 410", len(got), id)
		}
		r.wantNothingLeft()
	})
}

// unremovable is a store that cannot be asked.
type unremovable struct{}

func (unremovable) Remove(context.Context, string) error { return errors.New("away") }

func TestA410WhoseSubscriptionCannotBeRemovedIsAskedAgain(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	url, got := receive(r, statuses(410))
	id := r.subscribe("a", "contact.create", url)
	stop := r.run(r.engine(func(o *Options) { o.Subscriptions = unremovable{} }))
	r.push(event(1))
	r.arrive(got, 1)
	stop()
	if n := r.client.ZCard(r.Context(), r.lane.Retry(id)).Val(); n != 1 {
		r.Errorf("%d retries, want 1", n)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
		})
		id := r.subscribe("a", "contact.create", url)
		stop := r.run(r.engine(nil))
		r.push(event(1))
		r.arrive(got, 1)
		stop()
		due := must(r.client.ZScore(r.Context(), r.lane.Retry(id), "e1").Result())
		if in := time.Until(time.UnixMilli(int64(due))); in < 59*time.Minute || in > time.Hour {
			r.Errorf("due in %s, want 1 h", in)
		}
	})
}

func TestAnInactiveSubscriptionIsServedOnceActive(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, status(200))
		id := r.subscribe("a", "contact.create", url)
		r.setActive(id, "0")
		stop := r.run(r.engine(nil))
		r.pushMany(0, 10)
		r.eventually("dispatched", func() bool { return r.client.ZCard(r.Context(), r.lane.Queue(id)).Val() == 10 })
		if len(got) != 0 {
			r.Fatal("delivered while inactive")
		}
		r.setActive(id, "1")
		r.arrive(got, 10)
		stop()
		r.wantNothingLeft()
	})
}

func TestWhatAnInactiveSubscriptionKeepsCanBeChangedWhileRunning(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://127.0.0.1:1")
		r.setActive(id, "0")
		e := r.engine(func(o *Options) { o.MaxBacklog = 2 })
		r.run(e)
		e.Keep(5, 0)
		r.pushMany(0, 20)
		r.eventually("dispatched", func() bool { return r.field(id, "dropped") == "15" })
		e.Keep(0, 0)
		r.pushMany(20, 30)
		r.eventually("dispatched", func() bool { return r.client.ZCard(r.Context(), r.lane.Queue(id)).Val() == 15 })
	})
}

func TestDeletingASubscriptionFreesWhatItHad(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://127.0.0.1:1")
		r.setActive(id, "0")
		r.pushMany(0, 3*purgeChunk)
		r.run(r.engine(nil))
		r.eventually("dispatched", func() bool { return r.client.ZCard(r.Context(), r.lane.Queue(id)).Val() == 3*purgeChunk })
		r.remove(id)
		r.eventually("purged", func() bool { return r.stored()+len(r.keys("purge")) == 0 })
	})
}

func TestLanesWorkSideBySide(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		lanes := layout.Layout{Lanes: 4}
		url, got := receive(r, status(200))
		r.run(r.engine(func(o *Options) { o.Layout = lanes }))
		for _, l := range lanes.All() {
			r.lane = l
			r.subscribe("a", "contact.create", url)
			e := event(1)
			e.ID = fmt.Sprint("lane", l.Number)
			r.push(e)
		}
		seen := map[string]bool{}
		for _, one := range r.arrive(got, 4) {
			seen[one.header.Get("X-Hook-Id")] = true
		}
		if len(seen) != 4 {
			r.Errorf("arrived: %v", seen)
		}
	})
}

func TestAWrongOptionIsRefusedByName(t *testing.T) {
	_, err := New(Options{Workers: -1, Timeout: -1, Schedule: Schedule{0}})
	for _, want := range []string{"Client", "Subscriptions", "Workers", "Timeout", "schedule"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

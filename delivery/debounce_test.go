package delivery

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/hookproxy/hookproxy/subscriptions"
)

func (r *rig) subscribeDebounced(name string, wait time.Duration, fields ...any) string {
	r.Helper()
	id := r.subscribe(name, "contact.create", "http://"+name)
	r.set(id, append(fields, "debounce", wait.Milliseconds())...)
	return id
}

// wantNext claims and wants just these events, which it has delivered.
func (r *rig) wantNext(want string) {
	r.Helper()
	c := r.take(50).deliveries
	if got := ids(c); got != want {
		r.Fatalf("claimed %q, want %q", got, want)
	}
	for _, d := range c {
		r.end(d, stepDelivered, 0)
	}
}

func TestTheLatestEventOfAWindowIsTheOneDelivered(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribeDebounced("a", 15*time.Second)
		r.push(about(1, "x"), about(2, "y"))
		r.dispatchAll()
		r.pass(10 * time.Second)
		r.push(about(3, "x"))
		if d := r.dispatchAll(); d.replaced != 1 {
			r.Errorf("replaced %d, want 1", d.replaced)
		}
		if c := r.take(5); len(c.deliveries) != 0 || c.due <= 4*time.Second || c.due > 5*time.Second {
			r.Fatalf("claimed %s, due in %s", ids(c.deliveries), c.due)
		}
		r.pass(5 * time.Second) // from the first event on, not from the latest
		c := r.take(5).deliveries
		if ids(c) != "e3 e2" && ids(c) != "e2 e3" || c[0].sequence != 1 || c[1].sequence != 2 {
			r.Fatalf("claimed %s; sequences count what is delivered", ids(c))
		}
		// What is under way already is not replaced.
		r.push(about(4, "x"))
		r.dispatchAll()
		for _, d := range c {
			r.end(d, stepRetry, time.Second)
			r.pass(time.Millisecond) // so that they are due in this order
		}
		r.pass(2 * time.Second)
		r.wantNext(ids(c))
		r.pass(15 * time.Second)
		r.wantNext("e4")
		r.wantNothingLeft()
		if q := must(r.operations().Queues(r.Context(), id))[0]; q.Replaced != 1 || q.Sequence != 3 {
			r.Errorf("the queue shows %+v", q)
		}
	})
}

func TestASteadyStreamIsNotStarved(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.subscribeDebounced("a", 15*time.Second)
		delivered := 0
		for i := range 60 { // one a second
			r.push(about(i, "x"))
			r.dispatchAll()
			for _, d := range r.take(5).deliveries {
				r.end(d, stepDelivered, 0)
				delivered++
			}
			r.pass(time.Second)
		}
		if delivered < 3 {
			r.Errorf("%d were delivered in a minute of windows of 15 s", delivered)
		}
	})
}

func TestEventsOfOtherNamesAndOfNothingAreNotReplaced(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribeDebounced("a", 15*time.Second)
		r.client.SAdd(r.Context(), r.lane.Subscribers("contact.update", "42"), id)
		other := about(2, "x")
		other.Name = "contact.update"
		r.push(about(1, "x"), other, about(3, ""), about(4, ""))
		r.dispatchAll()
		r.wantNext("e3 e4") // at once
		r.pass(15 * time.Second)
		c := r.take(5).deliveries
		if got := ids(c); got != "e1 e2" && got != "e2 e1" {
			r.Fatalf("claimed %q", got)
		}
		for _, d := range c {
			r.end(d, stepDelivered, 0)
		}
		r.wantNothingLeft()
	})
}

func TestAReplacedEventIsFreedUnlessOthersWaitForIt(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribeDebounced("a", 15*time.Second)
		r.push(about(1, "x"), about(2, "x"), about(2, "x"), about(1, "x"))
		if d := r.dispatchAll(); d.duplicates != 2 {
			r.Errorf("%+v; what was replaced is known", d)
		}
		if n := r.stored(); n != 1 {
			r.Errorf("%d events are stored, want the latest alone", n)
		}
		if size := r.client.HStrLen(r.Context(), r.lane.Stored(), "e2").Val(); r.field(id, "bytes") != fmt.Sprint(size) {
			r.Errorf("%s bytes wait, want %d", r.field(id, "bytes"), size)
		}
		r.subscribe("b", "contact.create", "http://b")
		r.push(about(3, "x"), about(4, "x"))
		r.dispatchAll()
		r.wantNext("e3 e4") // to b
		r.pass(15 * time.Second)
		r.wantNext("e4")
		r.wantNothingLeft()
		if r.field(id, "bytes") != "0" {
			r.Errorf("%s bytes wait of nothing", r.field(id, "bytes"))
		}
	})
}

func TestAPausedSubscriptionsWindowsEndAllTheSame(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribeDebounced("a", 15*time.Second)
		r.setActive(id, "0")
		r.backlog.most.Store(3)
		for i := range 5 {
			r.push(about(2*i, "x"), about(2*i+1, "x"))
			r.dispatchAll()
			r.pass(16 * time.Second)
		}
		if q := must(r.operations().Queues(r.Context(), id))[0]; q.Waiting+q.Debounced != 3 || q.Dropped != 2 || q.Replaced != 5 {
			r.Errorf("%+v; what is kept is bounded, windows and all", q)
		}
		r.setActive(id, "1")
		r.wantNext("e5 e7 e9")
		r.wantNothingLeft()
	})
}

func TestWindowsAreDroppedPurgedAndKeptLikeTheRest(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id, ops := r.subscribeDebounced("a", 15*time.Second), r.operations()
		r.push(about(1, "x"), about(2, "y"), about(3, "z"))
		r.dispatchAll()
		if page := r.missed(id, subscriptions.MissedQuery{Limit: 10}); len(page.List) != 0 {
			r.Errorf("missed is %s, before it is due", told(page.List))
		}
		if _, err := ops.Redeliver(r.Context(), id, subscriptions.Redelivery{Event: "e1"}); err != nil {
			r.Errorf("redeliver what waits: %v", err)
		}
		r.step()
		if n, _, err := ops.Drop(r.Context(), id, DropWaiting, "e2"); n != 1 || err != nil {
			r.Errorf("dropped %d, %v", n, err)
		}
		if n, _, err := ops.Acknowledge(r.Context(), id, 100); n != 0 || err != nil {
			r.Errorf("acknowledged %d that have no sequence, %v", n, err)
		}
		r.set(id, "debounce", "") // what waits, waits on
		r.pass(15 * time.Second)
		r.push(about(4, "x"))
		r.dispatchAll()
		if got := ids(r.take(5).deliveries); got != "e1 e3 e4" && got != "e3 e1 e4" {
			r.Errorf("claimed %s", got)
		}
		r.set(id, "debounce", 15000)
		r.push(about(5, "x"), about(6, "y"))
		r.dispatchAll()
		if n, _, err := ops.Drop(r.Context(), id, DropWaiting, ""); n != 2 || err != nil {
			r.Errorf("dropped %d, %v", n, err)
		}
		r.push(about(7, "x"), about(8, "y"))
		r.dispatchAll()
		r.remove(id)
		for must(r.purge(r.Context())) > 0 {
		}
		r.pass(leaseFor + time.Second)
		r.take(5)
		r.wantNothingLeft()
	})
}

func TestOrderIsKeptAmongWhatWindowsLeave(t *testing.T) {
	for _, order := range []string{"1", "resource"} {
		t.Run(order, func(t *testing.T) {
			onEachRedis(t, func(r *rig) {
				r.subscribeDebounced("a", 15*time.Second, "ordered", order)
				r.push(about(1, "x"))
				r.dispatchAll()
				r.pass(15 * time.Second)
				first := r.takeOne()
				r.push(about(2, "x"), about(3, "x"))
				r.dispatchAll()
				r.pass(15 * time.Second)
				if c := r.take(5).deliveries; len(c) > 0 {
					r.Fatalf("%s passed e1", ids(c))
				}
				r.end(first, stepRetry, time.Minute)
				r.pass(time.Minute)
				r.wantNext("e1")
				r.wantNext("e3")
				r.wantNothingLeft()
			})
		})
	}
}

func TestTheEngineWakesForTheEndOfAWindow(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		url, got := receive(t, status(http.StatusOK))
		r.set(r.subscribe("a", "contact.create", url), "debounce", 200)
		r.run(r.engine(nil))
		start := time.Now()
		r.push(about(1, "x"))
		r.eventually("the first is dispatched", func() bool { return r.stored() == 1 })
		r.push(about(2, "x"))
		one := r.arrive(got, 1)[0]
		if took := time.Since(start); took < 200*time.Millisecond || took > 3*time.Second {
			t.Errorf("it took %s", took)
		}
		if body := string(one.body); !strings.Contains(body, `"data":{"id":2}`) || one.header.Get("X-Hook-Sequence") != "1" {
			t.Errorf("posted %s with %v", body, one.header)
		}
	})
}

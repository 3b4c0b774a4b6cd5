package delivery

import (
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
)

func TestTheBacklogTellsWhatWaitsAndForHowLong(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		read := func() []Backlog { return must(ReadBacklog(r.Context(), r.client, layout.Layout{})) }
		if b := read(); len(b) != 1 || b[0] != (Backlog{}) {
			r.Fatalf("an empty store: %+v", b)
		}
		r.subscribe("a", "contact.create", "http://a")
		r.subscribe("b", "contact.create", "http://b")
		old := event(1)
		old.Time = time.Now().Add(-time.Hour)
		r.push(old)
		r.pushRaw([]byte("unreadable"))
		r.dispatchAll()
		r.pushMany(2, 5)
		r.take(1) // b's or a's
		d := r.takeOne()
		r.end(d, stepRetry, time.Minute)
		b := read()[0]
		if b.Events != 3 || b.Parked != 1 || b.InFlight != 1 || b.Waiting != 1 || b.Runnable != 0 || b.Deliveries != 1 || b.Partial {
			r.Errorf("backlog %+v", b)
		}
		if b.Oldest < 59*time.Minute || b.Oldest > 61*time.Minute {
			r.Errorf("the oldest has waited %s, want 1 h", b.Oldest)
		}
	})
}

func TestARedisWithoutMemoryLosesNothing(t *testing.T) {
	r := newRig(t, redistest.Real(t))
	r.subscribe("a", "contact.create", "http://a")
	r.push(event(1))
	r.dispatchAll()
	r.push(event(2))
	limit := func(bytes string) {
		if err := r.client.ConfigSet(r.Context(), "maxmemory", bytes).Err(); err != nil {
			r.Fatal(err)
		}
	}
	limit("1")
	if d, err := r.dispatch(r.Context(), dispatchEvents); err == nil {
		r.Fatalf("dispatched %+v without memory", d)
	}
	if n := r.client.LLen(r.Context(), r.lane.Events()).Val(); n != 1 {
		r.Errorf("%d events on the list, want the one refused", n)
	}
	// What frees memory goes on.
	if got := r.end(r.takeOne(), stepDelivered, 0); got != "ok" {
		r.Errorf("finish: %s", got)
	}
	limit("0")
	r.dispatchAll()
	r.end(r.takeOne(), stepDelivered, 0)
	r.wantNothingLeft()
	if n := r.client.LLen(r.Context(), r.lane.Parked()).Val(); n != 0 {
		r.Errorf("%d parked", n)
	}
}

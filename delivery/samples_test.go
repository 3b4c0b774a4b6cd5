package delivery

import (
	"strconv"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/internal/redistest"
)

func TestSamplesAreKeptForWhoeverAsked(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.client.Set(r.Context(), r.lane.Sampling("42"), 2, 0)
		other := event(9)
		other.User = "7"
		r.push(event(1), event(2), other)
		r.push(event(3)) // by another call, and to a subscription
		r.subscribe("a", "contact.create", "http://a")
		r.dispatchAll()
		var ids []string
		for _, element := range r.client.LRange(r.Context(), r.lane.Samples("contact.create", "42"), 0, -1).Val() {
			e, err := events.Decode([]byte(element))
			if err != nil || string(e.Payload) != `{"id":`+strings.TrimPrefix(e.ID, "e")+`}` {
				r.Errorf("kept %s: %v", element, err)
			}
			ids = append(ids, e.ID)
		}
		if strings.Join(ids, " ") != "e3 e2" {
			r.Errorf("kept %q, want the last two, the newest first", ids)
		}
		if ttl := r.client.TTL(r.Context(), r.lane.Samples("contact.create", "42")).Val(); ttl <= 0 {
			r.Errorf("they are kept for %s", ttl)
		}
		if kept := r.keys("samples:"); len(kept) != 1 {
			r.Errorf("kept %q; nobody else asked", kept)
		}
	})
}

func TestWhatMakesNoSampleIsDeliveredAllTheSame(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.client.Set(r.Context(), r.lane.Sampling("42"), "3", 0)
		r.subscribe("a", "contact.create", "http://a")
		large, empty, odd := event(1), event(2), event(3)
		large.Payload = []byte(`"` + strings.Repeat("x", 16<<10) + `"`)
		empty.Payload, empty.Omitted = nil, "too_large"
		r.push(large, empty)
		r.dispatchAll()
		if kept := r.keys("samples:"); len(kept) != 0 {
			r.Errorf("kept %q", kept)
		}
		// A key of another kind in the samples' place parks nothing.
		r.client.Set(r.Context(), r.lane.Samples("contact.create", "42"), "x", 0)
		r.push(odd)
		if d := r.dispatchAll(); d.deliveries != 1 || d.parked != 0 {
			r.Errorf("dispatched %+v", d)
		}
		if got := len(r.take(10).deliveries); got != 3 {
			r.Errorf("%d deliveries", got)
		}
	})
}

// What keeping samples adds to a dispatch: nobody asks, and everybody does.
func BenchmarkDispatchWithSamples(b *testing.B) {
	for name, sampling := range map[string]int{"nobody asked": 0, "everybody asked": 3} {
		b.Run(name, func(b *testing.B) {
			s := redistest.Real(b)
			r := newRig(b, s)
			r.subscribe("a", "contact.create", "http://a")
			if sampling > 0 {
				s.Client.Set(b.Context(), r.lane.Sampling("42"), sampling, 0)
			}
			payload := []byte(`{"id":1,"name":"` + strings.Repeat("x", 500) + `"}`)
			const batch = 100
			done := 0
			for b.Loop() {
				b.StopTimer()
				all := make([]events.Event, batch)
				for i := range all {
					all[i] = event(1)
					all[i].ID, all[i].Payload = "e"+strconv.Itoa(done), payload
					done++
				}
				r.push(all...)
				b.StartTimer()
				r.dispatchAll()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(done), "µs/event")
		})
	}
}

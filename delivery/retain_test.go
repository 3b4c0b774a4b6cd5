package delivery

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestDeadLettersExpireAfterTheirTimeInBoundedParts(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.cap, r.breakAfter = 2*purgeChunk, 0
		id := r.subscribe("a", "contact.create", "http://a")
		other := r.subscribe("b", "deal.create", "http://b")
		kill := func() {
			for c := r.take(64); len(c.deliveries) > 0; c = r.take(64) {
				for _, d := range c.deliveries {
					r.end(d, stepDead, 0)
				}
			}
		}
		r.pushMany(0, purgeChunk+10)
		r.dispatchAll()
		kill()
		r.pass(r.retain / 2)
		late := event(5000)
		later := event(5001)
		later.Name = "deal.create"
		r.push(late, later)
		r.dispatchAll()
		kill()
		if c := r.take(1); c.expired || must(r.expire(r.Context())) != 0 {
			r.Fatal("expired before its time")
		}
		r.pass(r.retain/2 + time.Minute)
		if c := r.take(1); !c.expired {
			r.Fatal("claim does not tell that dead letters have expired")
		}
		if gone := must(r.expire(r.Context())); gone != purgeChunk {
			r.Errorf("%d in the first part, want %d", gone, purgeChunk)
		}
		if gone := must(r.expire(r.Context())); gone != 10 {
			r.Errorf("%d in the second part, want 10", gone)
		}
		if c := r.take(1); c.expired || r.stored() != 2 || r.field(id, "expired") == "" || r.field(other, "expired") != "" {
			r.Errorf("expired still %v; %d events left, want the two later ones", c.expired, r.stored())
		}
		r.pass(r.retain)
		must(r.expire(r.Context()))
		r.wantNothingLeft()
	})
}

func TestAnEngineCountsWhatExpires(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.subscribe("a", "contact.create", "http://a")
		r.push(event(1))
		r.dispatchAll()
		r.end(r.takeOne(), stepDead, 0)
		r.pass(time.Hour + time.Minute)
		m := NewMetrics(prometheus.NewRegistry())
		r.run(r.engine(func(o *Options) { o.Retain, o.Metrics = time.Hour, m }))
		r.eventually("the dead letter is counted", func() bool { return testutil.ToFloat64(m.expired) == 1 })
		r.wantNothingLeft()
	})
}

func TestAQueueOfAnActiveSubscriptionIsBoundedAndTheLossIsCounted(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.maxQueued = 50
		id := r.subscribe("a", "contact.create", "http://a")
		r.pushMany(0, 60)
		if d := r.dispatchAll(); d.overflowed != 10 || d.dropped != 0 {
			r.Fatalf("dispatched %+v, want 10 lost", d)
		}
		if n := r.client.ZCard(r.Context(), r.lane.Queue(id)).Val(); n != 50 || r.stored() != 50 || r.field(id, "dropped") != "10" {
			r.Errorf("%d wait, %d events stored; want 50", n, r.stored())
		}
		if d := r.takeOne(); d.event.ID != "e10" {
			r.Errorf("%s is first, want the oldest kept", d.event.ID)
		}
	})
}

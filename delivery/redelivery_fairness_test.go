package delivery

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/hookproxy/hookproxy/subscriptions"
)

// While 10,000 dead letters are redelivered, news of the same subscription and of
// another is claimed at once: before more than one redelivered delivery for each.
func TestARedeliveryOfTenThousandLeavesTheWayToNews(t *testing.T) {
	r := newRig(t, redistest.Real(t))
	const dead, rounds, live = 10_000, 50, 8
	r.cap, r.breakAfter = claimMost, 0
	id := r.subscribe("a", "contact.create", "http://a")
	r.bury(0, dead)
	r.subscribeUser("b", "77", "contact.create", "http://b")
	r.redeliverNow(id, subscriptions.Redelivery{Missed: true})
	next, old, oldBefore := dead, 0, 0
	for range rounds {
		news := map[string]bool{}
		for range live {
			mine, others := event(next), event(next+1)
			others.User = "77"
			next += 2
			r.push(mine, others)
			news[mine.ID], news[others.ID] = true, true
		}
		r.dispatchAll()
		// As many workers are free as there is news, and half as many again.
		for len(news) > 0 {
			c := must(r.claim(r.Context(), 3*live, 3*live/2))
			for _, d := range c.deliveries {
				if news[d.event.ID] {
					delete(news, d.event.ID)
				} else {
					old++
					if len(news) > 0 {
						oldBefore++
					}
				}
				r.end(d, stepDelivered, 0)
			}
		}
		r.pass(redeliverStep)
		r.step()
	}
	t.Logf("%d live deliveries; %d of %d redelivered ones were claimed before the last live one of their round", 2*rounds*live, oldBefore, old)
	if old == 0 || oldBefore > rounds*2*live {
		r.Errorf("%d redelivered ones came before %d live ones; %d in all", oldBefore, 2*rounds*live, old)
	}
}

// BenchmarkNewsBesideARedelivery tells how long an event takes from being pushed
// to its arrival at a target that takes 10 ms, without and with 10,000 dead letters
// of the same subscription being redelivered.
func BenchmarkNewsBesideARedelivery(b *testing.B) {
	if b.N > 1 {
		return // one measurement says it all
	}
	alone, _ := newsMedian(b, 0)
	beside, again := newsMedian(b, 10_000)
	b.ReportMetric(float64(alone.Microseconds()), "µs-alone")
	b.ReportMetric(float64(beside.Microseconds()), "µs-beside-a-redelivery")
	b.ReportMetric(again, "redelivered/s")
}

func newsMedian(b *testing.B, dead int) (median time.Duration, redelivered float64) {
	r := newRig(b, redistest.Real(b))
	arrived, old := make(chan time.Time, 1000), new(atomic.Int64)
	url := serve(b, func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		if strings.HasPrefix(req.Header.Get("X-Hook-Id"), "news") {
			arrived <- time.Now()
		} else {
			old.Add(1)
		}
		<-time.After(10 * time.Millisecond)
	})
	id := r.subscribe("a", "contact.create", url)
	if dead > 0 {
		r.cap, r.breakAfter = claimMost, 0
		r.bury(0, dead)
	}
	stop := r.run(r.engine(nil))
	if dead > 0 {
		must(r.operations().Redeliver(b.Context(), id, subscriptions.Redelivery{Missed: true}))
		r.eventually("the redelivery", func() bool { return old.Load() > redeliverWindow })
	}
	start, before := time.Now(), old.Load()
	var took []time.Duration
	for i := range 200 {
		e := event(0)
		e.ID = fmt.Sprint("news", i)
		pushed := time.Now()
		r.push(e)
		took = append(took, (<-arrived).Sub(pushed))
	}
	again := float64(old.Load()-before) / time.Since(start).Seconds()
	stop()
	slices.Sort(took)
	return took[len(took)/2], again
}

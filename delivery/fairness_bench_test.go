package delivery

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

// BenchmarkFastSubscribersBesideASlowOne tells how long an event takes from
// being pushed to its arrival at one of 99 fast subscribers, without and with
// one beside them that has 10,000 events waiting and does not answer.
func BenchmarkFastSubscribersBesideASlowOne(b *testing.B) {
	alone, beside := fastMedian(b, false), fastMedian(b, true)
	b.ReportMetric(float64(alone.Microseconds()), "µs-alone")
	b.ReportMetric(float64(beside.Microseconds()), "µs-beside-a-slow-one")
	b.ReportMetric(float64(beside)/float64(alone), "times")
}

func fastMedian(b *testing.B, slow bool) time.Duration {
	b.Helper()
	r := newRig(b, redistest.Real(b))
	arrived := make(chan time.Time, 1000)
	fast := serve(b, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- time.Now()
	})
	reached := make(chan received, DefaultPerSubscription)
	stuck := serve(b, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		reached <- received{}
		<-r.Context().Done()
	})
	if slow {
		r.subscribeUser("slow", "slow", "contact.create", stuck)
		for i := range 10_000 {
			e := event(i)
			e.ID, e.User = fmt.Sprintf("s%d", i), "slow"
			r.pushRaw(must(e.Encode()))
		}
	}
	for i := range 99 {
		r.subscribeUser(fmt.Sprint("fast", i), fmt.Sprint("fast", i), "contact.create", fast)
	}
	r.dispatchAll()
	stop := r.run(r.engine(func(o *Options) { o.DrainTimeout = time.Millisecond }))
	if slow {
		r.arrive(reached, DefaultPerSubscription)
	}
	const rounds = 20
	took := make([]time.Duration, 0, 99*rounds)
	for round := range rounds {
		for i := range 99 {
			e := event(0)
			e.ID, e.User = fmt.Sprintf("f%d-%d", round, i), fmt.Sprint("fast", i)
			start := time.Now()
			r.push(e)
			took = append(took, (<-arrived).Sub(start))
		}
	}
	stop()
	slices.Sort(took)
	return took[len(took)/2]
}

func serve(b *testing.B, handler http.HandlerFunc) string {
	server := httptest.NewServer(handler)
	b.Cleanup(server.Close)
	return server.URL
}

package delivery

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

// The engine beside the least that could do the same POSTs: a bare client loop
// with the same concurrency, which keeps, signs and retries nothing.

func countingReceiver(b *testing.B, want int64) (string, <-chan struct{}) {
	all, count := make(chan struct{}), new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if count.Add(1) == want {
			close(all)
		}
	}))
	b.Cleanup(server.Close)
	return server.URL, all
}

func BenchmarkEngine(b *testing.B) {
	for _, subscriptions := range []int{1, 16} {
		b.Run(fmt.Sprint("subscriptions=", subscriptions), func(b *testing.B) {
			r := newRig(b, redistest.Real(b))
			url, all := countingReceiver(b, int64(b.N*subscriptions))
			for i := range subscriptions {
				r.subscribe(fmt.Sprint("s", i), "contact.create", url)
			}
			r.pushMany(0, b.N)
			before, spent := commandsOf(b, r)
			e := r.engine(func(o *Options) { o.PerSubscription = DefaultWorkers })
			b.ReportAllocs()
			b.ResetTimer()
			stop := r.run(e)
			<-all
			b.StopTimer()
			stop()
			deliveries := float64(b.N * subscriptions)
			b.ReportMetric(deliveries/b.Elapsed().Seconds(), "deliveries/s")
			calls, usec := commandsOf(b, r)
			b.ReportMetric((calls-before)/deliveries, "round-trips/delivery")
			b.ReportMetric((usec-spent)/deliveries, "redis-µs/delivery")
		})
	}
}

// commandsOf counts what processes sent, as opposed to what scripts called, and
// the µs that scripts took.
func commandsOf(b *testing.B, r *rig) (calls, usec float64) {
	info, err := r.client.Info(context.Background(), "commandstats").Result()
	if err != nil {
		b.Fatal(err)
	}
	for _, line := range strings.Split(info, "\n") {
		for _, name := range []string{"evalsha", "eval", "blpop"} {
			var n, took float64
			if read, _ := fmt.Sscanf(line, "cmdstat_"+name+":calls=%f,usec=%f,", &n, &took); read == 2 {
				calls += n
				if name != "blpop" {
					usec += took
				}
			}
		}
	}
	return calls, usec
}

// BenchmarkBesideABareClient takes turns with a bare client loop, against the
// same receiver and with the same concurrency: one that answers at once, which
// no real one does, and one that answers after 10 ms.
func BenchmarkBesideABareClient(b *testing.B) {
	for _, answer := range []time.Duration{0, 10 * time.Millisecond} {
		b.Run(fmt.Sprint("answers-after=", answer), func(b *testing.B) {
			const rounds = 4
			part := max(b.N/rounds, 1)
			var engine, bare time.Duration
			r := newRig(b, redistest.Real(b))
			for range rounds {
				url, got := slowReceiver(b, answer)
				id := r.subscribe("s", "contact.create", url)
				r.pushMany(0, part)
				all := got.at(int64(part))
				start := time.Now()
				stop := r.run(r.engine(func(o *Options) { o.PerSubscription = DefaultWorkers }))
				<-all
				engine += time.Since(start)
				stop()
				r.remove(id)
				r.client.FlushAll(b.Context())
				start = time.Now()
				bareLoop(b, url, part)
				bare += time.Since(start)
			}
			n := float64(part * rounds)
			b.ReportMetric(n/engine.Seconds(), "deliveries/s")
			b.ReportMetric(n/bare.Seconds(), "bare/s")
			b.ReportMetric(float64(bare)/float64(engine), "of-bare")
		})
	}
}

// arrivals closes a channel at each count that somebody waits for.
type arrivals struct {
	count atomic.Int64
	mu    sync.Mutex
	marks map[int64]chan struct{}
}

func (a *arrivals) at(count int64) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	mark := make(chan struct{})
	a.marks[count] = mark
	return mark
}

func (a *arrivals) one() {
	n := a.count.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	if mark := a.marks[n]; mark != nil {
		close(mark)
	}
}

func slowReceiver(b *testing.B, answer time.Duration) (string, *arrivals) {
	a := &arrivals{marks: map[int64]chan struct{}{}}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if answer > 0 {
			<-time.After(answer)
		}
		a.one()
	}))
	b.Cleanup(server.Close)
	return server.URL, a
}

func bareLoop(b *testing.B, url string, count int) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = DefaultWorkers
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	payload, next := string(event(1).Payload), new(atomic.Int64)
	var wg sync.WaitGroup
	for range DefaultWorkers {
		wg.Go(func() { // ends when all are posted
			for next.Add(1) <= int64(count) {
				res, err := client.Post(url, "application/json", strings.NewReader(payload))
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		})
	}
	wg.Wait()
}

// BenchmarkBacklog tells what Redis keeps for a delivery that waits, beyond its payload.
func BenchmarkBacklog(b *testing.B) {
	const deliveries = 100_000
	for _, subscribers := range []int{1, 10} {
		b.Run(fmt.Sprint("subscribers=", subscribers), func(b *testing.B) {
			if b.N > 1 {
				return // one measurement says it all
			}
			beyond := newRig(b, redistest.Real(b)).fillBacklog(subscribers, deliveries)
			b.ReportMetric(beyond, "B/waiting-delivery")
		})
	}
}

func usedMemory(r *rig) float64 {
	var bytes float64
	for _, line := range strings.Split(must(r.client.Info(r.Context(), "memory").Result()), "\n") {
		_, _ = fmt.Sscanf(line, "used_memory:%f", &bytes)
	}
	return bytes
}

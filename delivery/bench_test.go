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
			before := commandsOf(b, r)
			e := r.engine(func(o *Options) { o.PerSubscription = DefaultWorkers })
			b.ReportAllocs()
			b.ResetTimer()
			stop := r.run(e)
			<-all
			b.StopTimer()
			stop()
			deliveries := float64(b.N * subscriptions)
			b.ReportMetric(deliveries/b.Elapsed().Seconds(), "deliveries/s")
			b.ReportMetric((commandsOf(b, r)-before)/deliveries, "round-trips/delivery")
		})
	}
}

// commandsOf counts what processes sent, as opposed to what scripts called.
func commandsOf(b *testing.B, r *rig) float64 {
	info, err := r.client.Info(context.Background(), "commandstats").Result()
	if err != nil {
		b.Fatal(err)
	}
	total := 0
	for _, line := range strings.Split(info, "\n") {
		for _, name := range []string{"evalsha", "eval", "blpop"} {
			var calls int
			if n, _ := fmt.Sscanf(line, "cmdstat_"+name+":calls=%d,", &calls); n == 1 {
				total += calls
			}
		}
	}
	return float64(total)
}

func BenchmarkBareClient(b *testing.B) {
	url, all := countingReceiver(b, int64(b.N))
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = DefaultWorkers
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	payload, next := string(event(1).Payload), new(atomic.Int64)
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for range DefaultWorkers {
		wg.Go(func() { // ends when all are posted
			for next.Add(1) <= int64(b.N) {
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
	<-all
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
}

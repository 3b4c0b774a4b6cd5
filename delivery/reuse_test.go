package delivery

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// reused counts how many connections two rounds of deliveries to one host take, all
// of a round at once.
func reused(t *testing.T, atOnce int) int64 {
	t.Helper()
	var opened atomic.Int64
	var round sync.WaitGroup
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		round.Done()
		round.Wait() // so that no connection is free for another of the same round
	}))
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		opened.Add(1)
		return ctx
	}
	server.Start()
	t.Cleanup(server.Close)
	s := testSender(t, nil)
	for range 2 {
		round.Add(atOnce)
		var sends sync.WaitGroup
		for range atOnce {
			sends.Go(func() { // ends with the exchange
				if a := s.send(t.Context(), testDelivery(server.URL)); a.outcome != Delivered {
					t.Errorf("attempt: %+v", a)
				}
			})
		}
		sends.Wait()
	}
	return opened.Load()
}

func TestConnectionsToAHostOfManySubscriptionsAreKept(t *testing.T) {
	const atOnce = DefaultWorkers // of which one subscription would have DefaultPerSubscription
	if n := reused(t, atOnce); n > atOnce {
		t.Errorf("%d connections opened for %d deliveries at once, twice", n, atOnce)
	}
}

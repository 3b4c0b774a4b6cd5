package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

// tally is a receiver that counts deliveries by the id in their data, and can
// hold them.
type tally struct {
	server *httptest.Server
	hold   chan struct{} // closed: deliveries are answered
	held   chan struct{} // told of each delivery that is held

	mu   sync.Mutex
	seen map[int]int
	want int
	done chan struct{} // closed when `want` different ids have been seen
}

func newTally(t *testing.T, want int) *tally {
	t.Helper()
	c := &tally{seen: map[int]int{}, want: want, done: make(chan struct{}),
		hold: make(chan struct{}), held: make(chan struct{}, 10*want)}
	c.server = httptest.NewServer(c)
	t.Cleanup(func() { c.release(); c.server.Close() })
	return c
}

// release lets held and later deliveries be answered.
func (c *tally) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.hold:
	default:
		close(c.hold)
	}
}

func (c *tally) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var hook struct{ Data struct{ ID int } }
	if err := json.NewDecoder(r.Body).Decode(&hook); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	select {
	case <-c.hold:
	default:
		c.held <- struct{}{}
		select {
		case <-c.hold:
		case <-r.Context().Done():
		}
		return // to a sender that is dead by then
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[hook.Data.ID]++
	if len(c.seen) == c.want && c.seen[hook.Data.ID] == 1 {
		close(c.done)
	}
}

// await waits until every id has been delivered, and answers how many came
// more than once.
func (c *tally) await(t *testing.T, i *instance) (repeated int) {
	t.Helper()
	select {
	case <-c.done:
	case <-time.After(patience):
		c.mu.Lock()
		defer c.mu.Unlock()
		t.Fatalf("%d of %d were delivered\n%s", len(c.seen), c.want, i.log)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, times := range c.seen {
		if times > 1 {
			repeated++
		}
	}
	return repeated
}

func TestAThousandWaitingEventsSurviveKill9(t *testing.T) {
	t.Parallel()
	redistest.Run(t, func(t *testing.T, server *redistest.Server) {
		t.Parallel()
		const waiting = 1000
		args := []string{"--upstream", startSample(t), "--redis", "redis://" + server.Addr,
			"--rules", writeRules(t, sampleRules), "--spool", filepath.Join(t.TempDir(), "spool")}
		hooks := newTally(t, waiting)

		first := start(t, args...)
		subscribe(t, first.front, "contact.create", hooks.server.URL, nil)
		for n := range waiting {
			if status, body := send(t, "POST", first.front+"/contacts", fmt.Sprintf(`{"n":%d}`, n)); status != 201 {
				t.Fatalf("create %d: %d %s", n, status, body)
			}
		}
		<-hooks.held // some are in flight: their leases must lapse before they come again
		first.kill()
		hooks.release()

		second := start(t, args...)
		if repeated := hooks.await(t, second); repeated > 0 {
			t.Errorf("%d events were delivered more than once", repeated)
		}
		if err := second.stop(t); err != nil {
			t.Errorf("stop: %v\n%s", err, second.log)
		}
	})
}

func TestWhatIsWrittenWhileRedisIsAwayIsDeliveredWhenItIsBack(t *testing.T) {
	t.Parallel()
	redistest.Run(t, func(t *testing.T, server *redistest.Server) {
		t.Parallel()
		const written = 100
		args := []string{"--upstream", startSample(t), "--redis", "redis://" + server.Addr,
			"--rules", writeRules(t, sampleRules), "--spool", filepath.Join(t.TempDir(), "spool")}
		hooks := newTally(t, written)
		hooks.release()

		first := start(t, args...)
		subscribe(t, first.front, "contact.create", hooks.server.URL, nil)
		server.Stop(t)
		// The promise has a bound of its own: no call slower than a second.
		client := &http.Client{Timeout: time.Second}
		defer client.CloseIdleConnections()
		for n := range written {
			request, err := http.NewRequest("POST", first.front+"/contacts", jsonReader(`{"n":%d}`, n))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer alice-token")
			response, err := client.Do(request)
			if err != nil {
				t.Fatalf("create %d without Redis: %v", n, err)
			}
			response.Body.Close()
			if response.StatusCode != 201 {
				t.Fatalf("create %d without Redis: %s", n, response.Status)
			}
		}
		first.kill() // what was spooled must not live in memory alone

		second := launch(t, args...) // Redis is still away
		server.Start(t)
		hooks.await(t, second)
		if err := second.stop(t); err != nil {
			t.Errorf("stop: %v\n%s", err, second.log)
		}
	})
}

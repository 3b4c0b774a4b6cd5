package delivery

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// remover deletes by a script, as the subscriptions package does.
type remover struct{ *rig }

func (r remover) Remove(ctx context.Context, id string) error {
	return deleteScript.Run(ctx, r.client, r.lane, id).Err()
}

// patience bounds how long a test waits for what must happen.
const patience = 20 * time.Second

func (r *rig) engine(change func(*Options)) *Engine {
	r.Helper()
	o := Options{
		Client: r.client, Subscriptions: remover{r}, Addresses: loopback, Offset: r.moved.Load,
		Schedule: Schedule{50 * time.Millisecond, 50 * time.Millisecond},
	}
	if change != nil {
		change(&o)
	}
	e, err := New(o)
	if err != nil {
		r.Fatal(err)
	}
	return e
}

// run runs an engine, and answers what stops it and waits for its end. The
// test's end stops it too.
func (r *rig) run(e *Engine) (stop func()) {
	r.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }() // ends with ctx, awaited by stop
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				r.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			r.Error("the engine did not stop")
		}
	})
	r.Cleanup(stop)
	return stop
}

// arrive waits for so many requests and answers them.
func (r *rig) arrive(got <-chan received, count int) []received {
	r.Helper()
	var all []received
	limit := time.After(patience)
	for len(all) < count {
		select {
		case one := <-got:
			all = append(all, one)
		case <-limit:
			r.Fatalf("%d requests arrived, want %d", len(all), count)
		}
	}
	return all
}

// eventually polls, for what nothing tells.
func (r *rig) eventually(what string, holds func() bool) {
	r.Helper()
	limit, tick := time.After(patience), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			r.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// statuses answers one status after the other, and then the last for good.
func statuses(codes ...int) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.WriteHeader(codes[0])
		codes = codes[min(1, len(codes)-1):]
	}
}

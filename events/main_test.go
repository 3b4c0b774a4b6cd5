package events

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// A pool of go-redis that has failed to connect looks every second whether it
	// has been closed meanwhile, and is not waited for.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// limit bounds what a test waits for; nothing is expected to take as long.
const limit = 20 * time.Second

// newClient makes a client as the program does for its Publisher.
func newClient(t testing.TB, addr string) redis.UniversalClient {
	t.Helper()
	o := &redis.UniversalOptions{Addrs: []string{addr}, Protocol: 2}
	PublishOptions(o)
	client := redis.NewUniversalClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func spoolPath(t testing.TB) string { return filepath.Join(t.TempDir(), "hookproxy.spool") }

func openSpool(t testing.TB, path string, o SpoolOptions) *Spool {
	t.Helper()
	s, err := OpenSpool(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// run runs the publisher until the test ends or stop is called.
func run(t testing.TB, p *Publisher) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run ended with %v; want nil", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// newEvent answers an event that says in its id where it belongs in an order.
func newEvent(id string) Event {
	return Event{ID: id, Name: "contact.create", User: "42", Time: time.UnixMilli(1_700_000_000_000).UTC(),
		Rule: "rules.yaml:3", Payload: []byte(`{"id":1}`)}
}

func publish(t testing.TB, p *Publisher, ids ...string) {
	t.Helper()
	var batch []Event
	for _, id := range ids {
		batch = append(batch, newEvent(id))
	}
	if err := p.Publish(t.Context(), batch); err != nil {
		t.Fatalf("publish %d events from %s: %v", len(ids), ids[0], err)
	}
}

// ids answers the ids on a list, oldest first.
func ids(t testing.TB, client redis.UniversalClient, list string) []string {
	t.Helper()
	elements, err := client.LRange(t.Context(), list, 0, -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(elements)
	var ids []string
	for _, e := range elements {
		event, err := Decode([]byte(e))
		if err != nil {
			t.Fatalf("on the list: %v", err)
		}
		ids = append(ids, event.ID)
	}
	return ids
}

// numbered answers ids from first to last.
func numbered(first, last int) []string {
	var ids []string
	for i := first; i <= last; i++ {
		ids = append(ids, fmt.Sprintf("event-%06d", i))
	}
	return ids
}

// once keeps each id's first appearance, as dispatch does.
func once(ids []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(ids, func(id string) bool {
		repeated := seen[id]
		seen[id] = true
		return repeated
	})
}

// eventually asks until the answer is yes: what happens in Redis or on the disk
// tells nobody.
func eventually(t testing.TB, what string, yes func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited %s in vain: %s", limit, what)
		}
	}
}

// blackHole accepts connections and never answers. It answers its address and
// how often it was dialled.
func blackHole(t testing.TB) (addr string, dialled *atomic.Int64) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dialled = new(atomic.Int64)
	var conns []net.Conn
	ended := make(chan struct{})
	go func() { // ends when the listener is closed below, which waits for it
		defer close(ended)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			dialled.Add(1)
			conns = append(conns, conn)
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-ended
		for _, conn := range conns {
			_ = conn.Close()
		}
	})
	return ln.Addr().String(), dialled
}

// records keeps what is logged.
type records struct {
	mu   sync.Mutex
	text []string
}

func (r *records) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text = append(r.text, string(line))
	return len(line), nil
}

func (r *records) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.text)
}

func newLog() (*slog.Logger, *records) {
	r := &records{}
	return slog.New(slog.NewTextHandler(r, nil)), r
}

// lane0 is where everything goes in a layout of one lane.
var lane0 = layout.Layout{}.Lane(0)

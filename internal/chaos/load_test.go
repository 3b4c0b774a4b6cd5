package chaos

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// write is a POST whose client saw a complete success.
type write struct{ user, request string }

// failure is a POST whose client did not.
type failure struct {
	request, why string
	proxy        *process
	status       int // 0: no answer
	begun, ended time.Time
}

// load is clients that write all the time, through the proxies in turn.
type load struct {
	proxies []*process
	users   int
	count   int           // of writers
	between time.Duration // two writes of one of them
	client  *http.Client
	next    atomic.Int64
	stopped chan struct{}
	writers sync.WaitGroup

	mu       sync.Mutex
	writes   []write
	failures []failure
	slowest  time.Duration
}

// patience bounds one request of the load.
const patience = 20 * time.Second

// startLoad starts writers, each of which pauses between two writes.
func startLoad(t testing.TB, writers, users int, between time.Duration, proxies ...*process) *load {
	t.Helper()
	l := &load{proxies: proxies, users: users, count: writers, between: between}
	l.start(t)
	return l
}

// goOn has the load end, and answers one that goes on at other proxies and has
// the account of both.
func (l *load) goOn(t testing.TB, proxies ...*process) *load {
	t.Helper()
	l.stop()
	further := &load{proxies: proxies, users: l.users, count: l.count, between: l.between,
		writes: l.writes, failures: l.failures, slowest: l.slowest}
	further.next.Store(l.next.Load())
	further.start(t)
	return further
}

func (l *load) start(t testing.TB) {
	l.stopped = make(chan struct{})
	l.client = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: l.count}}
	for range l.count {
		l.writers.Go(func() { // ends with stop
			tick := time.NewTicker(l.between)
			defer tick.Stop()
			for {
				select {
				case <-l.stopped:
					return
				case <-tick.C:
					l.write()
				}
			}
		})
	}
	t.Cleanup(l.stop)
}

// stop returns when every writer has its answer.
func (l *load) stop() {
	select {
	case <-l.stopped:
	default:
		close(l.stopped)
	}
	l.writers.Wait()
	l.client.CloseIdleConnections()
}

func (l *load) write() {
	n := l.next.Add(1)
	f := failure{request: fmt.Sprintf("w%06d", n), proxy: l.proxies[n%int64(len(l.proxies))], begun: time.Now()}
	user := fmt.Sprint("user", n%int64(l.users))
	f.status, f.why = l.post(f.proxy.url, user, f.request)
	f.ended = time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.status == http.StatusCreated && f.why == "" {
		l.writes = append(l.writes, write{user, f.request})
		l.slowest = max(l.slowest, f.ended.Sub(f.begun))
		return
	}
	l.failures = append(l.failures, f)
}

// post answers the status, 0 for none, and why it is no complete success.
func (l *load) post(url, user, request string) (int, string) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url+"/contacts", strings.NewReader(`{"name":"Ada"}`))
	if err != nil {
		return 0, err.Error()
	}
	req.Header.Set("Authorization", "Bearer "+user)
	req.Header.Set(requestID, request)
	res, err := l.client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	if res.StatusCode != http.StatusCreated {
		return res.StatusCode, string(body)
	}
	return res.StatusCode, ""
}

// done answers a copy of what has succeeded so far.
func (l *load) done() []write {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]write(nil), l.writes...)
}

// awaitMore waits until some more writes have succeeded.
func (l *load) awaitMore(t testing.TB, more int) {
	t.Helper()
	want := len(l.done()) + more
	eventually(t, fmt.Sprintf("%d more writes succeed", more), func() bool { return len(l.done()) >= want })
}

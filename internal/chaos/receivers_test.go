package chaos

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// receivers are the targets of all subscriptions: /<user>/<number>.
type receivers struct {
	server *httptest.Server
	// failing is how many of a hundred deliveries fail; none more than once.
	failing atomic.Int64

	mu      sync.Mutex
	taken   map[string]map[string]int // deliveries that were answered 2xx: target, request of the write, how often
	failed  map[string]bool           // by target and request
	strays  []string                  // deliveries to somebody else
	charged int                       // deliveries whose attempt was not their first though nobody had failed one
	news    chan struct{}             // has a token after a delivery
}

func newReceivers(t testing.TB) *receivers {
	t.Helper()
	r := &receivers{taken: map[string]map[string]int{}, failed: map[string]bool{}, news: make(chan struct{}, 1)}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	return r
}

func (r *receivers) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var hook struct {
		Data struct{ Owner, Request string }
	}
	if err := json.NewDecoder(req.Body).Decode(&hook); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	target, write := req.URL.Path, hook.Data.Request
	if r.refuses(target + " " + write) {
		switch rand.IntN(3) {
		case 0:
			w.WriteHeader(http.StatusInternalServerError)
		case 1:
			panic(http.ErrAbortHandler)
		default:
			select {
			case <-time.After(200 * time.Millisecond):
			case <-req.Context().Done():
			}
			w.WriteHeader(http.StatusBadGateway)
		}
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// Of an answer that broke off the event has no data.
	if hook.Data.Owner != "" && !strings.HasPrefix(target, "/"+hook.Data.Owner+"/") {
		r.strays = append(r.strays, fmt.Sprintf("a write of %s went to %s", hook.Data.Owner, target))
	}
	if r.taken[target] == nil {
		r.taken[target] = map[string]int{}
	}
	r.taken[target][write]++
	if req.Header.Get("X-Hook-Attempt") != "1" && !r.failed[target+" "+write] {
		r.charged++
	}
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// refuses decides whether a delivery fails. Each fails once at most, or else a
// run would have to wait for the schedule's later attempts.
func (r *receivers) refuses(delivery string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed[delivery] || rand.Int64N(100) >= r.failing.Load() {
		return false
	}
	r.failed[delivery] = true
	return true
}

// wrong answers how many deliveries were charged an attempt that nobody had
// failed, and which went to somebody else.
func (r *receivers) wrong() (charged int, strays []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.charged, slices.Clone(r.strays)
}

// missing answers the deliveries that are still to come, and repeated how many
// were answered 2xx more than once.
func (r *receivers) missing(writes []write, targets int) (missing []string, repeated int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range writes {
		for n := range targets {
			target := fmt.Sprintf("/%s/%d", w.user, n)
			switch times := r.taken[target][w.request]; {
			case times == 0:
				missing = append(missing, target+" "+w.request)
			case times > 1:
				repeated += times - 1
			}
		}
	}
	return missing, repeated
}

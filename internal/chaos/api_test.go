package chaos

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// requestID tells one request of the load from another, to the API and in the account.
const requestID = "X-Request-Id"

// api is an unmodified REST API whose bearer tokens are its users' ids, and which
// can be made to fail. It remembers which requests it failed on purpose.
type api struct {
	server *httptest.Server
	next   atomic.Int64
	// failing is how many of a hundred requests fail.
	failing atomic.Int64

	mu     sync.Mutex
	failed map[string]bool // by request id
}

func newAPI(t testing.TB) *api {
	t.Helper()
	a := &api{failed: map[string]bool{}}
	a.server = httptest.NewServer(a)
	t.Cleanup(a.server.Close)
	return a
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	_, _ = io.Copy(io.Discard, r.Body) // a client that has gone is the load's to note
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/me" {
		fmt.Fprintf(w, `{"id":%q}`, user)
		return
	}
	if rand.Int64N(100) < a.failing.Load() {
		a.fail(w, r)
		return
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"id":%d,"owner":%q,"request":%q}`, a.next.Add(1), user, r.Header.Get(requestID))
}

// fail fails a request in one of the ways in which an API does.
func (a *api) fail(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.failed[r.Header.Get(requestID)] = true
	a.mu.Unlock()
	switch rand.IntN(4) {
	case 0:
		w.WriteHeader(http.StatusInternalServerError)
	case 1:
		panic(http.ErrAbortHandler) // no answer at all
	case 2: // a success that breaks off
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"id":`))
		panic(http.ErrAbortHandler)
	default:
		select { // slow to refuse
		case <-time.After(300 * time.Millisecond):
		case <-r.Context().Done():
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func (a *api) hasFailed(request string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed[request]
}

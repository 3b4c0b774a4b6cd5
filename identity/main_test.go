package identity

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// upstream is a real API whose answer at every path a test can set, and which
// remembers what it was asked.
type upstream struct {
	*httptest.Server
	transport *http.Transport
	lookups   atomic.Int64

	mu     sync.Mutex
	last   *http.Request
	answer http.HandlerFunc
}

func newUpstream(t testing.TB, answer http.HandlerFunc) *upstream {
	t.Helper()
	u := &upstream{transport: &http.Transport{}, answer: answer}
	u.Server = httptest.NewServer(u)
	t.Cleanup(func() {
		u.transport.CloseIdleConnections()
		u.Close()
	})
	return u
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.lookups.Add(1)
	u.mu.Lock()
	u.last = r.Clone(context.Background())
	answer := u.answer
	u.mu.Unlock()
	answer(w, r)
}

func (u *upstream) set(answer http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answer = answer
}

func (u *upstream) lastRequest() *http.Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.last
}

func (u *upstream) wantLookups(t testing.TB, want int64) {
	t.Helper()
	if got := u.lookups.Load(); got != want {
		t.Errorf("the upstream was asked %d times, want %d", got, want)
	}
}

func mustURL(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// chain makes a chain of entries in front of the upstream.
func (u *upstream) chain(t testing.TB, o Options) *Chain {
	t.Helper()
	o.Upstream, o.Transport = mustURL(t, u.URL), u.transport
	return newChain(t, o)
}

func newChain(t testing.TB, o Options) *Chain {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var whoamiEntry = Entry{Kind: KindWhoami, Get: "/me", User: "id"}

// answerJSON answers a fixed document.
func answerJSON(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// byToken answers a user for each known Authorization, and 401 for the rest.
func byToken(users map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user, ok := users[r.Header.Get("Authorization")]
		if !ok {
			w.Header().Set("WWW-Authenticate", `Bearer realm="the api"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answerJSON(http.StatusOK, `{"id":"`+user+`"}`)(w, r)
	}
}

// request is one from 192.0.2.1 with headers given as name, value, name …
func request(headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "http://api.example/contacts", nil)
	r.RemoteAddr = "192.0.2.1:1234"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func wantUser(t testing.TB, c *Chain, r *http.Request, want string) {
	t.Helper()
	if got, err := c.Ask(r).Answer(t.Context()); err != nil || got.User != want {
		t.Errorf("the caller is %q, %v; want %q", got.User, err, want)
	}
}

func wantError(t testing.TB, c *Chain, r *http.Request, want error) {
	t.Helper()
	got, err := c.Ask(r).Answer(t.Context())
	if !errors.Is(err, want) || got != (Caller{}) {
		t.Errorf("the caller is %q, %v; want the error %v", got.User, err, want)
	}
}

// clock is a time that stands still until a test moves it.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(1_700_000_000, c.ns.Load()) }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

func prefixes(list ...string) []netip.Prefix {
	var made []netip.Prefix
	for _, text := range list {
		made = append(made, netip.MustParsePrefix(text))
	}
	return made
}

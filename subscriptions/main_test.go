package subscriptions

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/hookproxy/hookproxy/identity"
	"github.com/hookproxy/hookproxy/internal/addresses"
	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is the endpoints over HTTP, in front of a Redis.
type rig struct {
	*httptest.Server
	redis  *redistest.Server
	store  *Store
	offset atomic.Int64 // of Redis' clock, in ms
	log    lockedBuffer
	// history is what the endpoints about deliveries answer from.
	history fakeHistory
}

// lockedBuffer is a log that a test can read while a server writes it.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

var knownEvents = []string{"contact.create", "contact.update", "deal.won"}

// byHeader believes X-User of the test itself: Basic and anonymous callers are
// identity's own tests.
func byHeader(t testing.TB) Identifier {
	t.Helper()
	chain, err := identity.New(identity.Options{
		Entries:        []identity.Entry{{Kind: identity.KindHeader, Header: "X-User"}},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

// newRig starts the endpoints; adjust may change their options.
func newRig(t testing.TB, s *redistest.Server, adjust ...func(*HandlerOptions)) *rig {
	t.Helper()
	r := &rig{redis: s}
	r.store = NewStore(StoreOptions{Client: s.Client, Offset: r.offset.Load})
	options := HandlerOptions{
		Store: r.store, Identity: byHeader(t), Events: func() []string { return knownEvents },
		History: &r.history, AllowTarget: addresses.Policy{}.CheckHost, Log: slog.New(slog.NewTextHandler(&r.log, nil)),
	}
	for _, a := range adjust {
		a(&options)
	}
	r.Server = httptest.NewServer(NewHandler(options))
	t.Cleanup(r.Close)
	return r
}

// answer is a whole response.
type answer struct {
	status int
	header http.Header
	body   string
}

// send makes a request of a user, with headers given as name, value, name …
func (r *rig) send(t testing.TB, user, method, path, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if user != "" {
		req.Header.Set("X-User", user)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return r.do(t, req)
}

func (r *rig) do(t testing.TB, req *http.Request) answer {
	t.Helper()
	res, err := r.Client().Transport.RoundTrip(req) // as it is: no redirects
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(text)}
}

func (a answer) want(t testing.TB, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("the status is %d, want %d; the body: %s", a.status, status, a.body)
	}
	if status != http.StatusNotFound && a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control is %q, want no-store", a.header.Get("Cache-Control"))
	}
	return a
}

func (a answer) into(t testing.TB, value any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), value); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
}

// wantProblem wants an RFC 9457 body of a type, about just these fields.
func (a answer) wantProblem(t testing.TB, status int, name string, fields ...string) refused {
	t.Helper()
	a.want(t, status)
	var p refused
	a.into(t, &p)
	if p.Type != "urn:hookproxy:problem:"+name || p.Status != status || p.Title == "" || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("the problem is %s of type %s", a.body, a.header.Get("Content-Type"))
	}
	var got []string
	for _, v := range p.Errors {
		got = append(got, v.Name)
		if v.Message == "" {
			t.Errorf("nothing is said about %s", v.Name)
		}
	}
	if strings.Join(got, " ") != strings.Join(fields, " ") {
		t.Errorf("the fields at fault are %q, want %q: %s", got, fields, a.body)
	}
	return p
}

const base = "/api/v1/subscription/"

// subscribe creates a subscription to contact.create.
func (r *rig) subscribe(t testing.TB, user string) resource {
	t.Helper()
	var made resource
	r.send(t, user, "POST", base, `{"event":"contact.create","target_url":"https://hooks.example/a"}`).want(t, 201).into(t, &made)
	return made
}

// keys answers all keys in Redis, to see that nothing was stored.
func (r *rig) keys(t testing.TB) []string {
	t.Helper()
	keys, err := r.redis.Client.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func lane0() layout.Lane { return layout.Layout{}.Lane(0) }

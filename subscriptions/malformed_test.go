package subscriptions

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/hookproxy/hookproxy/internal/problem"
	"github.com/hookproxy/hookproxy/internal/redistest"
)

// malformedBodies is how many bodies are refused in each run.
const malformedBodies = 10_000

// bodied are the endpoints that take a body: a method, and what stands behind the id.
var bodied = [][2]string{
	{"POST", ""}, {"PUT", "/"}, {"PATCH", "/"}, {"POST", "/rotate-secret"}, {"POST", "/test"}, {"POST", "/confirm"},
	{"POST", "/redeliver"}, {"POST", "/missed/ack"},
}

// grammar is what bodies are made of: whole ones, parts of them, and what
// parsers stumble over.
var grammar = []string{
	`{"event":"contact.create","target_url":"https://hooks.example/a"}`, `{"active":false}`, `{"secret":"x","overlap_seconds":1}`, `{"metadata":{"a":"b"}}`,
	`{"through":3}`, `{"missed":true}`, `{"target_url":"https://hooks.example/b"}`, `{"event":"deal.won"}`,
	`"event":`, `"events":["deal.won","*"]`, `"target_url":`, `"metadata":`, `"expiration_date":"2099-01-01T00:00:00Z"`, `"active":`, `"id":`, `"user":"bob"`,
	`"https://hooks.example/a"`, `"http://127.0.0.1/"`, `"contact.create"`, `"*"`, `""`, `{`, `}`, `[`, `]`, `,`, `:`, `"`, `\`, `null`, `true`, `1e999`, `-0`, `1`,
	`99999999999999999999`, "\x00", "\xff", "\ufeff", `\ud800`, `\u0000`, "\u2028", " ", "\n", `"\r\nX: y"`, `"a":{"b":[1]}`, `__proto__`, `'`, `//`, `NaN`,
}

// wholeBodies is how many of grammar are whole.
const wholeBodies = 8

// malform answers a body that is a whole one with some damage, with none, or nothing
// but damage.
func malform(random *rand.Rand) []byte {
	body := []byte(grammar[random.IntN(wholeBodies)])
	for range random.IntN(7) {
		at := random.IntN(len(body) + 1)
		piece := grammar[random.IntN(len(grammar))]
		switch random.IntN(5) {
		case 0: // something put in
			body = slices.Insert(body, at, []byte(piece)...)
		case 1: // broken off
			body = body[:at]
		case 2: // a byte turned
			if at < len(body) {
				body[at] ^= 1 << random.IntN(8)
			}
		case 3: // a part doubled
			body = slices.Concat(body[:at], body[at/2:])
		case 4: // a part taken out
			body = slices.Concat(body[:at/2], body[at:])
		}
		if len(body) > 4096 {
			body = body[:4096]
		}
	}
	return body
}

// attacked is the endpoints with handshakes, over a Redis that is looked into after
// each request.
type attacked struct {
	http.Handler
	redis   *miniredis.Miniredis
	store   *Store
	target  *fakeTarget
	history *fakeHistory
	ids     []string // an active one, a pending one, and none
	before  string   // what Redis held
}

func newAttacked(t *testing.T) *attacked {
	t.Helper()
	miniredis.DumpMaxLineLen = 1 << 20 // all of each value
	a := &attacked{redis: miniredis.RunT(t), target: &fakeTarget{}, history: &fakeHistory{}}
	a.store = NewStore(StoreOptions{Client: redistest.NewClient(t, a.redis.Addr())})
	a.Handler = NewHandler(HandlerOptions{
		Store: a.store, Identity: byHeader(t), Events: func() []string { return knownEvents }, History: a.history,
		Intent: IntentHandshake, Prober: a.target,
	})
	a.reset(t)
	return a
}

func (a *attacked) reset(t *testing.T) {
	t.Helper()
	a.redis.FlushAll()
	a.history.calls = nil
	pending := wanted("contact.update")
	pending.Awaits = digestOf("what the target was sent")
	a.ids = []string{
		mustCreate(t, a.store, "ann", wanted("deal.won")).ID, mustCreate(t, a.store, "ann", pending).ID, a.store.NewID("ann"),
	}
	a.before = a.redis.Dump()
}

// request draws a request with a body, and what the target would answer to it.
func (a *attacked) request(t *testing.T, random *rand.Rand, body []byte) *http.Request {
	t.Helper()
	a.target.set(random.IntN(3) == 0, []int{0, 0, 500}[random.IntN(3)], "")
	if a.target.status == 500 {
		a.target.set(false, 500, "http_5xx")
	}
	endpoint, path := bodied[random.IntN(len(bodied))], base
	if endpoint[1] != "" {
		path += a.ids[random.IntN(len(a.ids))] + endpoint[1]
	}
	r := httptest.NewRequestWithContext(t.Context(), endpoint[0], path, bytes.NewReader(body))
	r.RemoteAddr = "127.0.0.1:1"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-User", "ann")
	if random.IntN(8) == 0 {
		r.ContentLength = -1 // as it is where a body comes in chunks
	}
	if random.IntN(4) == 0 {
		r.Header.Set("X-Hook-Secret", grammar[random.IntN(len(grammar))])
	}
	return r
}

// sends makes a request, and answers the response and how often the target was asked.
func (a *attacked) sends(r *http.Request) (w *httptest.ResponseRecorder, asked int) {
	before := a.target.count()
	w = httptest.NewRecorder()
	a.ServeHTTP(w, r)
	asked = a.target.count() - before
	for _, key := range a.redis.Keys() {
		if asked > 0 && strings.Contains(key, ":rate:") {
			a.redis.Del(key) // whoever asks a target is counted
		}
	}
	return w, asked
}

// Never a 5xx, never a panic; what is refused stores nothing, and has no target asked.
func TestTenThousandMalformedBodiesStoreNothing(t *testing.T) {
	a := newAttacked(t)
	random := rand.New(rand.NewPCG(1, 2)) // the same bodies at each run
	taken, refused, refusedByTarget := 0, 0, 0
	for refused < malformedBodies {
		body := malform(random)
		r := a.request(t, random, body)
		w, asked := a.sends(r)
		if w.Code < 300 { // the body is whole
			taken++
			a.reset(t)
			continue
		}
		what := r.Method + " " + r.URL.Path + " " + string(body)
		if w.Code < 400 || w.Code >= 500 || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/problem+json") {
			t.Errorf("%q was answered %d: %s", what, w.Code, w.Body)
		}
		byTarget := strings.Contains(w.Body.String(), problem.Type("target-refused"))
		if byTarget != (asked == 1) || asked > 1 {
			t.Errorf("%q had the target asked %d times, and was answered %s", what, asked, w.Body)
		}
		if after := a.redis.Dump(); after != a.before || len(a.history.calls) > 0 {
			t.Fatalf("%q was answered %d, and Redis went from\n%s to\n%s", what, w.Code, a.before, after)
		}
		refused++
		if byTarget {
			refusedByTarget++
		}
	}
	if taken < 100 || refusedByTarget < 10 || taken+refusedByTarget > malformedBodies/4 {
		t.Errorf("%d were taken and %d refused by the target: bodies are not malformed enough, or too few are whole", taken, refusedByTarget)
	}
}

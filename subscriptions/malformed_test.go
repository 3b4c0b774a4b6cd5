package subscriptions

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

// malformedBodies is how many bodies each run tries.
const malformedBodies = 10_000

// grammar is what bodies are made of: whole ones, parts of them, and what
// parsers stumble over.
var grammar = []string{
	`{"event":"contact.create","target_url":"https://hooks.example/a"}`, `{"active":false}`, `{"secret":"x","overlap_seconds":1}`, `{"metadata":{"a":"b"}}`,
	`{"through":3}`, `{"missed":true}`,
	`"event":`, `"events":["deal.won","*"]`, `"target_url":`, `"metadata":`, `"expiration_date":"2099-01-01T00:00:00Z"`, `"active":`, `"id":`, `"user":"bob"`,
	`"https://hooks.example/a"`, `"http://127.0.0.1/"`, `"contact.create"`, `"*"`, `""`, `{`, `}`, `[`, `]`, `,`, `:`, `"`, `\`, `null`, `true`, `1e999`, `-0`, `1`,
	`99999999999999999999`, "\x00", "\xff", "\ufeff", `\ud800`, `\u0000`, "\u2028", " ", "\n", `"\r\nX: y"`, `"a":{"b":[1]}`, `__proto__`, `'`, `//`, `NaN`,
}

// malform answers a body that is a whole one with some damage, or nothing but.
func malform(random *rand.Rand) []byte {
	body := []byte(grammar[random.IntN(6)])
	for range 1 + random.IntN(6) {
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

// Never a 5xx, never a panic, and what is refused stores nothing.
func TestTenThousandMalformedBodiesStoreNothing(t *testing.T) {
	s := redistest.Mini(t)
	store, history := NewStore(StoreOptions{Client: s.Client}), &fakeHistory{}
	h := NewHandler(HandlerOptions{Store: store, Identity: byHeader(t), Events: func() []string { return knownEvents }, History: history})
	random := rand.New(rand.NewPCG(1, 2)) // the same bodies at each run
	var id string
	var before map[string]string
	reset := func() {
		if err := s.Client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		id = mustCreate(t, store, "ann", wanted("deal.won")).ID
		before = contents(t, s)
	}
	reset()
	refused := 0
	for range malformedBodies {
		body := malform(random)
		target := [][2]string{{"POST", base}, {"PUT", base + id}, {"PATCH", base + id}, {"POST", base + id + "/rotate-secret"}, {"POST", base + id + "/test"},
			{"POST", base + id + "/redeliver"}, {"POST", base + id + "/missed/ack"}}[random.IntN(7)]
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), target[0], target[1], bytes.NewReader(body))
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-User", "ann")
		h.ServeHTTP(w, r)
		switch {
		case w.Code < 300: // the damage left a whole body
			history.calls = nil
			reset()
		case w.Code < 400 || w.Code >= 500 || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/problem+json"):
			t.Errorf("%s %s %q was answered %d: %s", target[0], target[1], body, w.Code, w.Body)
		default:
			refused++
			if after := contents(t, s); !maps.Equal(before, after) || len(history.calls) > 0 {
				t.Fatalf("%s %s %q was answered %d, and Redis went from %v to %v", target[0], target[1], body, w.Code, before, after)
			}
		}
	}
	if refused < malformedBodies*9/10 || refused == malformedBodies {
		t.Errorf("%d of %d were refused; bodies are not malformed enough, or none is whole", refused, malformedBodies)
	}
}

// contents answers every key of Redis with what tells whether it changed.
func contents(t *testing.T, s *redistest.Server) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, key := range s.Client.Keys(t.Context(), "*").Val() {
		if dump, err := s.Client.Dump(t.Context(), key).Result(); err == nil {
			all[key] = dump
			continue
		}
		// miniredis dumps strings alone; hashes are what requests write.
		hash := s.Client.HGetAll(t.Context(), key).Val()
		for _, field := range slices.Sorted(maps.Keys(hash)) {
			all[key] += field + "=" + hash[field] + "\n"
		}
		all[key] += strings.Join(slices.Sorted(slices.Values(s.Client.SMembers(t.Context(), key).Val())), " ")
	}
	return all
}

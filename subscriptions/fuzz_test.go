package subscriptions

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

// Whatever is posted: never a 5xx, never a panic, and nothing is stored that
// was not answered with 201.
func FuzzPost(f *testing.F) {
	for _, seed := range []string{
		`{"event":"contact.create","target_url":"https://hooks.example/a"}`,
		`{"event":"deal.won","target_url":"http://192.0.2.1:80/?a=b","format":"raw","active":false}`,
		`{"event":"deal.won","event":"x"}`, `[{}]`, `{"a":{"b":[1,2,{"c":null}]}}`, "\xff", `{"event":"\ud800"}`, `{"":""}`, ` {} `,
	} {
		f.Add([]byte(seed))
	}
	s := redistest.Mini(f)
	h := NewHandler(HandlerOptions{
		Store: NewStore(StoreOptions{Client: s.Client, MaxPerUser: 1 << 30}), Identity: byHeader(f), Events: func() []string { return knownEvents },
	})
	lane := lane0()
	f.Fuzz(func(t *testing.T, body []byte) {
		before := s.Client.DBSize(t.Context()).Val()
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", base, strings.NewReader(string(body)))
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-User", "ann")
		h.ServeHTTP(w, r)
		a := answer{w.Code, w.Header(), w.Body.String()}
		if a.status == 201 {
			var made resource
			a.into(t, &made)
			if made.User != "ann" || len(made.Events) == 0 || !s.Client.SIsMember(t.Context(), lane.Subscribers(made.Events[0], "ann"), made.ID).Val() {
				t.Errorf("%q made %s, which is not in its set", body, a.body)
			}
			if _, err := ParseTarget(made.TargetURL); err != nil {
				t.Errorf("%q made the target %q: %v", body, made.TargetURL, err)
			}
			if err := s.Client.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			return
		}
		if a.status < 400 || a.status >= 500 || s.Client.DBSize(t.Context()).Val() != before {
			t.Errorf("%q was answered %d, and Redis has %d keys more", body, a.status, s.Client.DBSize(t.Context()).Val()-before)
		}
		var p refused
		a.into(t, &p)
	})
}

package proxy

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

// An API that takes its keys in the query knows nobody without.
func TestAFetchCarriesTheParametersThatCallersAreKnownBy(t *testing.T) {
	const secret = "S3CRET%2Dkey"
	asked := make(chan string, 10)
	upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet:
			asked <- r.URL.RawQuery
			created(`{"id":7}`)(w, r)
		case r.Method == http.MethodPost:
			w.Header().Set("Location", "/contacts/7?full=1")
			w.WriteHeader(http.StatusCreated)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
	for source, carried := range map[string]string{
		`identity: [{key: {query: api_key, secret: {env: PSEUDONYMS}, verify: /me}}]`: "api_key=" + secret,
		`identity: [{whoami: {get: /me, query: [api_key, sig]}}]`:                     "api%5Fkey=" + secret + "&sig=1",
		`identity: [{whoami: {get: /me}}]`:                                            "",
	} {
		for _, when := range []string{"before", "after", "later"} {
			var log bytes.Buffer
			s, p := capturing(t, source+"\nresources: {contact: {path: /contacts, fetch: "+when+"}}", upstream, func(o *Options) {
				o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			query := "x=1&" + carried + "&y=2"
			s.do(t, "PUT /contacts/7?"+query, "{}")
			s.rest(t)
			if got := receive(t, asked); got != carried {
				t.Errorf("%s, %s: the resource was fetched with %q", source, when, got)
			}
			if e := p.one(t); strings.Contains(string(e.Payload)+e.Resource+e.User, "S3CRET") {
				t.Errorf("an event: %+v", e)
			}
			if when != "before" {
				s.do(t, "POST /contacts?"+query, "{}")
				s.rest(t)
				if got := receive(t, asked); got != strings.TrimSuffix("full=1&"+carried, "&") {
					t.Errorf("%s, %s: at its Location it was fetched with %q", source, when, got)
				}
			}
			if text := log.String(); strings.Contains(text, "S3CRET") || !strings.Contains(text, "path=/contacts/7") {
				t.Errorf("%s, %s: the log says\n%s", source, when, text)
			}
		}
	}
}

func TestAParameterThatIsThereIsNotAddedAgain(t *testing.T) {
	for _, c := range [][3]string{
		{"", "", ""}, {"", "a=1&b=2&a=3", "a=1&a=3"}, {"a=9", "a=1", "a=9"}, {"c=1", "%61=1", "c=1&%61=1"}, {"", "a", "a"}, {"", "%zz&a=%zz&=", "a=%zz"}, {"", "A=1;a=2", ""},
	} {
		if got := withParameters(c[0], c[1], []string{"a"}); got != c[2] {
			t.Errorf("%q with %q: got %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

package subscriptions

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/identity"
	"github.com/hookproxy/hookproxy/internal/redistest"
)

// bySession asks an upstream that knows its callers by a cookie alone.
func bySession(t testing.TB) Identifier {
	t.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cookie, err := r.Cookie("session"); err != nil || cookie.Value != "ann-s" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"id":"ann"}`))
	}))
	transport := &http.Transport{}
	t.Cleanup(func() { transport.CloseIdleConnections(); api.Close() })
	upstream, err := url.Parse(api.URL)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := identity.New(identity.Options{Upstream: upstream, Transport: transport, Entries: []identity.Entry{
		{Kind: identity.KindWhoami, Get: "/me", User: "id", Credentials: []string{"Cookie"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

func TestASessionCookieCountsOnlyForJSONFromItsOwnSite(t *testing.T) {
	r := newRig(t, redistest.Mini(t), func(o *HandlerOptions) { o.Identity = bySession(t) })
	body := `{"event":"deal.won",` + good + `}`
	const session = "session=ann-s"
	// What the pages of others, or forms on any page, can make a browser send.
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"},
		{"Origin", strings.Replace(r.URL, "127.0.0.1", "localhost", 1)},
	} {
		r.send(t, "", "POST", base, body, append(headers, "Cookie", session)...).wantProblem(t, 403, "cross-origin")
	}
	for _, form := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""} {
		r.send(t, "", "POST", base, body, "Cookie", session, "Content-Type", form).wantProblem(t, 415, "unsupported-media-type")
		r.send(t, "", "POST", base, body, "Cookie", session, "Content-Type", form, "Sec-Fetch-Site", "same-origin").wantProblem(t, 415, "unsupported-media-type")
	}
	if keys := r.keys(t); len(keys) != 0 {
		t.Fatalf("they left %q in Redis", keys)
	}
	// An Authorization header takes more than a form: the browser asks first,
	// and is not told that it may.
	preflight := r.send(t, "", "OPTIONS", base, "", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST",
		"Access-Control-Request-Headers", "authorization, content-type")
	if preflight.status < 400 {
		t.Errorf("a preflight is answered %d", preflight.status)
	}
	for name := range preflight.header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("a preflight is answered with %s", name)
		}
	}
	for event, headers := range map[string][]string{"deal.won": {"Sec-Fetch-Site", "same-origin"}, "contact.create": {"Origin", r.URL}, "*": nil} {
		wish := strings.Replace(body, "deal.won", event, 1)
		r.send(t, "", "POST", base, wish, append(headers, "Cookie", session)...).want(t, 201)
	}
	r.send(t, "", "POST", base, body, "Cookie", "session=guess").wantProblem(t, 401, "unauthenticated")
	r.send(t, "", "POST", base, body).wantProblem(t, 401, "unauthenticated")
	made := r.send(t, "", "GET", base, "", "Cookie", session).want(t, 200)
	if !strings.Contains(made.body, `"user":"ann"`) {
		t.Errorf("the list is %s", made.body)
	}
}

// A body may be left out of some requests, and with it what a form cannot say. Old
// browsers tell nothing of where a form came from.
func TestASessionCookieCountsForJSONWithoutABodyToo(t *testing.T) {
	r := newRig(t, redistest.Mini(t), func(o *HandlerOptions) { o.Identity = bySession(t) })
	var made resource
	created := r.send(t, "", "POST", base, `{"event":"deal.won",`+good+`}`, "Cookie", "session=ann-s").want(t, 201)
	created.into(t, &made)
	for _, action := range []string{"rotate-secret", "test", "confirm", "redeliver", "missed/ack"} {
		for _, form := range []string{"", "text/plain", "application/x-www-form-urlencoded"} {
			r.send(t, "", "POST", base+made.ID+"/"+action, "", "Cookie", "session=ann-s", "Content-Type", form).wantProblem(t, 415, "unsupported-media-type")
		}
	}
	r.send(t, "", "GET", base+made.ID, "", "Cookie", "session=ann-s", "If-None-Match", created.header.Get("ETag")).want(t, 304)
	r.send(t, "", "POST", base+made.ID+"/rotate-secret", "", "Cookie", "session=ann-s", "Content-Type", "application/json").want(t, 200)
}

// A token that cannot be verified because its issuer's keys are away is not the
// same as a bad one: the caller should come again, not log in again.
func TestATokenWhoseKeysAreAwayIsAskedToComeAgain(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	chain, err := identity.New(identity.Options{Entries: []identity.Entry{{
		Kind: identity.KindJWT, JWKS: gone.URL, Issuer: "me", Audience: []string{"api"}, Algorithms: []string{"ES256"}, User: "sub",
	}}})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, redistest.Mini(t), func(o *HandlerOptions) { o.Identity = chain })
	// {"alg":"ES256"} {"iss":"me"}, and a signature that nobody has looked at
	token := "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJtZSJ9." + strings.Repeat("A", 86)
	r.everywhere(t, []string{"Authorization", "Bearer " + token}, func(_, _ string, a answer) {
		a.wantProblem(t, 503, "identity-unavailable")
		if a.header.Get("Retry-After") != "5" {
			t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
		}
	})
	malformed := "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJtZSIsImlzcyI6Im1lIn0.AA" // iss twice
	r.everywhere(t, []string{"Authorization", "Bearer " + malformed}, func(_, _ string, a answer) {
		a.wantProblem(t, 401, "unauthenticated")
		if got := a.header.Get("WWW-Authenticate"); got != `Bearer error="invalid_token"` {
			t.Errorf("it asks for %q", got)
		}
	})
}

package identity

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestTheFirstResponsibleResolverDecides(t *testing.T) {
	u := newUpstream(t, byToken(map[string]string{"Bearer a": "ann"}))
	c := u.chain(t, Options{
		Entries:        []Entry{userHeader, {Kind: KindBasic, Get: "/me"}, whoamiEntry, guest},
		TrustedProxies: prefixes("192.0.2.0/24"),
	})
	wantUser(t, c, request("X-User", "bob", "Authorization", "Bearer a"), "bob")
	wantUser(t, c, request("Authorization", "Bearer a"), "ann")
	wantUser(t, c, request(), "guest")
	wantUser(t, c, request("Authorization", ""), "guest")
	// Responsible, but failed: nothing weaker is asked.
	wantError(t, c, request("X-User", "", "Authorization", "Bearer a"), ErrUnauthenticated)
	wantError(t, c, request("Authorization", "Basic !!!"), ErrUnauthenticated)
	wantError(t, c, request("Authorization", "Bearer b"), ErrUnauthenticated)
	u.set(answerJSON(http.StatusInternalServerError, "{}"))
	wantError(t, c, request("Authorization", "Bearer c"), ErrUnavailable)
}

func TestWithoutAResponsibleResolverNobodyIsKnown(t *testing.T) {
	wantError(t, newChain(t, Options{}), request("Authorization", "Bearer a", "X-User", "ann"), ErrUnauthenticated)

	u := newUpstream(t, answerJSON(http.StatusOK, `{"id":1}`))
	c := u.chain(t, Options{Entries: []Entry{whoamiEntry, {Kind: KindBasic, Get: "/me"}}})
	_, err := c.Ask(request("Cookie", "session=1")).Answer(t.Context())
	refusal, ok := errors.AsType[*UnauthenticatedError](err)
	if !ok || !slices.Equal(refusal.Challenges, []string{`Basic realm="api", charset="UTF-8"`}) {
		t.Errorf("the error is %#v, want a Basic challenge", err)
	}
	u.wantLookups(t, 0)
}

func TestNewAnswersEveryMistakeAtOnce(t *testing.T) {
	upstream := &url.URL{Scheme: "http", Host: "api.example"}
	_, err := New(Options{
		Upstream: upstream, Transport: http.DefaultTransport,
		TrustedProxies: []netip.Prefix{{}},
		Entries: []Entry{
			{Kind: KindHeader, Header: "X User"},
			{Kind: KindHeader},
			{Kind: KindHeader, Header: "X-User"},
			{Kind: KindWhoami, Get: "/me"},
			{Kind: KindWhoami, Get: "me", User: "id"},
			{Kind: KindWhoami, Get: "//evil.example/me", User: "id"},
			{Kind: KindWhoami, Get: "http://ann:secret@evil.example/me", User: "id"},
			{Kind: KindWhoami, Get: "/me#x", User: "id"},
			{Kind: KindWhoami, Get: "/me", User: "id", Credentials: []string{"Host"}},
			{Kind: KindBasic, Get: "/me", Credentials: []string{"x_user"}},
			{Kind: KindAnonymous, User: ""},
			{Kind: "jwt"},
			{Kind: "magic"},
		},
	})
	if err == nil {
		t.Fatal("New took it")
	}
	for _, want := range []string{
		"trusted proxy", "entry 1 (header)", "entry 2 (header)", "entry 4 (whoami): user must be", "entry 5 (whoami): needs a path",
		"entry 6 (whoami): needs a path", "entry 7 (whoami): needs a path", "entry 8 (whoami): get must be",
		`entry 9 (whoami): "Host" cannot be`, `"x_user" cannot be both`, "entry 11 (anonymous): the user is empty",
		"entry 12 (jwt): would never be asked", "entry 13 (magic): unknown kind",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
	if _, err := New(Options{Entries: []Entry{whoamiEntry}}); err == nil {
		t.Error("New took a whoami without an upstream")
	}
}

func TestAQuestionOutlivesItsRequest(t *testing.T) {
	u := newUpstream(t, byToken(map[string]string{"Bearer a": "ann"}))
	c := u.chain(t, Options{Entries: []Entry{whoamiEntry}})
	r := request("Authorization", "Bearer a")
	q := c.Ask(r)
	r.Header["Authorization"][0] = "Bearer b"
	r.Header, r.Host, r.RemoteAddr = nil, "", ""
	for range 2 {
		if got, err := q.Answer(t.Context()); err != nil || got.User != "ann" {
			t.Errorf("the caller is %q, %v; want ann", got.User, err)
		}
	}
}

func BenchmarkAsk(b *testing.B) {
	target := &url.URL{Scheme: "http", Host: "api.example"}
	o := Options{Upstream: target, Transport: http.DefaultTransport}
	bench := func(name string, r *http.Request, entries ...Entry) {
		o.Entries = entries
		c := newChain(b, o)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Strip(r)
				_ = c.Ask(r)
			}
		})
	}
	r := request("Authorization", "Bearer a", "Accept", "*/*", "User-Agent", "bench")
	bench("nothing to do", r)
	bench("nobody responsible", request(), userHeader, whoamiEntry)
	bench("whoami", r, userHeader, whoamiEntry)
}

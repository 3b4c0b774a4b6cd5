package identity

import (
	"net/http"
	"strings"
	"testing"
)

// keyPseudonym is what "k-1" becomes under hmacSecret. It must never change: it
// is whose subscriptions those are.
const keyPseudonym = "key_xsbbzoo6aebwj5fkdu3ryz4oa4vtcc7e"

func keyEntry(t testing.TB) Entry {
	return Entry{Kind: KindKey, Header: "X-Api-Key", Secret: keyFile(t, []byte(hmacSecret)), Get: "/me"}
}

func acceptsKey(key string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") != key && r.URL.Query().Get("api_key") != key {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
}

func TestAnAPIKeyIsAPseudonymThatLasts(t *testing.T) {
	u := newUpstream(t, acceptsKey("k-1"))
	for range 2 { // two processes
		c := u.chain(t, Options{Entries: []Entry{keyEntry(t), guest}})
		wantUser(t, c, request("X-Api-Key", "k-1"), keyPseudonym)
		wantUser(t, c, request("X-Api-Key", "k-1"), keyPseudonym)
		wantError(t, c, request("X-Api-Key", "k-2"), ErrUnauthenticated)
		wantUser(t, c, request(), "guest")
		wantUser(t, c, request("X-Api-Key", ""), "guest")
	}
	u.wantLookups(t, 4)
	u.set(answerJSON(http.StatusServiceUnavailable, ""))
	wantError(t, u.chain(t, Options{Entries: []Entry{keyEntry(t)}}), request("X-Api-Key", "k-1"), ErrUnavailable)

	another := keyEntry(t)
	another.Secret, another.Get, another.Unverified = keyFile(t, []byte(strings.ToUpper(hmacSecret))), "", true
	got, err := newChain(t, Options{Entries: []Entry{another}}).Ask(request("X-Api-Key", "k-1")).Answer(t.Context())
	if err != nil || got.User == keyPseudonym || len(got.User) != len(keyPseudonym) {
		t.Errorf("under another secret the caller is %v, %v", got, err)
	}
}

func TestAnAPIKeyInTheQueryIsTheSameCaller(t *testing.T) {
	u := newUpstream(t, acceptsKey("k-1"))
	entry := keyEntry(t)
	entry.Header, entry.Query, entry.Get = "", "api_key", "/me?fields=id"
	c := u.chain(t, Options{Entries: []Entry{entry, guest}})
	ask := func(query string) *http.Request {
		r := request("Authorization", "Bearer x")
		r.URL.RawQuery = query
		return r
	}
	wantUser(t, c, ask("a=b&api_key=k-1"), keyPseudonym)
	if r := u.lastRequest(); r.URL.RawQuery != "fields=id&api_key=k-1" || r.Header.Get("Authorization") != "" {
		t.Errorf("the upstream was asked %s with %v", r.URL, r.Header)
	}
	wantUser(t, c, ask("api%5Fkey=k%2D1"), keyPseudonym)
	wantError(t, c, ask("api_key=k-2"), ErrUnauthenticated)
	u.wantLookups(t, 2)
	for _, query := range []string{"api_key=k-1&api_key=k-2", "api_key=k-1;api_key=k-2", "a=%zz&api_key=k-1", "api_key=%zz"} {
		wantError(t, c, ask(query), ErrUnauthenticated)
	}
	for _, query := range []string{"", "api_key=", "API_KEY=k-1", "a=%zz"} {
		wantUser(t, c, ask(query), "guest")
	}
	u.wantLookups(t, 2)
}

func TestTwoAPIKeysAreNobodys(t *testing.T) {
	u := newUpstream(t, acceptsKey("k-1"))
	c := u.chain(t, Options{Entries: []Entry{keyEntry(t), guest}})
	for _, headers := range [][]string{
		{"X-Api-Key", "k-1", "X-Api-Key", "k-2"}, {"X-Api-Key", "k-1", "X_api_key", "k-2"}, {"X_Api_Key", "k-1"},
	} {
		wantError(t, c, request(headers...), ErrUnauthenticated)
	}
	u.wantLookups(t, 0)
}

func TestARevokedAPIKeyIsForgotten(t *testing.T) {
	u := newUpstream(t, acceptsKey("k-1"))
	c := u.chain(t, Options{Entries: []Entry{keyEntry(t)}})
	wantUser(t, c, request("X-Api-Key", "k-1"), keyPseudonym)
	u.set(acceptsKey("k-2"))
	c.Ask(request("X-Api-Key", "k-1")).Forget()
	wantError(t, c, request("X-Api-Key", "k-1"), ErrUnauthenticated)
}

func TestAKeyEntryThatLeavesSomethingOpenIsRefused(t *testing.T) {
	u := newUpstream(t, acceptsKey(""))
	_ = u.chain(t, Options{Entries: []Entry{keyEntry(t)}})
	for name, change := range map[string]func(*Entry){
		"no place":            func(e *Entry) { e.Header = "" },
		"two places":          func(e *Entry) { e.Query = "api_key" },
		"no header":           func(e *Entry) { e.Header = "a b" },
		"no secret":           func(e *Entry) { e.Secret = Source{} },
		"a short secret":      func(e *Entry) { e.Secret = keyFile(t, []byte("short")) },
		"not verified":        func(e *Entry) { e.Get = "" },
		"verified and not":    func(e *Entry) { e.Unverified = true },
		"verified by another": func(e *Entry) { e.Get = "me" },
	} {
		entry := keyEntry(t)
		change(&entry)
		if _, err := New(Options{Upstream: mustURL(t, u.URL), Transport: u.transport, Entries: []Entry{entry}}); err == nil {
			t.Errorf("%s: New took it", name)
		}
	}
	both := []Entry{{Kind: KindHeader, Header: "x_api_key"}, keyEntry(t)}
	if _, err := New(Options{Upstream: mustURL(t, u.URL), Transport: u.transport, Entries: both}); err == nil {
		t.Error("New took a header that is both the caller's name and a key")
	}
}

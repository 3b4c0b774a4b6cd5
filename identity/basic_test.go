package identity

import (
	"encoding/base64"
	"net/http"
	"testing"
)

func basicAuth(credentials string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
}

// passwords answers 2xx to ann and bob with their passwords.
func passwords(w http.ResponseWriter, r *http.Request) {
	name, password, ok := r.BasicAuth()
	if !ok || password != map[string]string{"ann": "a:1", "bob": "", "é": "x"}[name] || name == "eve" {
		w.Header().Set("WWW-Authenticate", `Basic realm="theirs"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusNoContent) // no body is needed
}

func TestABasicNameIsBelievedOnceTheUpstreamAcceptedIt(t *testing.T) {
	u := newUpstream(t, passwords)
	c := u.chain(t, Options{Entries: []Entry{{Kind: KindBasic, Get: "/private"}, guest}})
	wantUser(t, c, request("Authorization", basicAuth("ann:a:1")), "ann")
	wantUser(t, c, request("Authorization", basicAuth("ann:a:1")), "ann")
	u.wantLookups(t, 1)
	wantUser(t, c, request("Authorization", basicAuth("bob:")), "bob")
	wantUser(t, c, request("Authorization", "bAsIc "+base64.StdEncoding.EncodeToString([]byte("é:x"))), "é")
	wantError(t, c, request("Authorization", basicAuth("ann:wrong")), ErrUnauthenticated)
	wantError(t, c, request("Authorization", basicAuth("eve:")), ErrUnauthenticated)
	if path := u.lastRequest().URL.Path; path != "/private" {
		t.Errorf("the upstream was asked at %s", path)
	}
}

func TestMalformedBasicCredentialsAreRefusedUnasked(t *testing.T) {
	u := newUpstream(t, answerJSON(http.StatusOK, "{}")) // it would accept anybody
	c := u.chain(t, Options{Entries: []Entry{{Kind: KindBasic, Get: "/"}, guest}})
	for name, headers := range map[string][]string{
		"no base64":       {"Authorization", "Basic ann:a"},
		"nothing":         {"Authorization", "Basic"},
		"no colon":        {"Authorization", basicAuth("ann")},
		"no name":         {"Authorization", basicAuth(":a")},
		"control":         {"Authorization", basicAuth("ann\x00:a")},
		"not UTF-8":       {"Authorization", basicAuth("\xe9:a")},
		"two headers":     {"Authorization", basicAuth("ann:a"), "Authorization", basicAuth("bob:b")},
		"Bearer and it":   {"Authorization", "Bearer x", "Authorization", basicAuth("bob:b")},
		"sloppy base64":   {"Authorization", "Basic YW5uOmE"},
		"two in one line": {"Authorization", basicAuth("ann:a") + ", " + basicAuth("bob:b")},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, c, request(headers...), ErrUnauthenticated) })
	}
	wantUser(t, c, request("Authorization", "Bearer x"), "guest")
	wantUser(t, c, request("Authorization", "Basically"), "guest")
	u.wantLookups(t, 0)
}

func TestAnUpstreamThatCannotBeAskedBelievesNoName(t *testing.T) {
	for _, status := range []int{302, 404, 429, 500, 503} {
		u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		c := u.chain(t, Options{Entries: []Entry{{Kind: KindBasic, Get: "/me"}}})
		wantError(t, c, request("Authorization", basicAuth("ann:a")), ErrUnavailable)
	}
}

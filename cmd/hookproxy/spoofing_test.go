package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// spoofs are headers by which some server or framework takes a request for
// somebody else's, for another, or for one from elsewhere.
func (n *neighbours) spoofs() [][]string {
	return [][]string{
		{"X-User", "43"}, {"x-user", "43"}, {"X_User", "43"}, {"X_USER", "43"}, {"X-User", "43", "X-User", "42"}, {"X-User", ""}, {"Connection", "X-User", "X-User", "43"},
		{"X-Forwarded-User", "43"}, {"Remote-User", "43"}, {"X-Remote-User", "43"}, {"X-Authenticated-User", "43"}, {"X-Original-User", "43"}, {"From", "bob@sample"},
		{"X-Forwarded-For", "10.0.0.1", "X-User", "43"}, {"Forwarded", "for=10.0.0.1", "X-User", "43"}, {"X-Real-Ip", "10.0.0.1", "X-User", "43"},
		{"X-Client-Ip", "10.0.0.1", "X-User", "43"}, {"True-Client-Ip", "10.0.0.1", "X-User", "43"}, {"Via", "1.1 10.0.0.1", "X-User", "43"},
		{"X-Forwarded-Host", "evil.example"}, {"X-Forwarded-Proto", "https"}, {"X-Forwarded-Prefix", "/evil"}, {"Forwarded", `host="evil.example";proto=https`},
		{"X-Http-Method-Override", "DELETE"}, {"X-Method-Override", "DELETE"}, {"X-Http-Method", "DELETE"},
		{"X-Original-Url", collection + n.active}, {"X-Rewrite-Url", collection + n.active},
		{"X-Hook-Subscription", n.active}, {"Cookie", "user=43; session=bob-token"}, {"Proxy-Authorization", "Bearer bob-token"},
		{"X-Authorization", "Bearer bob-token"}, {"X_Authorization", "Bearer bob-token"},
	}
}

const byHeaderOrWhoami = "identity: [{header: X-User}, {whoami: {get: /me, user: id}}]"

// The header is believed of those who are trusted, or the table below would prove
// nothing.
func TestATrustedProxySaysWhoIsCalling(t *testing.T) {
	t.Parallel()
	n := meet(t, byHeaderOrWhoami, "--trusted-proxies", "127.0.0.0/8")
	n.settle()
	n.ask(http.Header{}, "GET", collection+n.active, "", "X-User", "43").want(n, 200, nil)
	n.ask(n.bob, "GET", collection+n.active, "", "X-User", "42").want(n, 404, nil)
}

// Whoever comes from no trusted proxy is who their credentials say, at each endpoint,
// whatever else they send; and without credentials they are nobody.
func TestNoHeaderMakesACallerSomebodyElse(t *testing.T) {
	t.Parallel()
	n := meet(t, byHeaderOrWhoami, "--trusted-proxies", "10.0.0.0/8")
	n.settle()
	before := n.state()
	var paths []string
	for _, path := range n.paths {
		for _, id := range []string{n.active, n.pending} {
			filled := strings.NewReplacer("{id}", id, "{redelivery}", n.job, "{name}", "contact.create").Replace(path)
			if !slices.Contains(paths, filled) && !strings.HasSuffix(path, "/jwks.json") {
				paths = append(paths, filled)
			}
		}
	}
	for _, path := range paths {
		for _, method := range allMethods {
			for who, credentials := range map[string]http.Header{"Alice": n.alice, "nobody": {}} {
				want := n.ask(credentials, method, path, "{}")
				if who == "nobody" && want.Status != http.StatusUnauthorized && want.Status != http.StatusMethodNotAllowed {
					t.Errorf("%s %s answers nobody %d", method, path, want.Status)
				}
				for _, spoof := range n.spoofs() {
					if diff := cmp.Diff(want, n.ask(credentials, method, path, "{}", spoof...)); diff != "" {
						t.Errorf("%s %s answers %s otherwise with %q (-without +with):\n%s", method, path, who, spoof, diff)
					}
				}
			}
		}
	}
	// Of two Authorization headers the API believes the first, and so do we.
	if got := n.ask(n.alice, "GET", collection+n.active, "", "Authorization", "Bearer bob-token"); got.Status == http.StatusOK {
		t.Errorf("a second Authorization header reads Bob's: %+v", got)
	}
	if diff := cmp.Diff(before, n.state()); diff != "" {
		t.Errorf("what is Bob's has changed (-before +after):\n%s", diff)
	}
}

package identity

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	userHeader = Entry{Kind: KindHeader, Header: "X-User"}
	guest      = Entry{Kind: KindAnonymous, User: "guest"}
)

func TestAnIdentityHeaderIsBelievedFromTrustedProxiesOnly(t *testing.T) {
	c := newChain(t, Options{
		Entries:        []Entry{userHeader, guest},
		TrustedProxies: prefixes("192.0.2.0/24", "2001:db8::/32", "::ffff:198.51.100.0/120"),
	})
	for peer, want := range map[string]string{
		"192.0.2.1:1":          "ann",
		"[::ffff:192.0.2.1]:1": "ann", // as a dual-stack listener shows it
		"[2001:db8::1]:1":      "ann",
		"[2001:db8::1%eth0]:1": "ann",
		"198.51.100.7:1":       "ann",
		"198.51.101.7:1":       "guest",
		"192.0.3.1:1":          "guest",
		"[2001:db9::1]:1":      "guest",
		"127.0.0.1:1":          "guest",
		"192.0.2.1":            "guest",
		"@":                    "guest",
		"":                     "guest",
	} {
		r := request("X-User", "ann", "X-Forwarded-For", "192.0.2.1", "Forwarded", "for=192.0.2.1")
		r.RemoteAddr = peer
		t.Run(peer, func(t *testing.T) { wantUser(t, c, r, want) })
	}
}

func TestATrustedProxysHeaderMustNameOneUser(t *testing.T) {
	c := newChain(t, Options{Entries: []Entry{userHeader, guest}, TrustedProxies: prefixes("192.0.2.0/24")})
	for name, headers := range map[string][]string{
		"two values":          {"X-User", "ann", "X-User", "bob"},
		"the same twice":      {"X-User", "ann", "X-User", "ann"},
		"another spelling":    {"X-User", "ann", "X_User", "bob"},
		"only a misspelling":  {"X_User", "ann"},
		"empty":               {"X-User", ""},
		"too long":            {"X-User", strings.Repeat("x", 257)},
		"control characters":  {"X-User", "ann\tbob"},
		"not UTF-8":           {"X-User", "ann\xff"},
		"a C1 control":        {"X-User", "ann\u0085"},
		"empty and a variant": {"X-User", "", "x_user", "ann"},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, c, request(headers...), ErrUnauthenticated) })
	}
	wantUser(t, c, request("x-uSER", "ann, of \u00e9vry"), "ann, of \u00e9vry")
	wantUser(t, c, request("X-User2", "ann"), "guest")
}

func TestStripRemovesEverySpellingOfTheHeader(t *testing.T) {
	c := newChain(t, Options{
		Entries:        []Entry{{Kind: KindHeader, Header: "x_auth-USER"}},
		TrustedProxies: prefixes("192.0.2.0/24"),
	})
	spellings := []string{"X-Auth-User", "x-auth-user", "X_Auth_User", "X_AUTH-USER", "x-Auth_user"}
	others := []string{"X-Auth-Users", "Xauth-User", "X-Auth.User", "Authorization", "X-Auth"}
	headers := func(names ...string) http.Header {
		h := http.Header{}
		for _, name := range names {
			h[name] = []string{"ann"} // as it came: Add would canonicalise
		}
		return h
	}
	stranger := request()
	stranger.RemoteAddr = "203.0.113.9:1"
	stranger.Header = headers(append(others, spellings...)...)
	stranger.Trailer = headers("X_auth_user", "Checksum")
	c.Strip(stranger)
	if diff := cmp.Diff(headers(others...), stranger.Header); diff != "" {
		t.Errorf("a stranger's headers (-want +got):\n%s", diff)
	}
	if got := slices.Collect(maps.Keys(stranger.Trailer)); !slices.Equal(got, []string{"Checksum"}) {
		t.Errorf("a stranger's trailers are %q", got)
	}
	friend := request()
	friend.Header = headers(spellings...)
	c.Strip(friend)
	if len(friend.Header) != len(spellings) {
		t.Errorf("a trusted proxy's headers were stripped to %v", friend.Header)
	}
}

func TestStripRemovesNothingWithoutAHeaderEntry(t *testing.T) {
	c := newChain(t, Options{Entries: []Entry{guest}})
	r := request("X-User", "ann")
	c.Strip(r)
	if r.Header.Get("X-User") != "ann" {
		t.Error("a header that means nothing to identity is gone")
	}
}

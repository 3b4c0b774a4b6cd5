package replay

import (
	"encoding/base64"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/hookproxy/hookproxy/identity"
)

// peer is where all requests come from. What a recording says of the caller is
// believed as a trusted proxy's word would be: nothing can come of it.
const peer = "192.0.2.1:1024" // TEST-NET-1 (RFC 5737)

// callers says who sent a request, as far as the recording tells; the first of
// these that does decides:
//
//	the user that was given for all
//	the user that hookproxy recorded, or recorded with the same credentials
//	the claims of a JWT of the issuer: its signature and times are not checked
//	the identity section, with its questions answered from the recording
type callers struct {
	stage *stage
	known map[string]string // users by credentials
	names []string          // headers that those are in
	chain *identity.Chain   // nil: it cannot be built here, for want of a key's secret say
	why   error             // that it is nil
}

func newCallers(s *stage, upstream *url.URL) *callers {
	c := &callers{stage: s, known: map[string]string{}, names: slices.Clone(credentials)}
	var entries []identity.Entry
	for _, entry := range s.Identity {
		c.names = append(append(c.names, entry.Credentials...), entry.Header)
		if entry.Kind != identity.KindJWT {
			entries = append(entries, entry)
		}
	}
	slices.Sort(c.names)
	c.names = slices.Compact(c.names)
	for _, e := range s.Recording {
		if fold := credentialsOf(e.Request.Header, c.names); e.User != "" && fold != "" {
			c.known[fold] = e.User
		}
	}
	c.chain, c.why = identity.New(identity.Options{
		Entries: entries, Upstream: upstream, Transport: s.player, Outside: s.player, Timeout: patience,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")},
	})
	return c
}

// Ask answers who sent the request of a turn.
func (c *callers) Ask(r *http.Request) *identity.Question {
	t := turnOf(r.Context())
	user := c.stage.User
	if user == "" {
		user = t.entry.User
	}
	if user == "" {
		user = c.known[credentialsOf(r.Header, c.names)]
	}
	if user == "" {
		user = c.claimed(r)
	}
	switch {
	case user != "":
		return fixed(user).Ask(r)
	case c.chain == nil:
		c.stage.player.answering(t)
		c.stage.player.unanswered("nobody can tell who is calling: " + c.why.Error())
		return fixed("").Ask(r)
	}
	c.stage.player.answering(t)
	return c.chain.Ask(r)
}

// fixed answers a chain by which everybody is one user, or nobody anyone.
func fixed(user string) *identity.Chain {
	var entries []identity.Entry
	if user != "" {
		entries = []identity.Entry{{Kind: identity.KindAnonymous, User: user}}
	}
	chain, err := identity.New(identity.Options{Entries: entries})
	if err != nil { // no user can be one like this
		return fixed("")
	}
	return chain
}

// claimed answers the user in a JWT of an issuer that identity names.
func (c *callers) claimed(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	parts := strings.Split(strings.TrimSpace(token), ".")
	if !strings.EqualFold(scheme, "Bearer") || len(parts) != 3 {
		return ""
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || !gjson.ValidBytes(claims) {
		return ""
	}
	for _, entry := range c.stage.Identity {
		if entry.Kind == identity.KindJWT && gjson.GetBytes(claims, "iss").Str == entry.Issuer {
			return gjson.GetBytes(claims, entry.User).String()
		}
	}
	return ""
}

// Strip removes nothing: see peer.
func (c *callers) Strip(*http.Request) {}

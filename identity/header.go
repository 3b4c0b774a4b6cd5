package identity

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// header believes what a trusted proxy says in one header.
type header struct {
	name    string
	trusted peers
}

func newHeader(entry Entry, trusted peers) (resolver, error) {
	if !isToken(entry.Header) {
		return nil, errors.New("header must name a header")
	}
	return header{name: http.CanonicalHeaderKey(entry.Header), trusted: trusted}, nil
}

// ask takes any spelling of the header as a claim, but believes only a single
// value under the very name: a proxy that sets X-User may well pass on the
// caller's own X_User.
func (h header) ask(r *http.Request) *Question {
	if !carries(r.Header, h.name) || !h.trusted.include(r) {
		return nil
	}
	values := 0
	for name, v := range r.Header {
		if sameHeader(name, h.name) {
			values += len(v)
		}
	}
	named := r.Header[h.name]
	if values != 1 || len(named) != 1 {
		return &Question{err: unauthenticated("the identity header is ambiguous")}
	}
	if err := checkUser(named[0]); err != nil {
		return &Question{err: unauthenticated(err.Error())}
	}
	return &Question{caller: Caller{User: named[0]}}
}

// Strip removes the identity headers from a request, in every spelling that
// some server takes for the same (X-User, x-user, X_User), unless it came from
// a trusted proxy: nobody else may tell the upstream who they are. Trailers
// that the request announces go the same way.
func (c *Chain) Strip(r *http.Request) {
	for _, name := range c.headers {
		if (carries(r.Header, name) || carries(r.Trailer, name)) && !c.peers.include(r) {
			remove(r.Header, name)
			remove(r.Trailer, name)
		}
	}
}

func carries(h http.Header, name string) bool {
	for key := range h {
		if sameHeader(key, name) {
			return true
		}
	}
	return false
}

func remove(h http.Header, name string) {
	for key := range h {
		if sameHeader(key, name) {
			delete(h, key)
		}
	}
}

// sameHeader says whether two names are one to a server that, as CGI does
// (RFC 3875 section 4.1.18), knows headers in one case and with '_' for '-'.
func sameHeader(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if foldByte(a[i]) != foldByte(b[i]) {
			return false
		}
	}
	return true
}

func foldByte(b byte) byte {
	switch {
	case b == '_':
		return '-'
	case 'A' <= b && b <= 'Z':
		return b + 'a' - 'A'
	}
	return b
}

// peers are the networks whose word about the caller is taken.
type peers []netip.Prefix

func newPeers(prefixes []netip.Prefix) (peers, error) {
	made := make(peers, 0, len(prefixes))
	for _, p := range prefixes {
		if !p.IsValid() {
			return nil, fmt.Errorf("trusted proxy %q is not a network", p)
		}
		// A dual-stack listener and a careful writer may each put IPv4 into
		// IPv6; Contains takes the two for different addresses.
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		made = append(made, p)
	}
	return made, nil
}

// include looks at the connection's own peer. What X-Forwarded-For says is the
// caller's to choose.
func (p peers) include(r *http.Request) bool {
	if len(p) == 0 {
		return false
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	addr := peer.Addr().Unmap().WithZone("")
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// isToken says whether a name can be that of a header (RFC 9110 section 5.6.2).
func isToken(name string) bool {
	for i := range len(name) {
		c := name[i]
		alphanumeric := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alphanumeric && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return name != ""
}

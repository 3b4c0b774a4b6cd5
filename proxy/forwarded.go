package proxy

import (
	"maps"
	"net/http"
	"net/netip"
	"strings"
)

// What proxies tell upstreams about the client (RFC 7239 and its de facto
// forerunners). Anyone can send these.
const (
	forwardedHeader = "Forwarded"
	forwardedFor    = "X-Forwarded-For"
	forwardedHost   = "X-Forwarded-Host"
	forwardedProto  = "X-Forwarded-Proto"
	forwardedPrefix = "X-Forwarded-Prefix"
)

// setPrefix tells the upstream of the mount that it gets no more. Where mounts are
// left out, nobody but a trusted proxy may say so: APIs make links by it.
func (r *ruling) setPrefix(in *http.Request, out http.Header, mount string, trusted bool) {
	if !r.strips {
		return
	}
	before := ""
	if trusted {
		before = strings.TrimSuffix(in.Header.Get(forwardedPrefix), "/")
	} else {
		maps.DeleteFunc(out, func(name string, _ []string) bool {
			return strings.EqualFold(strings.ReplaceAll(name, "_", "-"), forwardedPrefix)
		})
	}
	if mount != "" {
		out.Set(forwardedPrefix, before+mount)
	}
}

// isForwarded tells these, of a canonical name.
func isForwarded(name string) bool {
	switch name {
	case forwardedHeader, forwardedFor, forwardedHost, forwardedProto:
		return true
	}
	return false
}

// isLookalike tells X_Forwarded_For and the like: CGI and its heirs write "-" as
// "_", and cannot tell it from the header that we set.
func isLookalike(name string) bool {
	if strings.IndexByte(name, '_') < 0 {
		return false
	}
	name = http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
	return name != forwardedHeader && isForwarded(name)
}

// dropForwarded removes the same claims from an untrusted request's trailers:
// some servers merge those into the headers.
func (p *Proxy) dropForwarded(trailer http.Header, remoteAddr string) {
	if len(trailer) == 0 || p.trusts(remoteAddr) {
		return
	}
	for name := range trailer {
		if isForwarded(name) || name == forwardedPrefix || isLookalike(name) {
			delete(trailer, name)
		}
	}
}

// trusts looks at the connection's own peer, never at what a header claims.
func (p *Proxy) trusts(remoteAddr string) bool {
	if len(p.trusted) == 0 {
		return false
	}
	peer, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return false
	}
	addr := peer.Addr().Unmap().WithZone("")
	for _, prefix := range p.trusted {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// unmapped writes IPv4 networks as IPv4, since Contains takes 10.0.0.1 and
// ::ffff:10.0.0.1 for different addresses.
func unmapped(prefixes []netip.Prefix) []netip.Prefix {
	made := make([]netip.Prefix, 0, len(prefixes))
	for _, prefix := range prefixes {
		if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		made = append(made, prefix)
	}
	return made
}

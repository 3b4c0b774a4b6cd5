package proxy

import (
	"maps"
	"net/http"
	"net/http/httputil"
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

// setForwarded tells the upstream where the request came from. ReverseProxy
// has removed what the client said about it; that comes back only from a
// trusted proxy. It runs after the hop-by-hop headers are gone, so that
// "Connection: X-Forwarded-For" takes nothing away.
func (p *Proxy) setForwarded(pr *httputil.ProxyRequest) {
	trusted := p.trusts(pr.In.RemoteAddr)
	if !trusted {
		dropLookalikes(pr.Out.Header)
	}
	if trusted {
		keep(pr, forwardedHeader)
		keep(pr, forwardedFor)
	}
	pr.SetXForwarded()
	if trusted {
		keep(pr, forwardedHost)
		keep(pr, forwardedProto)
	}
}

// setPrefix tells the upstream of the mount that it gets no more. Where mounts are
// left out, nobody but a trusted proxy may say so: APIs make links by it.
func (p *Proxy) setPrefix(pr *httputil.ProxyRequest, by *ruling, mount string) {
	if !by.strips {
		return
	}
	before := ""
	if p.trusts(pr.In.RemoteAddr) {
		before = strings.TrimSuffix(pr.In.Header.Get(forwardedPrefix), "/")
	} else {
		maps.DeleteFunc(pr.Out.Header, func(name string, _ []string) bool {
			return strings.EqualFold(strings.ReplaceAll(name, "_", "-"), forwardedPrefix)
		})
	}
	if mount != "" {
		pr.Out.Header.Set(forwardedPrefix, before+mount)
	}
}

func keep(pr *httputil.ProxyRequest, name string) {
	if values := pr.In.Header[name]; len(values) > 0 {
		pr.Out.Header[name] = values
	}
}

// dropLookalikes removes X_Forwarded_For and the like: CGI and its heirs write
// "-" as "_", and cannot tell it from the header that we set.
func dropLookalikes(h http.Header) {
	for name := range h {
		if strings.Contains(name, "_") && isForwarded(strings.ReplaceAll(name, "_", "-")) {
			delete(h, name)
		}
	}
}

func isForwarded(name string) bool {
	return strings.EqualFold(name, forwardedFor) || strings.EqualFold(name, forwardedHost) || strings.EqualFold(name, forwardedProto)
}

// dropForwarded removes the same claims from an untrusted request's trailers:
// some servers merge those into the headers.
func (p *Proxy) dropForwarded(trailer http.Header, remoteAddr string) {
	if len(trailer) == 0 || p.trusts(remoteAddr) {
		return
	}
	for _, name := range []string{forwardedHeader, forwardedFor, forwardedHost, forwardedProto, forwardedPrefix} {
		delete(trailer, name)
	}
	dropLookalikes(trailer)
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

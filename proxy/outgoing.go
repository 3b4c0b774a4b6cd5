package proxy

import (
	"context"
	"maps"
	"net"
	"net/http"
	"strings"

	"github.com/hookproxy/hookproxy/internal/http1"
)

// outgoing makes the upstream's request of the client's. What it does not
// change, the two share: nobody may write into the values of its header.
func (p *Proxy) outgoing(x *exchange, ctx context.Context) *http.Request {
	in, out := x.inbound, &x.relay.out
	x.relay.ctx = exchangeContext{ctx, x}
	*out, x.relay.url = *in.WithContext(&x.relay.ctx), *in.URL
	out.URL, out.Close = &x.relay.url, false
	mount := x.ruling.mountOf(in.URL)
	p.upstream.direct(out.URL, in.URL, in.Method, mount)
	trusted := p.trusts(in.RemoteAddr)
	out.Header = outgoingHeader(in, trusted, &x.relay.said)
	x.ruling.setPrefix(in, out.Header, mount, trusted)
	x.ruling.strip(out)
	if in.ContentLength == 0 {
		out.Body = nil // which transports read as: there is none
	}
	if out.Body != nil {
		out.Trailer = maps.Clone(in.Trailer)
		p.watchBody(x, out)
	}
	return out
}

// outgoingHeader answers a client's header without what is about his connection
// to us, and with what we say about it.
func outgoingHeader(in *http.Request, trusted bool, said *[3]string) http.Header {
	out := make(http.Header, len(in.Header)+len(said))
	for name, values := range in.Header {
		if !isHopByHop(name) && !isForwarded(name) && (trusted || !isLookalike(name)) {
			out[name] = values
		}
	}
	if connection := in.Header["Connection"]; connection != nil {
		dropNamed(out, connection)
		if protocol := upgradeOf(in.Header); protocol != "" {
			out["Connection"], out["Upgrade"] = []string{"Upgrade"}, []string{protocol}
		}
	}
	if te := in.Header["Te"]; te != nil && http1.HasToken(te, "trailers") {
		out["Te"] = []string{"trailers"} // the client understands them, and so do we
	}
	if _, named := in.Header["User-Agent"]; !named {
		out["User-Agent"] = noUserAgent
	}
	setForwarded(in, out, trusted, said)
	return out
}

// noUserAgent keeps transports from adding their own. It is not sent.
var noUserAgent = []string{""}

// upgradeOf answers the protocol that a client would like to switch to, or "".
//
// "h2c" is kept to ourselves. It is hop-by-hop and obsolete (RFC 9113 §3.1),
// some clients offer it with every first request, and an upstream that took it
// would turn the connection into a tunnel in which no request is seen any more.
func upgradeOf(h http.Header) string {
	if !http1.HasToken(h["Connection"], "Upgrade") || http1.HasToken(h["Upgrade"], "h2c") {
		return ""
	}
	return h.Get("Upgrade")
}

// setForwarded tells the upstream where the request came from. What the client
// said about it counts only from a trusted proxy. It comes after the hop-by-hop
// headers are gone, so that "Connection: X-Forwarded-For" takes nothing away.
//
// The three fields' values are kept in said.
func setForwarded(in *http.Request, out http.Header, trusted bool, said *[3]string) {
	if ip, _, err := net.SplitHostPort(in.RemoteAddr); err == nil {
		if prior := in.Header[forwardedFor]; trusted && len(prior) > 0 {
			ip = strings.Join(prior, ", ") + ", " + ip
		}
		said[0] = ip
		out[forwardedFor] = said[0:1:1]
	}
	said[1], said[2] = in.Host, "http"
	if in.TLS != nil {
		said[2] = "https"
	}
	out[forwardedHost], out[forwardedProto] = said[1:2:2], said[2:3:3]
	if trusted {
		for _, name := range []string{forwardedHeader, forwardedHost, forwardedProto} {
			if values := in.Header[name]; len(values) > 0 {
				out[name] = values
			}
		}
	}
}

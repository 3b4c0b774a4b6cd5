package delivery

import (
	"context"
	"net"
	"net/http"

	"github.com/hookproxy/hookproxy/internal/http1"
	"github.com/hookproxy/hookproxy/internal/socket"
)

// transport reaches targets: plain ones by a client that does the exchange on the
// goroutine of the delivery, and those over TLS, which may prefer HTTP/2, by
// net/http's. See docs/decisions/0043-plain-targets-by-http1.md.
type transport struct {
	plain  *http1.Transport
	secure *http.Transport
}

// newTransport answers one that dials so. Of neither is Proxy or the environment
// asked: the address dialled would be the proxy's, and the check of the target's
// address would check nothing. See egress.
//
// Each keeps as many connections to a host as may be used at once: one host may be
// the target of any number of subscriptions, and maxIdleConns bounds them all.
func newTransport(o Options, dial dialFunc) transport {
	return transport{
		plain: &http1.Transport{
			DialContext:            faster(dial),
			MaxIdleConns:           maxIdleConns,
			MaxIdleConnsPerHost:    o.Workers,
			IdleConnTimeout:        idleConnTimeout,
			MaxResponseHeaderBytes: maxResponseHeader,
			// That a server closes a connection just before it is used is no failure of
			// the target's, and webhook-id tells repeats.
			RepeatAll: true,
		},
		secure: &http.Transport{
			Proxy:                  nil,
			DialContext:            dial,
			TLSClientConfig:        o.TLS,
			TLSHandshakeTimeout:    connectTimeout,
			ForceAttemptHTTP2:      true,
			HTTP2:                  &http.HTTP2Config{SendPingTimeout: http2Silence, PingTimeout: http2PingTimeout},
			DisableCompression:     true,
			MaxIdleConns:           maxIdleConns,
			MaxIdleConnsPerHost:    o.Workers,
			IdleConnTimeout:        idleConnTimeout,
			MaxResponseHeaderBytes: maxResponseHeader,
		},
	}
}

// faster dials connections whose system calls cost less.
func faster(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return socket.Faster(conn), nil
	}
}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "https" {
		return t.secure.RoundTrip(boundDial(r))
	}
	return t.plain.RoundTrip(r)
}

// close lets go of idle connections.
func (t transport) close() {
	t.plain.CloseIdleConnections()
	t.secure.CloseIdleConnections()
}

// Package http1 is an HTTP/1.1 client for two jobs: a reverse proxy's way to its
// upstream, and deliveries to their targets. It writes a request and reads the response on the goroutine that
// asks, where net/http's transport hands both over to others: that handing over
// is most of what a proxied request costs.
//
//	RoundTrip ─► idle connection, or a new one
//	             │
//	             ├─ the head, with a small body ────────────► upstream
//	             ├─ a large body, from a second goroutine ──► upstream
//	             └─ 1xx …, the response's head ◄───────────── upstream
//	Body.Read ◄───── its body ◄────────────────────────────── upstream
//	             │ at its end
//	             └─► the connection is idle again
//
// A connection whose framing is in the least doubt is closed: what follows on it
// could be taken for another's response.
package http1

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Transport is an http.RoundTripper for http and https URLs. Its fields are read
// when a request is sent, and must not be changed after the first.
type Transport struct {
	// DialContext connects. Required.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is for https URLs; ServerName and NextProtos are filled in. Nil: the
	// defaults.
	TLS *tls.Config
	// TLSHandshakeTimeout bounds a handshake. Zero: no bound.
	TLSHandshakeTimeout time.Duration
	// ResponseHeaderTimeout bounds the time from the request's last byte to the
	// response's head. Zero: no bound.
	ResponseHeaderTimeout time.Duration
	// ExpectContinueTimeout is how long a request that expects a 100 waits for
	// it before its body is sent unasked. Zero: it does not wait.
	ExpectContinueTimeout time.Duration
	// MaxResponseHeaderBytes bounds a response's head, its trailers, and all the
	// 1xx before it, each. Zero: 1 MiB.
	MaxResponseHeaderBytes int
	// MaxIdleConnsPerHost is how many connections are kept. Zero: none.
	MaxIdleConnsPerHost int
	// MaxIdleConns is how many are kept over all hosts; beyond it the oldest go.
	// Zero: no bound.
	MaxIdleConns int
	// IdleConnTimeout is for how long. Zero: for ever.
	IdleConnTimeout time.Duration
	// RepeatAll has any request that has a GetBody sent once more where a kept
	// connection ended before it said anything: its server may have closed it just
	// then, or may have had the request. False: only a request that changes nothing.
	RepeatAll bool

	idle pool
}

// Follower is told how a request fares, on the goroutine that sends it. It does
// what httptrace would, for less.
type Follower interface {
	// WroteHeaders says that the request's head is with the upstream.
	WroteHeaders()
	// Early brings an interim response, but for a 101. An error ends the request.
	Early(status int, header http.Header) error
}

// FollowerKey is the key in a request's context under which RoundTrip looks for
// its Follower.
type FollowerKey struct{}

// RoundTrip implements http.RoundTripper. The response's Body must be closed; it
// closes the connection if it has not been read to its end.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	o, err := newOutgoing(r)
	if err != nil {
		closeBody(r)
		return nil, err
	}
	res, err := t.send(o)
	if err != nil {
		o.end()
		return nil, err
	}
	o.over()
	return res, nil
}

// send tries idle connections until one is fit, and once more with a new one
// where that changes nothing for the upstream.
func (t *Transport) send(o *outgoing) (*http.Response, error) {
	ctx, place := o.r.Context(), placeOf(o.r.URL)
	for c := t.idle.take(place); c != nil; c = t.idle.take(place) {
		if !c.asks(o) && !c.isQuiet() {
			_ = c.Close() // it was of no use any more
			continue
		}
		res, err := t.exchange(c, o)
		if err == nil || ctx.Err() != nil {
			return res, err
		}
		if c.spoke {
			continue
		}
		again := o.again(c, t.RepeatAll)
		if again == nil {
			return nil, err
		}
		if again != o {
			o = again
			defer o.end() // after an error; else there is nothing left to end
		}
		break
	}
	c, err := t.dial(ctx, place, "http/1.1")
	if err != nil {
		return nil, err
	}
	return t.exchange(c, o)
}

// exchange sends a request on a connection and answers its response.
func (t *Transport) exchange(c *conn, o *outgoing) (*http.Response, error) {
	x := newTurn(t, c, o)
	if err := x.send(); err != nil {
		return nil, x.fail(err)
	}
	res, err := x.receive()
	if err != nil {
		return nil, x.fail(err)
	}
	return res, nil
}

// CloseIdleConnections closes what is kept for the next requests.
func (t *Transport) CloseIdleConnections() { t.idle.close() }

func (t *Transport) maxHeaderBytes() int {
	if t.MaxResponseHeaderBytes > 0 {
		return t.MaxResponseHeaderBytes
	}
	return 1 << 20
}

// Negotiate connects to an https URL's host and answers whether it prefers
// HTTP/2, which needs another transport. If not, the connection is kept for a
// request.
func (t *Transport) Negotiate(ctx context.Context, u *url.URL) (http2 bool, err error) {
	c, err := t.dial(ctx, placeOf(u), "h2", "http/1.1")
	if err != nil {
		return false, err
	}
	if c.Conn.(*tls.Conn).ConnectionState().NegotiatedProtocol == "h2" {
		return true, c.Close()
	}
	t.keep(c)
	return false, nil
}

func (t *Transport) keep(c *conn) {
	t.idle.put(c, t.MaxIdleConnsPerHost, t.MaxIdleConns, t.IdleConnTimeout)
}

func (t *Transport) dial(ctx context.Context, p place, protocols ...string) (*conn, error) {
	plain, err := t.DialContext(ctx, "tcp", p.address)
	if err == nil && p.tls {
		var secure *tls.Conn
		if secure, err = t.handshake(ctx, plain, p, protocols); err == nil {
			return newConn(secure, plain, p), nil
		}
		plain.Close()
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	return newConn(plain, plain, p), nil
}

func (t *Transport) handshake(ctx context.Context, plain net.Conn, p place, protocols []string) (*tls.Conn, error) {
	config := t.TLS.Clone()
	if config == nil {
		config = &tls.Config{}
	}
	if config.NextProtos = protocols; config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(p.address)
	}
	if t.TLSHandshakeTimeout > 0 {
		bounded, cancel := context.WithTimeout(ctx, t.TLSHandshakeTimeout)
		defer cancel()
		ctx = bounded
	}
	secure := tls.Client(plain, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("http1: TLS handshake: %w", err)
	}
	return secure, nil
}

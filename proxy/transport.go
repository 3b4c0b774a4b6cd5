package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hookproxy/hookproxy/internal/http1"
	"github.com/hookproxy/hookproxy/internal/socket"
)

// What applies where TransportOptions leaves a field zero.
const (
	DefaultDialTimeout         = 10 * time.Second
	DefaultMaxIdleConnsPerHost = 512
	// DefaultIdleConnTimeout is shorter than the 5 s after which Node, uvicorn
	// and others close an idle connection: a request sent into that moment
	// fails, and only those without a body can be sent again.
	DefaultIdleConnTimeout = 4 * time.Second
)

const (
	// expectContinueTimeout is how long the upstream may think about an
	// "Expect: 100-continue" before it is sent the body unasked.
	expectContinueTimeout = time.Second
	tlsHandshakeTimeout   = 10 * time.Second
	// maxResponseHeaderBytes is as much as clients may send.
	maxResponseHeaderBytes = DefaultMaxHeaderBytes
	// A connection with HTTP/2 streams on it that has said nothing for this
	// long is asked whether it is alive, and given up if it does not answer.
	http2PingAfter   = 30 * time.Second
	http2PingTimeout = 15 * time.Second
)

// TransportOptions configures NewTransport.
type TransportOptions struct {
	// CA is what the certificate of an HTTPS upstream is checked against. Nil:
	// the system's pool.
	CA *x509.CertPool
	// H2C speaks HTTP/2 without TLS, by prior knowledge (RFC 9113 §3.3), to an
	// http upstream. HTTPS upstreams negotiate it anyway.
	H2C bool
	// NetHTTP has net/http's transport speak HTTP/1.1 too. Otherwise that is done
	// by one of our own, which costs less; see
	// docs/decisions/0090-an-http1-transport-of-our-own.md.
	NetHTTP bool
	// DialTimeout bounds connecting. DefaultDialTimeout.
	DialTimeout time.Duration
	// ResponseHeaderTimeout bounds the wait for the upstream's headers; after
	// it the client gets 504. Zero: no bound, as without a proxy.
	ResponseHeaderTimeout time.Duration
	// MaxIdleConnsPerHost is how many connections are kept for the next
	// requests. DefaultMaxIdleConnsPerHost.
	MaxIdleConnsPerHost int
	// IdleConnTimeout is how long. DefaultIdleConnTimeout.
	IdleConnTimeout time.Duration
}

// Transport reaches the upstream.
type Transport interface {
	http.RoundTripper
	// CloseIdleConnections closes what is kept for the next requests.
	CloseIdleConnections()
}

// NewTransport makes a transport that adds nothing of its own: no compression,
// no proxy from the environment. Call CloseIdleConnections when done with it.
func NewTransport(o TransportOptions) Transport {
	o = o.withDefaults()
	dial := (&net.Dialer{Timeout: o.DialTimeout}).DialContext
	shared := newNetHTTP(o, dial)
	if o.H2C || o.NetHTTP {
		return shared
	}
	return &direct{http2: shared, http1: http1.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return socket.Faster(conn), nil
		},
		TLS:                    shared.TLSClientConfig,
		TLSHandshakeTimeout:    tlsHandshakeTimeout,
		ResponseHeaderTimeout:  o.ResponseHeaderTimeout,
		ExpectContinueTimeout:  expectContinueTimeout,
		MaxResponseHeaderBytes: maxResponseHeaderBytes,
		MaxIdleConnsPerHost:    o.MaxIdleConnsPerHost,
		IdleConnTimeout:        o.IdleConnTimeout,
	}}
}

// direct speaks HTTP/1.1 on the goroutine that asks, and leaves HTTP/2 to
// net/http.
type direct struct {
	http1 http1.Transport
	http2 *http.Transport
	// prefers is what each https host chose when first asked: HTTP/2, true, or
	// HTTP/1.1. It is asked again after a failure.
	prefers sync.Map
}

func (t *direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		return t.http1.RoundTrip(r)
	}
	http2, known := t.prefers.Load(r.URL.Host)
	if !known {
		prefers, err := t.http1.Negotiate(r.Context(), r.URL)
		if err != nil {
			if r.Body != nil {
				_ = r.Body.Close() // the contract of http.RoundTripper
			}
			return nil, err
		}
		t.prefers.Store(r.URL.Host, prefers)
		http2 = prefers
	}
	if http2.(bool) {
		return t.http2.RoundTrip(traced(r)) // which falls back to HTTP/1.1 of its own
	}
	res, err := t.http1.RoundTrip(r)
	if err != nil {
		t.prefers.Delete(r.URL.Host)
	}
	return res, err
}

func (t *direct) CloseIdleConnections() {
	t.http1.CloseIdleConnections()
	t.http2.CloseIdleConnections()
}

func newNetHTTP(o TransportOptions, dial func(context.Context, string, string) (net.Conn, error)) *http.Transport {
	return &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{RootCAs: o.CA, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    tlsHandshakeTimeout,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    o.MaxIdleConnsPerHost,
		IdleConnTimeout:        o.IdleConnTimeout,
		ResponseHeaderTimeout:  o.ResponseHeaderTimeout,
		ExpectContinueTimeout:  expectContinueTimeout,
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: maxResponseHeaderBytes,
		Protocols:              o.protocols(),
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: http2PingAfter, PingTimeout: http2PingTimeout},
	}
}

func (o TransportOptions) withDefaults() TransportOptions {
	setDefault(&o.DialTimeout, DefaultDialTimeout)
	setDefault(&o.MaxIdleConnsPerHost, DefaultMaxIdleConnsPerHost)
	setDefault(&o.IdleConnTimeout, DefaultIdleConnTimeout)
	return o
}

// protocols leaves HTTP/1 out for h2c: with both, a transport would never
// choose h2c for an http URL.
func (o TransportOptions) protocols() *http.Protocols {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	if o.H2C {
		protocols.SetUnencryptedHTTP2(true)
	} else {
		protocols.SetHTTP1(true)
	}
	return protocols
}

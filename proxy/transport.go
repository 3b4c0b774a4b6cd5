package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"time"
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
	dialer := &net.Dialer{Timeout: o.DialTimeout}
	return &http.Transport{
		DialContext:            dialer.DialContext,
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

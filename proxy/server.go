package proxy

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"time"
)

// What applies where ServerOptions leaves a field zero.
const (
	DefaultReadHeaderTimeout = 10 * time.Second
	DefaultIdleTimeout       = 120 * time.Second
	DefaultMaxHeaderBytes    = 1 << 20
)

// ServerOptions configures NewServer.
type ServerOptions struct {
	// Handler answers the requests. Required.
	Handler http.Handler
	// TLS is what ServeTLS uses. Nil: only Serve.
	TLS *tls.Config
	// Log gets what net/http has to say about connections. Nil: nothing.
	Log *slog.Logger

	ReadHeaderTimeout time.Duration // DefaultReadHeaderTimeout
	IdleTimeout       time.Duration // DefaultIdleTimeout
	MaxHeaderBytes    int           // DefaultMaxHeaderBytes
}

// NewServer makes a server that is fit to stand in front of an API: HTTP/1,
// HTTP/2 over TLS, and h2c by prior knowledge. It bounds headers and idle
// connections, but neither reading nor writing as a whole, which would end
// long uploads and event streams.
func NewServer(o ServerOptions) *http.Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	setDefault(&o.ReadHeaderTimeout, DefaultReadHeaderTimeout)
	setDefault(&o.IdleTimeout, DefaultIdleTimeout)
	setDefault(&o.MaxHeaderBytes, DefaultMaxHeaderBytes)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           o.Handler,
		TLSConfig:         o.TLS,
		Protocols:         protocols,
		ReadHeaderTimeout: o.ReadHeaderTimeout,
		IdleTimeout:       o.IdleTimeout,
		MaxHeaderBytes:    o.MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
		// "OPTIONS *" is the API's to answer.
		DisableGeneralOptionsHandler: true,
	}
}

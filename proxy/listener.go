package proxy

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hookproxy/hookproxy/internal/plain"
)

// What applies where ListenerOptions leaves a field zero.
const (
	DefaultMaxConnections = 10_000
	DefaultWriteStall     = 2 * time.Minute
)

// ListenerOptions configures NewListener.
type ListenerOptions struct {
	// MaxConnections is how many clients' connections there may be at once. One
	// more waits, unaccepted, until another ends. DefaultMaxConnections.
	MaxConnections int
	// WriteStall is how long a client may take nothing of what is written to it
	// before its connection ends: up to half as much again, since the clock is
	// not set for each write. DefaultWriteStall.
	WriteStall time.Duration
	// Server is the one that the listener is for, without TLS. Its plain requests
	// are then served on the goroutine of their connection, without it, which costs
	// half as much: see package plain. Nil: all requests are the server's.
	Server *http.Server
}

// Listener is what a server of this package accepts its connections from.
type Listener struct {
	net.Listener
	plain *plain.Listener // nil: all connections are net/http's
}

// NewListener bounds what clients can hold on to: NewServer's timeouts end those
// that send too slowly or nothing, and this those that do not read.
func NewListener(l net.Listener, o ListenerOptions) *Listener {
	setDefault(&o.MaxConnections, DefaultMaxConnections)
	setDefault(&o.WriteStall, DefaultWriteStall)
	bounded := &listener{Listener: l, places: make(chan struct{}, o.MaxConnections), stall: o.WriteStall, closed: make(chan struct{})}
	if o.Server == nil {
		return &Listener{Listener: bounded}
	}
	own := plain.Listen(bounded, o.Server)
	return &Listener{own, own}
}

// Shutdown waits, after the server's own Shutdown, for the requests that this one
// has no part in. It answers ctx's error where that is done first.
func (l *Listener) Shutdown(ctx context.Context) error {
	if l.plain == nil {
		return nil
	}
	return l.plain.Shutdown(ctx)
}

// Cut ends, after the server's own Close, the connections that are left.
func (l *Listener) Cut() {
	if l.plain != nil {
		l.plain.Cut()
	}
}

type listener struct {
	net.Listener
	places chan struct{} // a token for each connection
	stall  time.Duration
	close  sync.Once
	closed chan struct{}
}

// Accept waits for a place and then for a connection.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return newClientConn(conn, l), nil
}

func (l *listener) Close() error {
	l.close.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

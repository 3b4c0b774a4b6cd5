package proxy

import (
	"net"
	"sync"
	"time"
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
}

// NewListener bounds what clients can hold on to: NewServer's timeouts end those
// that send too slowly or nothing, and this those that do not read.
func NewListener(l net.Listener, o ListenerOptions) net.Listener {
	setDefault(&o.MaxConnections, DefaultMaxConnections)
	setDefault(&o.WriteStall, DefaultWriteStall)
	return &listener{Listener: l, places: make(chan struct{}, o.MaxConnections), stall: o.WriteStall, closed: make(chan struct{})}
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

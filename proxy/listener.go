package proxy

import (
	"net"
	"sync"
	"sync/atomic"
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
	return &clientConn{Conn: conn, places: l.places, stall: l.stall}, nil
}

func (l *listener) Close() error {
	l.close.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// clientConn is a client's connection.
type clientConn struct {
	net.Conn
	places chan struct{}
	once   sync.Once
	stall  time.Duration
	until  atomic.Int64 // the write deadline, in Unix nanoseconds; 0 where it is not ours
}

// Write renews the deadline, but not each time: that would cost more than the
// rest of a short write.
func (c *clientConn) Write(b []byte) (int, error) {
	if now := time.Now(); c.until.Load()-now.UnixNano() < int64(c.stall) {
		until := now.Add(c.stall + c.stall/2)
		if err := c.Conn.SetWriteDeadline(until); err != nil {
			return 0, err
		}
		c.until.Store(until.UnixNano())
	}
	return c.Conn.Write(b)
}

// SetWriteDeadline lets net/http have its own deadline, until the next Write.
func (c *clientConn) SetWriteDeadline(t time.Time) error {
	c.until.Store(0)
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline does the same.
func (c *clientConn) SetDeadline(t time.Time) error {
	c.until.Store(0)
	return c.Conn.SetDeadline(t)
}

// CloseWrite lets net/http end a refused connection in such a way that its last
// answer arrives.
func (c *clientConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close gives the place to the next client.
func (c *clientConn) Close() error {
	c.once.Do(func() { <-c.places })
	return c.Conn.Close()
}

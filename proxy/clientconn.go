package proxy

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookproxy/hookproxy/internal/socket"
)

// clientConn is a client's connection. It spares net/http's server most of what
// a short request costs there beside its own bytes:
//
//   - net/http sets deadlines about eight times a request, nearly all of which
//     are gone before they matter. Here they reach the socket only when a Read
//     would wait for longer than it may.
//   - It reads ahead on a second goroutine while a handler works, to see the
//     client leave. Where the handler is a Proxy, its attendance does that
//     instead, and only for requests that take a while.
type clientConn struct {
	net.Conn
	places chan struct{}
	once   sync.Once
	stall  time.Duration
	until  atomic.Int64 // the write deadline, in Unix nanoseconds; 0 where it is not ours

	mu      sync.Mutex
	reading bool
	due     time.Time // the read deadline that is wanted; zero for none
	set     time.Time // and the one that the socket has, which may come too soon
	cleared bool      // the last that was wanted is none, and nothing was read since

	attendance attendance
}

func newClientConn(conn net.Conn, l *listener) *clientConn {
	c := &clientConn{Conn: socket.Faster(conn), places: l.places, stall: l.stall}
	c.attendance.conn = c
	c.attendance.rest.L = &c.mu
	return c
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
// That it wants none, as it says after each request, leaves ours in place.
func (c *clientConn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() && c.until.Load() != 0 {
		return nil
	}
	c.until.Store(0)
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline does the same, and what SetReadDeadline does.
func (c *clientConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetWriteDeadline(t), c.SetReadDeadline(t))
}

// SetReadDeadline notes the deadline for the next Read. One under way is told of
// it only if it has to end sooner.
func (c *clientConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.due, c.cleared = t, t.IsZero()
	if c.reading {
		return c.limit()
	}
	return nil
}

// limit gives the socket a deadline that is no later than the one wanted.
func (c *clientConn) limit() error {
	if c.due.IsZero() || !c.set.IsZero() && !c.set.After(c.due) {
		return nil
	}
	c.set = c.due
	return c.Conn.SetReadDeadline(c.set)
}

// Read implements net.Conn.
func (c *clientConn) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n, done := c.attendance.standIn(b); done {
		return n, nil
	}
	c.cleared = false
	for {
		if err := c.limit(); err != nil {
			return 0, err
		}
		n, err := c.readUnlocked(b)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !c.due.IsZero() && !time.Now().Before(c.due) {
			return n, err
		}
		c.set = time.Time{} // it came too soon
		if err := c.Conn.SetReadDeadline(c.set); err != nil {
			return 0, err
		}
	}
}

func (c *clientConn) readUnlocked(b []byte) (int, error) {
	c.reading = true
	c.mu.Unlock()
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	c.reading = false
	return n, err
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

type clientConnKey struct{}

// rememberConn lets requests find their connection.
func rememberConn(ctx context.Context, conn net.Conn) context.Context {
	if c, ok := conn.(*clientConn); ok {
		return context.WithValue(ctx, clientConnKey{}, c)
	}
	return ctx
}

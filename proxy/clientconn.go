package proxy

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookproxy/hookproxy/internal/socket"
)

// clientConn is a client's connection, with a bound for how long it may take
// nothing of what is written to it.
type clientConn struct {
	net.Conn
	places chan struct{}
	once   sync.Once
	stall  time.Duration
	until  atomic.Int64 // the write deadline, as now counts; 0 where it is not ours
}

func newClientConn(conn net.Conn, l *listener) *clientConn {
	return &clientConn{Conn: socket.Faster(conn), places: l.places, stall: l.stall}
}

// Write renews the deadline, but not each time: that would cost more than the
// rest of a short write.
func (c *clientConn) Write(b []byte) (int, error) {
	if err := c.renew(); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// renew sees to it that the write deadline is at least a stall away.
func (c *clientConn) renew() error {
	if at := now(); time.Duration(c.until.Load())-at < c.stall {
		most := c.stall + c.stall/2
		if err := c.Conn.SetWriteDeadline(time.Now().Add(most)); err != nil {
			return err
		}
		c.until.Store(int64(at + most))
	}
	return nil
}

// WriteBoth writes two pieces, in one go where the socket can do that.
func (c *clientConn) WriteBoth(first, second []byte) (int, error) {
	if err := c.renew(); err != nil {
		return 0, err
	}
	if both, ok := c.Conn.(interface {
		WriteBoth(_, _ []byte) (int, error)
	}); ok {
		return both.WriteBoth(first, second)
	}
	n, err := c.Conn.Write(first)
	if err != nil {
		return n, err
	}
	more, err := c.Conn.Write(second)
	return n + more, err
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

// SetDeadline does the same, and sets the read deadline.
func (c *clientConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetWriteDeadline(t), c.SetReadDeadline(t))
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

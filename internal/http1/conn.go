package http1

import (
	"bufio"
	"net"
	"net/url"
	"syscall"
	"time"
)

// place is where a connection leads.
type place struct {
	tls     bool
	address string // host:port
}

func placeOf(u *url.URL) place {
	p := place{u.Scheme == "https", u.Host}
	if u.Port() != "" {
		return p
	}
	port := "80"
	if p.tls {
		port = "443"
	}
	p.address = net.JoinHostPort(u.Hostname(), port)
	return p
}

// conn is a connection to the upstream. It has one turn at a time.
type conn struct {
	net.Conn
	place place
	r     *bufio.Reader
	w     *bufio.Writer // for heads; a large body goes past it
	// raw is the socket, nil where there is none to look at; look and quiet are
	// its liveness check's.
	raw   syscall.RawConn
	look  func(fd uintptr) bool
	quiet bool
	cut   func() // closes it; kept, so that a turn need not make it

	reused    bool // it has had a turn before
	wrote     bool // a byte of this turn's request was written
	read      bool // a byte of this turn's response was read
	idleSince time.Time
	scratch   []byte // for the head being read
	names     []string
}

func newConn(c, socket net.Conn, p place) *conn {
	made := &conn{Conn: c, place: p}
	made.r, made.w = bufio.NewReader((*connReader)(made)), bufio.NewWriter((*connWriter)(made))
	made.cut = func() { _ = c.Close() } // nobody is left to care
	if s, ok := socket.(syscall.Conn); ok {
		made.raw, _ = s.SyscallConn() // nil where it cannot be looked at
		made.look = made.lookAt
	}
	return made
}

// connReader and connWriter note that something has gone over the wire.
type (
	connReader conn
	connWriter conn
)

func (c *connReader) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read = c.read || n > 0
	return n, err
}

func (c *connWriter) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.wrote = c.wrote || n > 0
	return n, err
}

// isQuiet reports whether an idle connection is fit for a request: the upstream
// has neither closed it nor said anything that nobody asked for. It takes one
// system call, which does not wait.
//
// On TLS there may be a record of TLS' own; that is as good a reason to take
// another connection.
func (c *conn) isQuiet() bool {
	if c.r.Buffered() > 0 {
		return false
	}
	if c.raw == nil {
		return true
	}
	c.quiet = false
	return c.raw.Read(c.look) == nil && c.quiet
}

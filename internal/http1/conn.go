package http1

import (
	"bufio"
	"errors"
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
	// asker is the connection, and looker the socket, where they can do more than
	// net's: else nil. raw is the socket then, nil where there is none to look at;
	// look and quiet are its liveness check's.
	asker  asker
	looker looker
	raw    syscall.RawConn
	look   func(fd uintptr) bool
	quiet  bool
	cut    func() // closes it; kept, so that a turn need not make it

	reused    bool  // it has had a turn before
	asking    *turn // whose request goes out with the next read
	spoke     bool  // or did not: there was something to read, or the end
	wrote     bool  // a byte of this turn's request was written
	read      bool  // a byte of this turn's response was read
	idleSince time.Duration
	scratch   []byte // for the head being read
}

// asker is a connection that looks whether it is quiet, sends a request and reads
// the beginning of the response in one; internal/socket says how.
type asker interface {
	Ask(question, b []byte) (n int, sent bool, err error)
}

// looker is a socket that says whether it is quiet.
type looker interface{ Quiet() bool }

// errSpoke never leaves the package: another connection is taken.
var errSpoke = errors.New("http1: the connection was not quiet")

func newConn(c, socket net.Conn, p place) *conn {
	made := &conn{Conn: c, place: p}
	made.r = bufio.NewReader((*connReader)(made))
	made.cut = func() { _ = c.Close() } // nobody is left to care
	made.asker, _ = c.(asker)
	if made.looker, _ = socket.(looker); made.looker != nil {
		return made
	}
	if s, ok := socket.(syscall.Conn); ok {
		made.raw, _ = s.SyscallConn() // nil where it cannot be looked at
		made.look = made.lookAt
	}
	return made
}

// connReader sends the request where that is the first read's, and notes that
// something has come.
type connReader conn

func (c *connReader) Read(b []byte) (n int, err error) {
	if x := c.asking; x != nil {
		c.asking = nil
		n, err = x.ask(b)
	} else {
		n, err = c.Conn.Read(b)
	}
	c.read = c.read || n > 0
	return n, err
}

// asks reports whether a request goes out with the first read of its response.
// Not the first of a connection: that one need not be quiet.
func (c *conn) asks(o *outgoing) bool { return c.asker != nil && c.reused && !o.streams }

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
	if c.looker != nil {
		return c.looker.Quiet()
	}
	if c.raw == nil {
		return true
	}
	c.quiet = false
	return c.raw.Read(c.look) == nil && c.quiet
}

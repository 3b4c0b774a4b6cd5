package plain

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookproxy/hookproxy/internal/http1"
)

const (
	firstRead = 4 << 10  // of a connection's input buffer
	maxHead   = 16 << 10 // of a plain request; what is larger is net/http's
	// peeked is how much of a later request net/http waits for before it calls it
	// one: less, and the end, is no request and has no answer.
	peeked = 4
)

// The states of a connection: its first request is awaited, or a later one, or one
// is under way.
const (
	fresh int32 = iota
	idle
	active
)

// conn is a connection while what it brings is plain. One goroutine serves it.
type conn struct {
	net.Conn
	l      *Listener
	base   *http.Request // what all requests have in common
	in     []byte        // its bytes from start to end have come and are not used
	start  int
	end    int
	spare  int            // of the bytes to come that may be an empty line's
	passed int            // of those
	out    []byte         // waits to be written
	lent   *[outSize]byte // what that begins in
	header http.Header    // of the response
	fields []http1.Field  // of that, being sorted
	state  atomic.Int32

	mu  sync.Mutex // of what follows, and of attendance
	set time.Time  // the socket's read deadline; zero for none
	// retires is when the connection ends, unless there is a request by then; zero
	// while the listener is open.
	retires time.Time
	attendance
}

func newConn(c net.Conn, l *Listener) *conn {
	made := &conn{Conn: c, l: l, in: make([]byte, firstRead), header: make(http.Header)}
	ctx := context.WithValue(l.values, http.LocalAddrContextKey, c.LocalAddr())
	made.base = (&http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: c.RemoteAddr().String()}).WithContext(ctx)
	made.rest.L = &made.mu
	return made
}

// serve ends with the connection, or when that is net/http's.
func (c *conn) serve() {
	left := false
	defer func() { c.ended(recover(), left) }()
	for {
		head, err := c.readHead()
		if err != nil {
			return // the client has left, or took too long
		}
		t := c.parse(head)
		if t == nil {
			left = true
			c.handOver()
			return
		}
		if c.spare, c.passed = 0, 0; t.request.Method == http.MethodPost {
			c.spare = peeked
		}
		if !c.answer(t) {
			return
		}
		if c.state.Store(idle); c.l.closing() {
			c.retire() // nobody has told the client
		}
	}
}

// ended closes the connection, unless that is left to net/http. A panic ends it in
// the middle of the response, as net/http has it, and nobody else's.
func (c *conn) ended(reason any, left bool) {
	if reason != nil && reason != http.ErrAbortHandler {
		stack := make([]byte, 64<<10)
		c.l.logf("http: panic serving %v: %v\n%s", c.base.RemoteAddr, reason, stack[:runtime.Stack(stack, false)])
	}
	if !left {
		_ = c.Conn.Close() // nobody waits for more
	}
	c.l.remove(c)
}

// retire ends the connection, but lets a request come that may be on its way: who
// asks again and again on a kept connection cannot know that he must not. One that
// is under way is the last in any case.
func (c *conn) retire() {
	patience := idlePatience
	switch c.state.Load() {
	case active:
		return
	case fresh:
		patience = newPatience
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retires = time.Now().Add(patience)
	if c.set.IsZero() || c.set.After(c.retires) {
		c.set = c.retires
		_ = c.Conn.SetReadDeadline(c.set) // fails where reading does
	}
}

// handOver gives net/http the connection, beginning with the request that has been
// read so far.
func (c *conn) handOver() {
	_ = c.Conn.SetReadDeadline(time.Time{}) // fails where reading does
	c.l.handOver(&handed{Conn: c.Conn, first: c.in[c.start:c.end]})
}

// handed is a connection some of which has been read.
type handed struct {
	net.Conn
	first []byte
}

func (h *handed) Read(b []byte) (int, error) {
	if len(h.first) > 0 {
		n := copy(b, h.first)
		h.first = h.first[n:]
		return n, nil
	}
	return h.Conn.Read(b)
}

// CloseWrite ends the sending direction, where the connection can do that.
func (h *handed) CloseWrite() error { return closeWrite(h.Conn) }

func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

var (
	emptyLine = []byte("\r\n\r\n")
	lineEnd   = []byte("\r\n")
)

// readHead answers the next request's head with the empty line at its end, or what
// there is of one that is net/http's to refuse.
func (c *conn) readHead() (head []byte, err error) {
	later := c.state.Load() != fresh
	due, err := c.await()
	if err != nil {
		return nil, err
	}
	for seen := 0; ; {
		come := c.in[c.start:c.end]
		if at := bytes.Index(come[seen:], emptyLine); at >= 0 {
			return come[:seen+at+len(emptyLine)], nil
		}
		whole := !later || c.passed+len(come) >= peeked
		if whole && (!beginsPlain(come) || len(come) >= c.l.maxHead()) {
			return come, nil
		}
		seen = max(0, len(come)-len(emptyLine)+1)
		c.makeRoom()
		if due.IsZero() && c.l.readHeaderTimeout() > 0 {
			due = time.Now().Add(c.l.readHeaderTimeout())
		}
		n, err := c.readBy(c.in[c.end:], due)
		c.end += n
		if err == io.EOF && (!later || c.passed+c.end-c.start >= peeked) {
			return c.in[c.start:c.end], nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// await returns once there is a byte of the next request. For the first it answers
// until when its head has to be here.
func (c *conn) await() (due time.Time, err error) {
	first := c.state.Load() == fresh
	wait := c.l.idleTimeout()
	if first {
		wait = c.l.readHeaderTimeout()
	}
	c.skip()
	if c.start == c.end && len(c.in) > firstRead {
		c.in = make([]byte, firstRead) // nobody knows how long it lies idle
	}
	for c.start == c.end {
		if due.IsZero() && wait > 0 {
			due = time.Now().Add(wait)
		}
		n, err := c.readBy(c.in, due)
		if err != nil {
			return due, err
		}
		c.start, c.end = 0, n
		c.skip()
	}
	if !first {
		due = time.Time{}
	}
	c.state.Store(active)
	return due, nil
}

// skip passes over an empty line behind a POST's body, which old clients send
// (RFC 9112 §2.2), as far as net/http does.
func (c *conn) skip() {
	for ; c.spare > 0 && c.start < c.end; c.spare-- {
		if b := c.in[c.start]; b != '\r' && b != '\n' {
			c.spare = 0
			return
		}
		c.start++
		c.passed++
	}
}

// makeRoom makes room in the input buffer for more of a head.
func (c *conn) makeRoom() {
	switch {
	case c.end < len(c.in):
	case c.start > 0:
		c.end = copy(c.in, c.in[c.start:c.end])
		c.start = 0
	default:
		c.in = append(c.in, make([]byte, len(c.in))...)
	}
}

// readBy reads until due, or without end where that is zero. The socket's own
// deadline is changed only where it comes too late, or has come too soon: it is
// hardly ever waited for, and setting it costs more than a short read.
func (c *conn) readBy(b []byte, due time.Time) (int, error) {
	for {
		if err := c.limit(due); err != nil {
			return 0, err
		}
		n, err := c.Conn.Read(b)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !due.IsZero() && !time.Now().Before(due) {
			return n, err
		}
		if err := c.unlimit(); err != nil {
			return 0, err
		}
	}
}

// limit gives the socket a deadline that is no later than due.
func (c *conn) limit(due time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if due.IsZero() || !c.set.IsZero() && !c.set.After(due) {
		return nil
	}
	c.set = due
	return c.Conn.SetReadDeadline(due)
}

// unlimit takes a deadline away that came too soon, unless it came to end a read.
func (c *conn) unlimit() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return os.ErrDeadlineExceeded
	}
	c.set = time.Time{}
	if !c.retires.IsZero() && c.state.Load() != active {
		if c.set = c.retires; !time.Now().Before(c.set) {
			return os.ErrDeadlineExceeded
		}
	}
	return c.Conn.SetReadDeadline(c.set)
}

// answer has a request answered, and reports whether there may be another.
func (c *conn) answer(t *turn) (keep bool) {
	c.handle(t)
	keep = t.response.finish()
	if left := t.body.finish(); left > 0 {
		c.linger(left)
		return false
	}
	return keep
}

// handle has the handler make the response.
func (c *conn) handle(t *turn) {
	defer func() { // of a panic too
		c.dismiss()
		t.presence.Leave()
	}()
	c.attend(t)
	c.l.server.Handler.ServeHTTP(&t.response, &t.request)
}

func (l *Listener) maxHead() int {
	if most := l.server.MaxHeaderBytes; most > 0 {
		return min(most, maxHead)
	}
	return maxHead
}

func (l *Listener) readHeaderTimeout() time.Duration { return l.server.ReadHeaderTimeout }

func (l *Listener) idleTimeout() time.Duration { return l.server.IdleTimeout }

func (l *Listener) logf(format string, args ...any) {
	if l.server.ErrorLog != nil {
		l.server.ErrorLog.Printf(format, args...)
	}
}

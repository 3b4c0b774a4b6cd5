package plain

import (
	"io"
	"net/http"
	"sync"
)

// body is a request's body, of a Content-Length. Its Read may wait for the client
// on another goroutine than the handler's, even longer than that.
type body struct {
	c       *conn      // nil: there is no body
	reading sync.Mutex // held while a Read is under way

	// Under the connection's lock:
	left   int64 // bytes that have not been read
	closed bool
	err    error // of reading
}

// Read answers the end along with the last byte.
func (b *body) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	p, n, err := b.take(p)
	if n > 0 || err != nil || len(p) == 0 {
		return n, err
	}
	n, err = b.c.readBy(p, noDue)
	return b.took(n, err)
}

// take answers what has come already, or as much of p as there is left to read.
func (b *body) take(p []byte) (want []byte, n int, err error) {
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	switch {
	case b.closed:
		return nil, 0, http.ErrBodyReadAfterClose
	case b.err != nil:
		return nil, 0, b.err
	case b.left == 0:
		return nil, 0, io.EOF
	}
	p = p[:min(int64(len(p)), b.left)]
	if n = copy(p, b.c.in[b.c.start:b.c.end]); n > 0 {
		b.c.start += n
		err = b.count(n)
	}
	return p, n, err
}

func (b *body) took(n int, err error) (int, error) {
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	if end := b.count(n); end != nil {
		return n, end
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if b.err = err; err != nil {
		b.c.unread()
	}
	return n, err
}

func (b *body) count(n int) error {
	if b.left -= int64(n); b.left > 0 {
		return nil
	}
	b.c.unread()
	return io.EOF
}

// Close has nobody read any more.
func (b *body) Close() error {
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	b.closed = true
	return nil
}

// here reports whether all of it has been read, or has at least come.
func (b *body) here() bool {
	if b.c == nil {
		return true
	}
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	return b.left <= int64(b.c.end-b.c.start)
}

// finish ends reading after the handler, which may have left somebody to it, and
// passes over what is here. It answers how much is not; the connection is at the
// end of the body only where that is nothing.
func (b *body) finish() (left int64) {
	if b.c == nil {
		return 0
	}
	b.c.mu.Lock()
	b.closed = true
	left = b.left
	if left > 0 {
		b.c.cutRead()
	}
	b.c.mu.Unlock()
	if left == 0 {
		return 0
	}
	b.reading.Lock() // until a Read has seen that it is cut
	defer b.reading.Unlock()
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	b.c.cut = false
	here := min(b.left, int64(b.c.end-b.c.start))
	b.c.start += int(here)
	b.left -= here
	return b.left
}

package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/hookproxy/hookproxy/internal/buffer"
)

var errBodyClosed = errors.New("the exchange is over, and with it its request's body")

// watchBody puts a requestBody between the client and the transport.
func (p *Proxy) watchBody(x *exchange, out *http.Request) {
	body := &requestBody{from: out.Body, x: x}
	if x.inbound.ContentLength < 0 || len(x.inbound.Trailer) > 0 {
		body.trailer = out.Trailer
		if body.trailer == nil {
			body.trailer = http.Header{} // for those that come unannounced
		}
		out.Trailer = body.trailer
		body.clean = func() {
			dropMisplaced(body.trailer)
			p.dropForwarded(body.trailer, x.inbound.RemoteAddr)
			x.ruling.strip(&http.Request{Header: body.trailer, RemoteAddr: x.inbound.RemoteAddr})
		}
	}
	if x.capture != nil {
		body.copy = x.capture.request
	}
	x.body, out.Body = body, body
}

// requestBody is the client's body as the transport reads it. On the way it
// notes why reading failed, which tells a broken client from a broken upstream;
// keeps a copy where a rule reads it; and hands over trailers.
type requestBody struct {
	from   io.Reader // the server's, which closes it itself
	x      *exchange
	closed atomic.Bool
	ended  atomic.Bool  // all of it has been read
	copy   *requestCopy // nil: nobody reads it
	// trailer is the outbound request's own map: the inbound one is written by
	// net/http, maybe when the transport still looks at it. Nil: there are none.
	trailer http.Header
	clean   func() // removes from trailer what the client must not say
}

func (b *requestBody) Read(buffer []byte) (int, error) {
	if b.closed.Load() {
		return 0, errBodyClosed
	}
	n, err := b.from.Read(buffer)
	if b.copy != nil {
		b.copy.add(buffer[:n], err == io.EOF)
	}
	switch {
	case err == io.EOF:
		b.passTrailers()
		b.ended.Store(true)
	case err != nil:
		b.x.broken.CompareAndSwap(nil, &err)
	}
	return n, err
}

// Close ends reading. The server's body stays open: closing it would first read
// what a client that waits for a 100 has not sent.
func (b *requestBody) Close() error {
	b.closed.Store(true)
	return nil
}

// passTrailers runs on the transport's own goroutine, before it writes them.
func (b *requestBody) passTrailers() {
	if b.trailer == nil {
		return
	}
	for name, values := range b.x.inbound.Trailer {
		if values != nil {
			b.trailer[name] = values
		}
	}
	b.clean()
}

// requestCopy is what a rule gets to see of a request's body: all of it, or
// nothing. The transport's goroutine fills it, and may still do so when the
// upstream has answered already.
type requestCopy struct {
	mu      sync.Mutex
	limit   int64
	size    int64 // the Content-Length, or -1
	lease   lease
	data    []byte
	memory  *buffer.Buffer // of data
	whole   bool
	omitted string // why there is no copy, and will be none
}

func (c *requestCopy) add(b []byte, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.omitted != "" || c.whole {
		return
	}
	if int64(len(c.data)+len(b)) > c.limit {
		c.drop(omittedTooLarge)
		return
	}
	if !c.room(int64(len(b))) {
		c.drop(omittedBudget)
		return
	}
	c.data = append(c.data, b...)
	// A Content-Length is enough to know the end by: the upstream may answer
	// before the transport looks for it.
	c.whole = last || int64(len(c.data)) == c.size
}

// room grows the buffer as far as the budget allows, and only for what has
// come: a Content-Length is a stranger's claim.
func (c *requestCopy) room(n int64) bool {
	need := int64(len(c.data)) + n
	if need <= int64(cap(c.data)) {
		return true
	}
	want := min(max(need, 2*int64(cap(c.data)), firstRead), c.limit)
	if !c.lease.grow(want - int64(cap(c.data))) {
		return false
	}
	grown := buffer.Get(int(want))
	c.data = append(grown.Bytes, c.data...)
	c.memory.Release()
	c.memory = grown
	return true
}

func (c *requestCopy) drop(why string) {
	c.memory.Release()
	c.data, c.memory, c.whole, c.omitted = nil, nil, false, why
	c.lease.release()
}

// take answers the whole body without its content codings, or why there is
// none. What it answers stays valid until close, when other bodies are written to
// its memory.
func (c *requestCopy) take(h http.Header) (body []byte, omitted string) {
	if c == nil {
		return nil, ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.omitted != "":
		return nil, c.omitted
	case !c.whole:
		return nil, omittedTruncated // the upstream answered without having it all
	}
	return decodeWhole(h, c.data, c.limit, &c.lease)
}

func (c *requestCopy) close() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop("closed")
}

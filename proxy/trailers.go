package proxy

import (
	"io"
	"maps"
	"net/http"
)

// apart answers the response as relay may see it, apart from the one that the
// transport goes on writing to: it adds trailers when the body ends, and a
// captured body may end on another goroutine, at any time.
func (c *capture) apart(res *http.Response) *http.Response {
	c.answered, c.own.seen = res, *res
	c.own.seen.Trailer = maps.Clone(res.Trailer)
	return &c.own.seen
}

// showTrailers makes the trailers seen, once the body has ended.
func (c *capture) showTrailers() { c.own.seen.Trailer = c.answered.Trailer }

// trailed is a body that is let through as it comes, with its trailers.
type trailed struct {
	io.ReadCloser
	capture *capture
}

// Ready is the body's own.
func (t trailed) Ready() bool { return isReady(t.ReadCloser) }

func (t trailed) Read(b []byte) (int, error) {
	n, err := t.ReadCloser.Read(b)
	if err == io.EOF {
		t.capture.showTrailers()
	}
	return n, err
}

// misplaced are fields that say how to read, route or authorize a message, and
// mean nothing in its trailer (RFC 9110 §6.5.1). Some servers merge trailers into
// the headers all the same.
var misplaced = []string{
	"Authorization", "Cache-Control", "Connection", "Content-Encoding", "Content-Length", "Content-Range", "Content-Type", "Cookie", "Expect", "Host",
	"If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Keep-Alive", "Max-Forwards", "Pragma",
	"Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Range", "Set-Cookie", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Www-Authenticate",
}

func dropMisplaced(trailer http.Header) {
	if len(trailer) == 0 {
		return
	}
	for _, name := range misplaced {
		delete(trailer, name)
	}
}

package http1

import (
	"errors"
	"io"
	"net/http"
	"strings"
)

// maxInline is the largest body that goes out with the head, in one write on the
// caller's own goroutine. It is what a server's buffer tends to hold of a small
// request anyway.
const maxInline = 4 << 10

// unknown is the length of a body that goes out in chunks.
const unknown = -1

// outgoing is a request on its way, over one connection or, where nothing of it
// was written, over a second.
type outgoing struct {
	r      *http.Request
	length int64 // of the body; 0 for none, or unknown
	// message is what goes out at once: the head, and what has been read of the
	// body already. Nil: all is over.
	message *message
	ahead   int64 // how much of the body that is
	// streams: there is more of the body, which a second goroutine sends. It
	// then owns the body.
	streams bool
	waits   bool // for a 100 first
	sent    bool // that goroutine has begun

	turn turn // the first, which mostly is the only one
}

// newOutgoing refuses a request that would be another on the wire, and reads a
// small body as far as it comes in one Read.
//
// That Read waits for a client that sends its head alone: so does the upstream.
// A client that wants to be heard before it sends a body says so by Expect.
func newOutgoing(r *http.Request) (*outgoing, error) {
	if err := check(r); err != nil {
		return nil, err
	}
	o := &outgoing{r: r, length: lengthOf(r)}
	o.message = messages.Get().(*message)
	if err := o.message.writeHead(r, o.length); err != nil {
		o.over()
		return nil, err
	}
	if o.length == 0 {
		closeBody(r)
		return o, nil
	}
	o.streams = true
	o.waits = HasToken(r.Header["Expect"], "100-continue")
	if o.length == unknown || o.length > maxInline || o.waits {
		return o, nil
	}
	n, err := o.message.readFrom(r.Body, int(o.length))
	if o.ahead = int64(n); o.ahead == o.length {
		o.streams = false
		closeBody(r)
		return o, nil
	}
	if err != nil {
		o.end()
		return nil, bodyError(err)
	}
	return o, nil
}

// lengthOf answers how long a request's body is, as net/http has it: 0 beside a
// body means that nobody knows.
func lengthOf(r *http.Request) int64 {
	switch {
	case r.Body == nil || r.Body == http.NoBody:
		return 0
	case r.ContentLength > 0:
		return r.ContentLength
	}
	return unknown
}

// bodyError makes an end that came too early an error.
func bodyError(err error) error {
	if err == io.EOF {
		return errors.New("http1: the request's body is shorter than its Content-Length")
	}
	return err
}

// mayRepeat reports whether a request that failed on c may go out once more:
// where nothing of it was written, or where it is safe and has no body
// (RFC 9110 §9.2.2), on a connection that the upstream closed while it was idle.
//
// PUT and DELETE are idempotent, but not in what they answer: a second DELETE is
// a 404, and the first one's event would be lost.
func (o *outgoing) mayRepeat(c *conn) bool {
	if !c.reused || c.read || o.sent {
		return false
	}
	return !c.wrote || o.length == 0 && isSafe(o.r.Method)
}

// again answers what to send after a request failed on c, a connection that was
// kept: itself, or with all set a repetition with a body of its own. Nil: nothing.
func (o *outgoing) again(c *conn, all bool) *outgoing {
	if o.mayRepeat(c) {
		return o
	}
	if !all || !c.reused || c.read || o.r.GetBody == nil {
		return nil
	}
	r := o.r.WithContext(o.r.Context()) // a copy: the first body may still be read
	var err error
	if r.Body, err = o.r.GetBody(); err != nil {
		return nil
	}
	again, err := newOutgoing(r)
	if err != nil {
		closeBody(r)
		return nil
	}
	return again
}

func isSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// end lets go of a body that nobody sends any more.
func (o *outgoing) end() {
	if !o.sent {
		closeBody(o.r)
	}
	o.over()
}

// over lets go of the message, when nobody will send it again.
func (o *outgoing) over() {
	if o.message != nil {
		o.message.free()
		o.message = nil
	}
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close() // the contract of http.RoundTripper; there is nothing to learn from it
	}
}

// check refuses what could be read as something else than one request. Of the
// fields writeHead does.
func check(r *http.Request) error {
	switch {
	case r.URL == nil || r.URL.Scheme != "http" && r.URL.Scheme != "https" || r.URL.Host == "":
		return errors.New("http1: not an http or https URL with a host")
	case r.Method != "" && !IsToken(r.Method):
		return errors.New("http1: invalid method")
	case !IsHost(hostOf(r)):
		return errors.New("http1: invalid Host")
	case !IsTarget(r.URL.Opaque) || !IsTarget(r.URL.RawQuery):
		return errors.New("http1: invalid request target")
	}
	return nil
}

// hostOf answers the Host field's value. A zone means something on this machine
// only (RFC 6874 §1).
func hostOf(r *http.Request) string {
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	if zone := strings.IndexByte(host, '%'); zone >= 0 && strings.HasPrefix(host, "[") {
		if end := strings.IndexByte(host, ']'); end > zone {
			return host[:zone] + host[end:]
		}
	}
	return host
}

// HasToken looks for a token in a field that is a list (RFC 9110 §5.6.1).
func HasToken(values []string, token string) bool {
	for _, value := range values {
		if strings.EqualFold(value, token) {
			return true
		}
		if strings.IndexByte(value, ',') < 0 {
			if strings.EqualFold(Trim(value), token) {
				return true
			}
			continue
		}
		for part := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(Trim(part), token) {
				return true
			}
		}
	}
	return false
}

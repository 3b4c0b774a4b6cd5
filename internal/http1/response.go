package http1

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
)

var (
	errFraming  = errors.New("http1: the response does not say clearly where it ends")
	errSwitched = errors.New("http1: the upstream switched protocols unasked")
)

// receive reads interim responses, and the head of the one that counts.
func (x *turn) receive() (*http.Response, error) {
	for room := x.t.maxHeaderBytes(); ; {
		h, err := x.readHead()
		if err != nil {
			return nil, err
		}
		if h.status >= http.StatusOK || h.status == http.StatusSwitchingProtocols {
			x.goOn(false)
			x.stopClock()
			return x.respond(h)
		}
		// An interim response has no body, whatever it says; one that says
		// otherwise would be read otherwise by somebody else.
		if h.header["Transfer-Encoding"] != nil || h.header["Content-Length"] != nil {
			return nil, errFraming
		}
		if room -= h.size; room < 0 {
			return nil, errTooLarge
		}
		if err := x.early(h); err != nil {
			return nil, err
		}
	}
}

func (x *turn) readHead() (*head, error) {
	x.head = head{}
	scratch, err := x.head.read(x.c.r, x.c.scratch, x.t.maxHeaderBytes())
	if cap(scratch) <= copySize { // one huge head shall not stay in memory
		x.c.scratch = scratch
	}
	if err != nil {
		return nil, fmt.Errorf("http1: read response: %w", err)
	}
	return &x.head, nil
}

// respond makes the response, whose body reads on from the connection.
func (x *turn) respond(h *head) (*http.Response, error) {
	res := &x.response
	res.Status, res.StatusCode, res.Header, res.Request = h.text, h.status, h.header, x.o.r
	res.Proto, res.ProtoMajor, res.ProtoMinor = "HTTP/1.1", 1, h.minor
	if h.minor == 0 {
		res.Proto = "HTTP/1.0"
	}
	if h.status == http.StatusSwitchingProtocols {
		return x.switched(res)
	}
	length, err := frame(h, x.o.r.Method)
	if err != nil {
		return nil, err
	}
	if !length.kept(h) || x.o.r.Close {
		res.Close = true
		x.spoilt.Store(true)
	}
	res.ContentLength = length.said
	if length.chunked {
		res.TransferEncoding = []string{"chunked"}
		res.Trailer = announced(h.header)
	}
	x.setBody(res, length)
	return res, nil
}

func (x *turn) setBody(res *http.Response, length length) {
	if length.none {
		x.received(true)
		res.Body = http.NoBody
		return
	}
	x.body.x, res.Body = x, &x.body
	switch {
	case length.chunked:
		x.body.in = &chunkedBody{httputil.NewChunkedReader(x.c.r), x, res}
	case length.said >= 0:
		x.rest = lengthBody{x.c.r, length.said}
		x.body.in = &x.rest
	default:
		x.body.in = x.c.r
	}
}

// length is where a response's body ends (RFC 9112 §6.3).
type length struct {
	none    bool  // there is no body
	chunked bool  // it says so itself
	said    int64 // Content-Length, or -1
}

// frame answers where a response's body ends, or errFraming where it is possible
// to see that in two ways.
func frame(h *head, method string) (length, error) {
	l := length{said: -1}
	codings := h.header["Transfer-Encoding"]
	if codings != nil {
		if len(codings) != 1 || !strings.EqualFold(codings[0], "chunked") || h.minor == 0 {
			return l, errFraming
		}
		l.chunked = true
		delete(h.header, "Transfer-Encoding")
	}
	if values := h.header["Content-Length"]; values != nil {
		n, ok := oneLength(values)
		if !ok || l.chunked {
			return l, errFraming
		}
		if len(values) > 1 {
			h.header["Content-Length"] = values[:1]
		}
		l.said = n
	}
	switch {
	case method == http.MethodHead:
		l.none, l.chunked = true, false
	case h.status == http.StatusNoContent || h.status == http.StatusNotModified:
		l.none, l.chunked, l.said = true, false, 0
	case l.said == 0:
		l.none = true
	}
	return l, nil
}

// oneLength takes the same length said twice for one, as RFC 9112 §6.3 permits.
func oneLength(values []string) (int64, bool) {
	for _, value := range values {
		if value != values[0] || value == "" {
			return 0, false
		}
		for i := range len(value) {
			if value[i] < '0' || value[i] > '9' {
				return 0, false
			}
		}
	}
	n, err := strconv.ParseInt(values[0], 10, 64)
	return n, err == nil
}

// kept reports whether the connection goes on behind the response
// (RFC 9112 §9.3).
func (l length) kept(h *head) bool {
	if !l.none && !l.chunked && l.said < 0 {
		return false
	}
	options := h.header["Connection"]
	if h.minor == 0 {
		return HasToken(options, "keep-alive") && !HasToken(options, "close")
	}
	return !HasToken(options, "close")
}

// switched hands the connection over to the caller.
func (x *turn) switched(res *http.Response) (*http.Response, error) {
	if len(x.o.r.Header["Upgrade"]) == 0 || x.o.streams {
		return nil, errSwitched
	}
	if !x.uncut() {
		return nil, io.ErrUnexpectedEOF // the context's error goes before it
	}
	res.Body = &tunnel{Conn: x.c.Conn, r: x.c.r}
	return res, nil
}

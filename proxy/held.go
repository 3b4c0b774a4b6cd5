package proxy

import (
	"io"
	"maps"
	"net/http"
)

// heldBody is a response's body between the upstream and the client: read as
// far as it is captured, kept until the event is safe, then handed on as it
// came. What it reads to the client:
//
//	whole                   data, and the end with its trailers
//	too large, no budget    data, then the rest as it streams in
//	broken off              data, then the upstream's error
type heldBody struct {
	data    []byte // as the upstream sent it
	omitted string // why data is not whole; "" if it is

	replay   []byte // what of data the client has not had yet
	upstream io.ReadCloser
	err      error // how the upstream broke off
	lease    lease
	atEnd    func()
}

// hold reads the response's body as far as it may be captured, and puts itself
// in its place.
func (c *capture) hold(res *http.Response) *heldBody {
	h := &heldBody{upstream: res.Body, lease: c.newLease(), atEnd: func() {}}
	announced := maps.Clone(res.Trailer) // reading to the end fills in the values
	if res.ContentLength > c.limits.MaxBody {
		h.omitted = omittedTooLarge
	} else {
		h.data, h.omitted, h.err = readWhole(res.Body, res.ContentLength, c.limits.MaxBody, &h.lease)
	}
	if h.omitted == "" {
		// ReverseProxy announces the trailers it finds before the body, and
		// looks again after it: it shall find what it would have without us.
		all := res.Trailer
		res.Trailer = announced
		h.atEnd = func() { res.Trailer = all }
	}
	h.replay = h.data
	c.response = h
	res.Body = h
	return h
}

// Read hands the body on to the client.
func (h *heldBody) Read(b []byte) (int, error) {
	if len(h.replay) > 0 {
		n := copy(b, h.replay)
		h.replay = h.replay[n:]
		return n, nil
	}
	h.release()
	switch {
	case h.omitted == "":
		h.atEnd()
		return 0, io.EOF
	case h.err != nil:
		return 0, h.err
	}
	return h.upstream.Read(b)
}

// Close closes the upstream's body.
func (h *heldBody) Close() error { return h.upstream.Close() }

// release gives back the memory once the client has had it. A slow download
// that goes on behind it shall not keep its part of the budget.
func (h *heldBody) release() {
	if h == nil {
		return
	}
	h.data, h.replay = nil, nil
	h.lease.release()
}

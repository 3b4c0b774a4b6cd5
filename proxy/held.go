package proxy

import (
	"io"
	"net/http"
	"time"
)

// heldBody is a response's body between the upstream and the client: read as
// far as it is captured, kept until the event is safe, then handed on as it
// came. What it reads to the client:
//
//	whole                         data, and the end with its trailers
//	too large, no budget, slow    data, then the rest as it streams in
//	broken off                    data, then the upstream's error
type heldBody struct {
	data    []byte // as the upstream sent it
	omitted string // why data is not whole; "" if it is

	reading  *reading // nil: nothing is read ahead
	given    int      // how much of what was read the client has had
	upstream io.ReadCloser
	lease    lease
	capture  *capture // whose response it is

	own reading // what reading points to
}

// holdFor is how long a captured response is held at most.
type holdFor struct {
	stall time.Duration // without a byte more
	whole time.Duration // until it is complete
}

// hold reads the response's body as far as it may be captured, and puts itself
// in its place.
func (c *capture) hold(res *http.Response) *heldBody {
	h := &c.own.response
	h.upstream, h.lease, h.capture = res.Body, c.newLease(), c
	if res.ContentLength > c.limits.MaxBody {
		h.omitted = omittedTooLarge
	} else {
		h.reading = &h.own
		h.own.body, h.own.size, h.own.limit, h.own.lease = res.Body, res.ContentLength, c.limits.MaxBody, &h.lease
		if isReady(res.Body) {
			h.reading.run()
		} else {
			h.reading.start()
		}
		h.data, h.omitted = h.reading.wait(c.holdFor)
	}
	c.response = h
	res.Body = h
	return h
}

// maxPiece is how much of what was read ahead is written at once: a client has to
// take that much before it counts as one that takes nothing.
const maxPiece = 64 << 10

// ahead answers what comes next of what was read ahead, without copying it, and
// counts it as given. It is empty where there is no more.
func (h *heldBody) ahead() []byte {
	piece := h.data[min(h.given, len(h.data)):]
	piece = piece[:min(len(piece), maxPiece)]
	h.given += len(piece)
	return piece
}

// Read hands the body on to the client: what was read ahead, and then what the
// upstream still has.
func (h *heldBody) Read(b []byte) (int, error) {
	if n := h.give(b, h.data); n > 0 {
		return n, nil
	}
	if h.reading != nil {
		h.reading.join() // of a slow body, one Read is under way still
		if n := h.give(b, h.reading.data); n > 0 {
			return n, nil
		}
		if err := h.reading.err; err != nil {
			return 0, h.end(err)
		}
		h.release()
	}
	n, err := h.upstream.Read(b)
	if err != nil {
		return n, h.end(err)
	}
	return n, nil
}

// Ready reports whether what is still to be read is here already.
func (h *heldBody) Ready() bool { return h.omitted == "" }

func (h *heldBody) give(b, data []byte) int {
	if h.given >= len(data) {
		return 0
	}
	n := copy(b, data[h.given:])
	h.given += n
	return n
}

// end answers err, with the trailers in place if it is the regular end.
func (h *heldBody) end(err error) error {
	if err == io.EOF {
		h.capture.showTrailers()
	}
	return err
}

// Close closes the upstream's body, which ends a Read under way.
func (h *heldBody) Close() error { return h.upstream.Close() }

// release gives back the memory once the client has had it, or has gone: other
// bodies are written to it then. A slow download that goes on behind it shall not
// keep its part of the budget.
func (h *heldBody) release() {
	if h == nil {
		return
	}
	if h.reading != nil {
		h.reading.release() // it pays out of the lease until then
		h.data, h.reading, h.given = nil, nil, 0
	}
	h.lease.release()
}

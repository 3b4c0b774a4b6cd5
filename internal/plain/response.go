package plain

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
)

const (
	// outSize is the output buffer's: what a response usually takes. One write
	// costs more than copying so much.
	outSize = 16 << 10
	// maxHeld is how much of a body of unknown length is held back: it may turn out
	// to be all of it, whose length can then be told, or makes a larger chunk.
	maxHeld = 2 << 10
	unknown = -1
)

// errEnded is what a handler's writer answers after the handler's return, when the
// connection is another request's.
var errEnded = errors.New("plain: the response has ended")

// response is a turn's http.ResponseWriter. It does what net/http's does:
//
//	WriteHeader  the status line and the fields, in the output buffer
//	framing      how the body ends, as soon as that is known
//	Write        the body
//	finish       its end, and all that is still in the buffer
type response struct {
	c    *conn
	turn *turn

	status  int
	length  int64  // the Content-Length that the handler set, or unknown
	written int64  // bytes of the body
	held    []byte // of it, not in the output buffer yet
	framed  bool   // it has been said how the body ends
	chunked bool
	sniffs  bool // the Content-Type is found out from the body
	closes  bool // the connection ends with the response
	err     error
	said    said
	trailer []string // that the handler has announced
}

func (w *response) begin(c *conn, t *turn) {
	w.c, w.turn, w.length = c, t, unknown
}

// outs lends output buffers for as long as there is something to write.
var outs = sync.Pool{New: func() any { return new([outSize]byte) }}

// lend sees to it that there is an output buffer.
func (c *conn) lend() {
	if c.lent == nil {
		c.lent = outs.Get().(*[outSize]byte)
		c.out = c.lent[:0]
	}
}

// giveBack does without one again: nothing is in it.
func (c *conn) giveBack() {
	if c.lent != nil {
		outs.Put(c.lent)
		c.out, c.lent = nil, nil
	}
}

// release lets go of what the response was made with.
func (c *conn) release() {
	clear(c.header)
	clear(c.fields[:cap(c.fields)])
	c.giveBack()
}

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header { return w.c.header }

// WriteHeader implements http.ResponseWriter. A 1xx, of which there may be several,
// goes out at once.
func (w *response) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status))
	}
	if w.status != 0 {
		w.c.l.logf("http: superfluous response.WriteHeader call")
		return
	}
	if status < 200 && status != http.StatusSwitchingProtocols {
		w.writeFields(status)
		w.c.out = append(w.c.out, "\r\n"...)
		w.flush()
		return
	}
	w.status = status
	w.closes = w.c.l.closing() || !w.turn.body.here()
	w.writeFields(status)
	if w.length != unknown && !w.sniffs || !bodyAllowed(status) {
		w.frame(false)
	}
}

// bodyAllowed reports whether responses of a status have bodies (RFC 9110 §6.4.1).
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

func (w *response) hasBody() bool {
	return bodyAllowed(w.status) && w.turn.request.Method != http.MethodHead
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.err != nil:
		return 0, w.err
	case len(p) == 0:
		return 0, nil
	case !bodyAllowed(w.status):
		return 0, http.ErrBodyNotAllowed
	}
	if w.written += int64(len(p)); w.length != unknown && w.written > w.length {
		return 0, http.ErrContentLength
	}
	if w.length == unknown && len(w.held)+len(p) <= maxHeld {
		w.held = append(w.held, p...)
		return len(p), nil
	}
	if !w.framed {
		w.sniff(p)
		w.frame(false)
	}
	w.release()
	w.writeBody(p)
	return len(p), w.err
}

// frame says how the body ends. Whole: what is held is all of it.
func (w *response) frame(whole bool) {
	w.framed = true
	w.sniff(nil)
	isHead := w.turn.request.Method == http.MethodHead
	switch {
	case w.length != unknown || !bodyAllowed(w.status): // it is among the fields, or there is none
	case whole && !w.hasTrailer() && (!isHead || w.written > 0):
		w.c.out = append(strconv.AppendInt(append(w.c.out, "Content-Length: "...), w.written, 10), "\r\n"...)
	case !isHead:
		w.chunked = true
		w.c.out = append(w.c.out, "Transfer-Encoding: chunked\r\n"...)
	}
	w.c.out = append(w.c.out, "\r\n"...)
}

// release writes what was held of the body.
func (w *response) release() {
	if len(w.held) > 0 {
		w.writeBody(w.held)
		w.held = w.held[:0]
	}
}

// sniff adds the Content-Type that is missing, from the body's beginning: what is
// held, or p.
func (w *response) sniff(p []byte) {
	if len(w.held) > 0 {
		p = w.held
	}
	if w.sniffs && len(p) > 0 {
		w.c.out = append(append(append(w.c.out, "Content-Type: "...), http.DetectContentType(p)...), "\r\n"...)
		w.sniffs = false
	}
}

// writeBody puts bytes of the body into the buffer, or past it where they are many.
func (w *response) writeBody(p []byte) {
	if !w.hasBody() {
		return
	}
	w.c.lend()
	if w.chunked {
		w.c.out = append(strconv.AppendInt(w.c.out, int64(len(p)), 16), "\r\n"...)
	}
	if len(w.c.out)+len(p) > outSize {
		w.sendBehind(p)
	} else {
		w.c.out = append(w.c.out, p...)
	}
	if w.chunked {
		w.c.out = append(w.c.out, "\r\n"...)
	}
}

// Flush implements http.Flusher.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController calls.
func (w *response) FlushError() error {
	if w.err != nil {
		return w.err
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.framed {
		w.frame(false)
	}
	w.release()
	w.flush()
	w.c.giveBack() // the next event may be hours away
	return w.err
}

func (w *response) flush() {
	if len(w.c.out) > 0 {
		w.send(w.c.out)
		w.c.out = w.c.out[:0]
	}
}

// bothWriter is a connection that writes two pieces at once.
type bothWriter interface {
	WriteBoth(first, second []byte) (int, error)
}

// sendBehind writes what is in the buffer, and p.
func (w *response) sendBehind(p []byte) {
	conn, ok := w.c.Conn.(bothWriter)
	if !ok || len(w.c.out) == 0 {
		w.flush()
		w.send(p)
		return
	}
	if w.err == nil {
		_, w.err = conn.WriteBoth(w.c.out, p)
		w.sent()
	}
	w.c.out = w.c.out[:0]
}

func (w *response) send(p []byte) {
	if w.err == nil {
		_, w.err = w.c.Conn.Write(p)
		w.sent()
	}
}

// sent sees how a write has ended: a client that cannot be told anything has left.
func (w *response) sent() {
	if w.err != nil {
		w.turn.presence.Leave()
	}
}

// finish ends the response, and reports whether the connection may have another.
func (w *response) finish() bool {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.framed {
		w.frame(true)
	}
	w.release()
	if w.chunked {
		w.c.lend()
		w.c.out = append(w.c.out, "0\r\n"...)
		w.writeTrailer()
		w.c.out = append(w.c.out, "\r\n"...)
	}
	w.flush()
	w.c.release()
	short := w.hasBody() && w.length != unknown && w.written != w.length
	keep := w.err == nil && !w.closes && !short
	w.err = errEnded
	return keep
}

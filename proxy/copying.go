package proxy

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// flushInterval is how long a byte of a slow response with a Content-Length may
// wait for more. Streams without one are flushed at once.
const flushInterval = 10 * time.Millisecond

// copyBody hands a response's body on as it comes.
func (p *Proxy) copyBody(x *exchange, res *http.Response) error {
	if res.Body == http.NoBody {
		return nil
	}
	buffer := p.buffers.Get()
	defer p.buffers.Put(buffer)
	if res.ContentLength >= 0 && isReady(res.Body) {
		return x.copyTo(x.writer, res.Body, buffer)
	}
	return x.copyFlushing(res, buffer)
}

// copyFlushing copies a body for which the upstream may take its time.
func (x *exchange) copyFlushing(res *http.Response, buffer []byte) error {
	streams := res.ContentLength < 0 || mediaType(res.Header) == "text/event-stream"
	w := flushWriter{to: x.writer, each: streams}
	defer w.stop()
	if !isReady(res.Body) {
		w.waitsForMore()
	}
	return x.copyTo(&w, res.Body, buffer)
}

func (x *exchange) copyTo(w io.Writer, body io.Reader, buffer []byte) error {
	if held, ok := body.(*heldBody); ok {
		for piece := held.ahead(); len(piece) > 0; piece = held.ahead() {
			if err := writeAll(w, piece); err != nil {
				return err
			}
		}
	}
	for {
		n, err := body.Read(buffer)
		if n > 0 {
			if err := writeAll(w, buffer[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			x.failed(err)
			return err
		}
	}
}

func writeAll(w io.Writer, b []byte) error {
	n, err := w.Write(b)
	if err == nil && n != len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// isReady reports whether a body can be read to its end without waiting for the
// upstream: then there is no need to think of what the client has meanwhile.
func isReady(body io.Reader) bool {
	b, ok := body.(interface{ Ready() bool })
	return ok && b.Ready()
}

// failed remembers for the log why the upstream's response broke off.
func (x *exchange) failed(err error) {
	if !x.clientGone() {
		x.reason = reasonOf(err)
	}
}

// flushWriter writes a response's body, of which nothing shall lie in net/http's
// buffers for long.
type flushWriter struct {
	to   http.ResponseWriter
	each bool // flush each write, not those that have waited for flushInterval

	mu      sync.Mutex  // between the two who flush
	timer   *time.Timer // nil until there was something to wait for
	pending bool        // the timer runs
}

// waitsForMore sees to it that the headers arrive though there is no body yet.
func (w *flushWriter) waitsForMore() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.each {
		w.flush()
		return
	}
	w.pending, w.timer = true, time.AfterFunc(flushInterval, w.late)
}

func (w *flushWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.to.Write(b)
	if err != nil {
		return n, err
	}
	switch {
	case w.each:
		w.flush()
	case w.timer != nil && !w.pending:
		w.timer.Reset(flushInterval)
		w.pending = true
	}
	return n, nil
}

// late is the timer's.
func (w *flushWriter) late() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pending {
		w.flush()
		w.pending = false
	}
}

func (w *flushWriter) flush() {
	_ = http.NewResponseController(w.to).Flush() // a client that has gone is seen when writing
}

func (w *flushWriter) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = false
	if w.timer != nil {
		w.timer.Stop()
	}
}

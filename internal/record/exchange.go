package record

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/hookproxy/hookproxy/identity"
)

// exchange is a request and its response on their way into the recording.
type exchange struct {
	recorder *Recorder
	maxBody  int64
	started  time.Time
	took     time.Duration
	own      bool

	method   string
	url      *url.URL
	header   http.Header
	sent     *tape // nil: the request has no body
	status   int
	answered http.Header
	received *tape // nil: the response has no body, or it is not copied
	streams  bool  // it is not copied

	question *identity.Question // nil: nobody asks
	once     sync.Once
}

// finish hands the exchange to the writer.
func (x *exchange) finish() {
	x.once.Do(func() {
		x.took = time.Since(x.started)
		select {
		case x.recorder.queue <- x:
		default:
			x.recorder.missed.Add(1)
			x.release()
		}
	})
}

func (x *exchange) release() {
	x.sent.release()
	x.received.release()
}

// user answers who sent the request; "" where that is not known soon.
func (x *exchange) user() string {
	if x.question == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), callerPatience)
	defer cancel()
	caller, err := x.question.Answer(ctx)
	if err != nil {
		return ""
	}
	return caller.User
}

// tape is a copy of a body. It is filled on the goroutine of whoever reads the
// body, which may go on when the exchange is over.
type tape struct {
	recorder *Recorder
	most     int64 // bytes
	declared int64 // the Content-Length, or -1

	mu      sync.Mutex
	data    []byte
	size    int64  // what has passed, copied or not
	ended   bool   // all of it has
	omitted string // why data is not whole
	closed  bool   // nothing more is copied
}

func (x *exchange) newTape(declared int64) *tape {
	return &tape{recorder: x.recorder, most: x.maxBody, declared: declared}
}

func (t *tape) add(b []byte, ended bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.size += int64(len(b))
	t.ended = t.ended || ended
	switch {
	case t.closed || t.omitted != "":
	case t.size > t.most:
		t.drop("too_large")
	case t.recorder.held.Add(int64(len(b))) > maxHeld:
		t.recorder.held.Add(-int64(len(b)))
		t.drop("not_recorded")
	default:
		t.data = append(t.data, b...)
	}
}

func (t *tape) drop(why string) {
	t.recorder.held.Add(-int64(len(t.data)))
	t.data, t.omitted = nil, why
}

// take answers the body, how long it is (-1 where nobody knows), and why it is
// not whole.
func (t *tape) take() (data []byte, size int64, omitted string) {
	if t == nil {
		return nil, 0, ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	switch {
	case t.omitted != "":
		return nil, max(t.size, t.declared), t.omitted
	case !t.ended && t.size != t.declared:
		return nil, t.declared, "truncated"
	}
	return t.data, t.size, ""
}

func (t *tape) release() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop("released")
}

// taped is a body that is copied as it is read.
type taped struct {
	io.ReadCloser
	tape *tape
	end  func() // nil: nobody waits for it
}

func (t *taped) Read(b []byte) (int, error) {
	n, err := t.ReadCloser.Read(b)
	t.tape.add(b[:n], err == io.EOF)
	if err != nil && t.end != nil {
		t.end()
	}
	return n, err
}

// Close ends a body that need not have been read to its end.
func (t *taped) Close() error {
	if t.end != nil {
		t.end()
	}
	return t.ReadCloser.Close()
}

// Package record writes live traffic to a recording that internal/replay can
// play, without credentials and secret-like values:
//
//	proxy ─► Transport ─► upstream
//	            │ copies, bounded
//	            ▼
//	          queue ─► Run: redacts ─► har.Writer
//
// Traffic never waits for it: what it has no room for is not recorded.
package record

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/hookproxy/hookproxy/identity"
	"github.com/hookproxy/hookproxy/internal/har"
	"github.com/hookproxy/hookproxy/proxy"
	"github.com/hookproxy/hookproxy/rules"
)

const (
	// maxQueued is how many exchanges may wait to be written, and maxHeld how
	// many bytes of bodies all that are under way may hold.
	maxQueued = 256
	maxHeld   = 32 << 20
	// callerPatience is how long the writer waits to learn who is calling.
	callerPatience = time.Second
)

// Options configures New.
type Options struct {
	// Writer takes the entries. Whoever opened it closes it, after Run.
	Writer *har.Writer
	// Following is what the rules say at first.
	Following
	// Log is told what is not recorded.
	Log *slog.Logger
}

// Following is what of a rules file a recording hangs on. Each exchange is
// recorded by what is followed when it begins.
type Following struct {
	// Callers says who sent each write that succeeded. Nil: nobody is asked.
	Callers Identifier
	// Headers and Parameters of the query carry credentials, beside those that do
	// everywhere. They are redacted for good: exchanges of before may carry them.
	Headers, Parameters []string
	// MaxBody is the longest body that is recorded, in bytes.
	MaxBody int64
}

// Identifier says who is calling.
type Identifier interface {
	Ask(r *http.Request) *identity.Question
}

// Recorder records what passes its Transport. A nil one records nothing.
type Recorder struct {
	writer    *har.Writer
	redact    redactor
	log       *slog.Logger
	following atomic.Pointer[Following]

	queue   chan *exchange
	held    atomic.Int64
	missed  atomic.Int64 // exchanges for which there was no room
	stopped atomic.Bool  // the file is full, or fails
}

// New makes a recorder. Nothing is written before Run.
func New(o Options) *Recorder {
	r := &Recorder{writer: o.Writer, log: o.Log, queue: make(chan *exchange, maxQueued)}
	r.Follow(o.Following)
	_, _ = rand.Read(r.redact.secret[:]) // never fails; it ends the process instead
	return r
}

// Follow has exchanges recorded by other rules from now on.
func (r *Recorder) Follow(f Following) {
	if r != nil {
		r.redact.also(f.Headers, f.Parameters)
		r.following.Store(&f)
	}
}

// Transport records what next answers.
func (r *Recorder) Transport(next http.RoundTripper) http.RoundTripper { return transport{r, next} }

type transport struct {
	*Recorder
	next http.RoundTripper
}

// RoundTrip passes a request and its response on, and copies as they go.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.stopped.Load() {
		return t.next.RoundTrip(r)
	}
	by := t.following.Load()
	x := &exchange{recorder: t.Recorder, maxBody: by.MaxBody, started: time.Now(), method: r.Method, url: r.URL, own: !proxy.Forwards(r.Context())}
	x.header = r.Header.Clone()
	x.header.Set("Host", r.Host)
	sent := r
	if r.Body != nil && r.Body != http.NoBody {
		x.sent = x.newTape(r.ContentLength)
		copied := *r // a RoundTripper leaves the request as it is
		copied.Body = &taped{ReadCloser: r.Body, tape: x.sent}
		sent = &copied
	}
	res, err := t.next.RoundTrip(sent)
	if err != nil {
		x.sent.release()
		return res, err
	}
	if res.Request == sent {
		res.Request = r
	}
	if res.StatusCode < http.StatusOK {
		x.sent.release()
		return res, nil // a tunnel, whose body is a connection
	}
	x.status, x.answered = res.StatusCode, res.Header.Clone()
	if !x.own && by.Callers != nil && isWrite(r.Method) && res.StatusCode < 300 {
		x.question = t.ask(by.Callers, r)
	}
	if res.Body == nil || res.Body == http.NoBody || rules.Uncapturable(res.Header) != "" {
		x.streams = res.Body != nil && res.Body != http.NoBody
		x.finish()
		return res, nil
	}
	x.received = x.newTape(res.ContentLength)
	res.Body = &taped{ReadCloser: res.Body, tape: x.received, end: x.finish}
	return res, nil
}

// ask survives a bug in identity: traffic must.
func (r *Recorder) ask(callers Identifier, from *http.Request) (q *identity.Question) {
	defer r.survive("identity")
	return callers.Ask(from)
}

func (r *Recorder) survive(where string) {
	if v := recover(); v != nil {
		r.missed.Add(1)
		// What a panic says may quote a body.
		r.log.Error("panic survived; the exchange is not recorded whole", "where", where, "panic", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
	}
}

func isWrite(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return false
	}
	return true
}

// Run writes until ctx is done and the queue is empty.
func (r *Recorder) Run(ctx context.Context) error {
	for {
		select {
		case x := <-r.queue:
			r.write(x)
			continue
		default:
		}
		select {
		case x := <-r.queue:
			r.write(x)
		case <-ctx.Done():
			r.end()
			return nil
		}
	}
}

// end writes what is left. Who still reads a response is not waited for.
func (r *Recorder) end() {
	for len(r.queue) > 0 {
		r.write(<-r.queue)
	}
	r.stopped.Store(true)
	if missed := r.missed.Load(); missed > 0 {
		r.log.Warn("exchanges were not recorded: there was no room for them", "exchanges", missed)
	}
}

func (r *Recorder) write(x *exchange) {
	defer x.release()
	defer r.survive("recording")
	if r.stopped.Load() {
		return
	}
	err := r.writer.Add(r.redact.entry(x))
	switch {
	case errors.Is(err, har.ErrFull):
		r.stopped.Store(true)
		r.log.Warn("the recording is full; traffic goes on unrecorded")
	case err != nil:
		r.stopped.Store(true)
		r.log.Error("the recording cannot be written; traffic goes on unrecorded", "error", err)
	}
}

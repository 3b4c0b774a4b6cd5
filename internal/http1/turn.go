package http1

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// turn is one request and its response on a connection.
//
// The two directions end on their own. The last to end decides what becomes of
// the connection: it is kept only if both ended as they should.
type turn struct {
	t        *Transport
	c        *conn
	o        *outgoing
	follower Follower // nil: nobody follows it
	// Whose end cuts the connection: watched, or else stop lets go of it.
	watched Watched
	stop    func() bool

	directions atomic.Int32 // that have not ended
	spoilt     atomic.Bool  // the connection is not to be kept
	unsent     atomic.Pointer[error]
	proceed    chan bool // whether to send a body that waits for a 100; nil: it does not

	waiting sync.Mutex // for the response's head, under ResponseHeaderTimeout
	headed  bool       // it has come

	// What the turn brings, here that it need not be allocated piece by piece.
	// Nothing of it is used again: whoever has the response may keep it.
	head     head
	response http.Response
	body     body
	rest     lengthBody
}

func newTurn(t *Transport, c *conn, o *outgoing) *turn {
	c.wrote, c.read = false, false
	x := &o.turn
	if x.c != nil { // it has failed
		x = new(turn)
	}
	x.t, x.c, x.o = t, c, o
	x.directions.Store(1)
	ctx := o.r.Context()
	x.follower, _ = ctx.Value(FollowerKey{}).(Follower)
	if watched, ok := ctx.(Watched); ok && watched.Watch(c) {
		x.watched = watched
	} else {
		x.stop = AfterFunc(ctx, c.cut)
	}
	return x
}

// uncut lets go of the request's context. It answers false where that has ended,
// and the connection with it.
func (x *turn) uncut() bool {
	if x.watched != nil {
		return x.watched.Unwatch(x.c)
	}
	return x.stop()
}

// Watched is a context that tells one watcher of its end, for less than AfterFunc.
type Watched interface {
	// Watch has w told, on a goroutine of its own, when the context ends. It
	// answers false where it has ended, or has a watcher already.
	Watch(w Watcher) bool
	// Unwatch takes that back, and answers false where w has been told, or will be.
	Unwatch(w Watcher) bool
}

// Watcher is told of a context's end. It is an alias, so that a context need not
// know this package.
type Watcher = interface{ Gone() }

// Gone closes the connection.
func (c *conn) Gone() { c.cut() }

// AfterFunc is context.AfterFunc, for less where the context has one of its own.
func AfterFunc(ctx context.Context, f func()) (stop func() bool) {
	if own, ok := ctx.(interface{ AfterFunc(func()) func() bool }); ok {
		return own.AfterFunc(f)
	}
	return context.AfterFunc(ctx, f)
}

// fail ends the turn without a response, and answers why as the caller should
// know it: his own leaving first, then what kept the request from being sent.
func (x *turn) fail(err error) error {
	x.spoilt.Store(true)
	x.goOn(false)
	x.uncut()
	x.c.cut()
	return x.cause(err)
}

func (x *turn) cause(err error) error {
	if ctx := x.o.r.Context(); ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if unsent := x.unsent.Load(); unsent != nil {
		return *unsent
	}
	return err
}

// ended is called by each direction at its end.
func (x *turn) ended(well bool) {
	if !well {
		x.spoilt.Store(true)
	}
	if x.directions.Add(-1) > 0 {
		if !well {
			x.c.cut() // the other one has nothing to wait for
		}
		return
	}
	if x.uncut() && !x.spoilt.Load() && x.c.r.Buffered() == 0 {
		x.c.reused = true
		x.t.keep(x.c)
		return
	}
	x.c.cut()
}

// received ends the response's direction. Where the connection will not be kept
// there is no point in sending the rest of a request.
func (x *turn) received(well bool) { x.ended(well && !x.spoilt.Load()) }

// goOn tells a body that waits for a 100 whether to go.
func (x *turn) goOn(yes bool) {
	if x.proceed == nil {
		return
	}
	select {
	case x.proceed <- yes:
	default: // it has been told
	}
}

// startClock bounds the wait for the response's head, once the request is sent.
func (x *turn) startClock() {
	if x.t.ResponseHeaderTimeout <= 0 {
		return
	}
	x.waiting.Lock()
	defer x.waiting.Unlock()
	if !x.headed {
		_ = x.c.SetReadDeadline(time.Now().Add(x.t.ResponseHeaderTimeout)) // fails only where reading does
	}
}

func (x *turn) stopClock() {
	if x.t.ResponseHeaderTimeout <= 0 {
		return
	}
	x.waiting.Lock()
	defer x.waiting.Unlock()
	x.headed = true
	_ = x.c.SetReadDeadline(time.Time{})
}

func (x *turn) wroteHeaders() {
	if x.follower != nil {
		x.follower.WroteHeaders()
	}
}

// early tells the caller of an interim response.
func (x *turn) early(h *head) error {
	if h.status == http.StatusContinue {
		x.goOn(true)
	}
	if x.follower != nil {
		return x.follower.Early(h.status, h.header)
	}
	return nil
}

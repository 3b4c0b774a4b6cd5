package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// The kinds of request, as logs and metrics name them.
const (
	kindOwn       = "own"
	kindForwarded = "forwarded"
)

// exchange is one request and its response on their way through the proxy. The
// layers that it passes fill it in; the access log reads it at the end.
type exchange struct {
	writer  http.ResponseWriter
	inbound *http.Request   // as the server made it
	client  context.Context // ends with the client
	path    string          // escaped, without the query
	kind    string
	started time.Duration
	ruling  *ruling // in force when it began

	status   int    // what the client got, or was meant to get
	length   int64  // of the response's body, where it is known in advance; else -1
	outcome  string // how it ended, in a word
	reason   string // why it failed, if it did; never a body's or header's text
	answered bool   // the upstream's response is on its way to the client
	complete bool   // and the whole of it went

	among   *sync.WaitGroup       // those that Wait waits for; nil: it is among them no more
	body    *requestBody          // nil: the request has none
	broken  atomic.Pointer[error] // why reading the request's body failed
	capture *capture              // nil: no rule matches
	relay   relay
}

// enter has Wait wait for the exchange, until it leaves.
func (x *exchange) enter(among *sync.WaitGroup) {
	among.Add(1)
	x.among = among
}

func (x *exchange) leave() {
	if x.among != nil {
		x.among.Done()
		x.among = nil
	}
}

type exchangeKey struct{}

// Forwards reports, for a Transport, whether a request with this context is a
// client's on its way to the API; else it is the proxy's own, a fetch.
func Forwards(ctx context.Context) bool { return ctx.Value(exchangeKey{}) != nil }

// clientGone reports whether the client has left, be it in the middle of its
// own request.
func (x *exchange) clientGone() bool {
	if x.client.Err() != nil {
		return true
	}
	err := x.bodyError()
	var network net.Error
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network)
}

// bodyError answers why the request's body could not be read to its end, or nil.
func (x *exchange) bodyError() error {
	if err := x.broken.Load(); err != nil {
		return *err
	}
	return nil
}

// closeIfDue ends the client's connection with this response where what follows
// on it cannot be told for sure, or is not there yet.
//
// Where the request has not been read to the end, net/http would otherwise read
// the rest itself before replying, to make ready for the next request: away from
// under an upstream that answers while it still reads. HTTP/2 has streams for
// that. ResponseController.EnableFullDuplex looks like the way to say so, but
// with it net/http takes what follows a malformed body for the next request.
//
// An HTTP/1.0 client may ask to keep its connection, but HTTP/1.0 has no
// Transfer-Encoding: net/http drops one without a word, and what follows is then
// a body to some and a request to others (RFC 9112 §6.1).
func (x *exchange) closeIfDue() {
	if x.inbound.ProtoMajor != 1 {
		return
	}
	if x.inbound.ProtoMinor == 0 || x.body != nil && !x.body.ended.Load() {
		x.writer.Header().Set("Connection", "close")
	}
}

// flush sends what the upstream had said before it broke off. net/http drops
// what it still buffers when a handler panics, which is how relay ends such a
// response; without us the client would have seen it.
func (x *exchange) flush() {
	if x.answered && !x.complete {
		_ = http.NewResponseController(x.writer).Flush() // the client may be what has gone
	}
}

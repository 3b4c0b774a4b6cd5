package proxy

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/hookproxy/hookproxy/internal/http1"
)

// relay is an exchange's part in the moving of bytes: what would otherwise be
// allocated for each request one by one.
type relay struct {
	ctx  exchangeContext
	out  http.Request
	url  url.URL   // out's
	said [3]string // what out's header says of the client

	mu       sync.Mutex // between interim responses and the one that counts
	answered bool       // the transport has answered: interim responses come too late
}

// exchangeContext is the outgoing request's context. It leads back to the
// exchange, and tells the transport who wants to know how the request fares.
type exchangeContext struct {
	context.Context
	x *exchange
}

// Value implements context.Context.
func (c *exchangeContext) Value(key any) any {
	switch key.(type) {
	case exchangeKey:
		return c.x
	case http1.FollowerKey:
		return follower{c.x}
	}
	return c.Context.Value(key)
}

// AfterFunc is what package context looks for before it starts a goroutine.
func (c *exchangeContext) AfterFunc(f func()) (stop func() bool) {
	return http1.AfterFunc(c.Context, f)
}

// Watch implements http1.Watched, where the context within does.
func (c *exchangeContext) Watch(w http1.Watcher) bool {
	watched, ok := c.Context.(http1.Watched)
	return ok && watched.Watch(w)
}

// Unwatch implements http1.Watched.
func (c *exchangeContext) Unwatch(w http1.Watcher) bool {
	return c.Context.(http1.Watched).Unwatch(w) // which Watch has asked
}

// relay sends the request to the upstream and its response to the client.
//
// It panics with http.ErrAbortHandler where the response breaks off in the
// middle: nothing but the end of its connection tells the client.
func (p *Proxy) relay(x *exchange, ctx context.Context) {
	out := p.outgoing(x, ctx)
	if x.body != nil {
		// The transport may go on reading on a goroutine of its own; net/http
		// permits that no longer than until the handler's return.
		defer x.body.Close()
	}
	res, err := p.roundTrip(x, out)
	if err != nil {
		p.handleError(x, err)
		return
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		dropHopByHop(res.Header)
	}
	if err := p.respond(x, out, res); err != nil {
		_ = res.Body.Close() // the error is the news
		p.handleError(x, err)
		return
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		p.tunnel(x, res)
		return
	}
	p.answer(x, res)
}

// roundTrip asks the upstream.
func (p *Proxy) roundTrip(x *exchange, out *http.Request) (*http.Response, error) {
	if !p.follows {
		out = traced(out)
	}
	res, err := p.transport.RoundTrip(out)
	x.relay.mu.Lock()
	x.relay.answered = true
	x.relay.mu.Unlock()
	if err != nil || x.capture == nil || res.StatusCode == http.StatusSwitchingProtocols {
		return res, err
	}
	return x.capture.apart(res), nil
}

// answer sends the client what the upstream answered.
func (p *Proxy) answer(x *exchange, res *http.Response) {
	header := x.writer.Header()
	maps.Copy(header, res.Header)
	announced := len(res.Trailer)
	if announced > 0 {
		header["Trailer"] = []string{strings.Join(slices.Sorted(maps.Keys(res.Trailer)), ", ")}
	}
	x.writer.WriteHeader(res.StatusCode)
	err := p.copyBody(x, res)
	_ = res.Body.Close() // read to its end, or broken
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if len(res.Trailer) == 0 {
		return
	}
	// Sent in chunks, or net/http would say how long a short body is, and there
	// is no trailer behind a Content-Length.
	_ = http.NewResponseController(x.writer).Flush()
	prefix := ""
	if len(res.Trailer) != announced {
		prefix = http.TrailerPrefix // for those that came unannounced
	}
	for name, values := range res.Trailer {
		for _, value := range values {
			header.Add(prefix+name, value)
		}
	}
}

// isHopByHop tells fields that are about one connection (RFC 9110 §7.6.1, and
// their forerunners in RFC 2616 §13.5.1).
func isHopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// dropHopByHop removes them, and those that Connection names.
func dropHopByHop(h http.Header) {
	dropNamed(h, h["Connection"])
	for name := range h {
		if isHopByHop(name) {
			delete(h, name)
		}
	}
}

// dropNamed removes the fields that the values of a Connection field name.
func dropNamed(h http.Header, connection []string) {
	for _, value := range connection {
		for name := range strings.SplitSeq(value, ",") {
			h.Del(textproto.TrimString(name))
		}
	}
}

// follower is the exchange as transports see it.
type follower struct{ x *exchange }

// WroteHeaders notes that the upstream may have the request.
func (f follower) WroteHeaders() {
	if c := f.x.capture; c != nil {
		c.sent.Store(true)
	}
}

// Early passes an interim response on.
func (f follower) Early(status int, header http.Header) error {
	f.x.relay.mu.Lock()
	defer f.x.relay.mu.Unlock()
	if f.x.relay.answered {
		return nil // its header is being written
	}
	h := f.x.writer.Header()
	for name, values := range header {
		h[name] = append(h[name], values...)
	}
	f.x.writer.WriteHeader(status)
	clear(h) // WriteHeader keeps it for the response
	return nil
}

// traced tells net/http's transport to whom it should say how a request fares.
func traced(r *http.Request) *http.Request {
	f, ok := r.Context().Value(http1.FollowerKey{}).(follower)
	if !ok {
		return r
	}
	return r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		WroteHeaders: f.WroteHeaders,
		Got1xxResponse: func(status int, header textproto.MIMEHeader) error {
			return f.Early(status, http.Header(header))
		},
	}))
}

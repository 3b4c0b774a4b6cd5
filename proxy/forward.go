package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"
)

// flushInterval is how long a byte of a slow response with a Content-Length may
// wait for more. Streams without one are flushed at once by ReverseProxy.
const flushInterval = 10 * time.Millisecond

// newReverseProxy makes what moves the bytes. Rewrite, not Director: it runs
// after the hop-by-hop headers are gone.
func (p *Proxy) newReverseProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:        p.rewrite,
		Transport:      apart{p.transport},
		FlushInterval:  flushInterval,
		BufferPool:     newBuffers(),
		ModifyResponse: p.respond,
		ErrorHandler:   p.handleError,
		ErrorLog:       slog.NewLogLogger(p.log.Handler(), slog.LevelWarn),
	}
}

// forward sends the request to the upstream and its response to the client.
func (p *Proxy) forward(x *exchange) {
	defer x.flush()
	ctx := x.inbound.Context()
	if x.capture = p.capturing(x); x.capture != nil {
		ctx = x.capture.begin(ctx, p, x)
		defer x.capture.end()
		p.fetchPrevious(x)
	}
	p.reverse.ServeHTTP(x.writer, x.inbound.WithContext(context.WithValue(ctx, exchangeKey{}, x)))
	x.complete = true
}

// rewrite turns the client's request into the upstream's. Host stays the
// client's: the clone that ReverseProxy made has it.
func (p *Proxy) rewrite(pr *httputil.ProxyRequest) {
	x := exchangeOf(pr.In.Context())
	mount := x.ruling.mountOf(pr.In.URL)
	p.upstream.direct(pr.Out.URL, pr.In.URL, pr.In.Method, mount)
	p.setForwarded(pr)
	p.setPrefix(pr, x.ruling, mount)
	x.ruling.strip(pr.Out)
	dropH2CUpgrade(pr.Out.Header)
	if pr.Out.Body != nil {
		p.watchBody(x, pr.Out)
	}
}

// dropH2CUpgrade keeps "Upgrade: h2c" to ourselves. It is hop-by-hop and
// obsolete (RFC 9113 §3.1), some clients offer it with every first request, and
// an upstream that took it would turn the connection into a tunnel in which no
// request is seen any more.
func dropH2CUpgrade(h http.Header) {
	for _, value := range h["Upgrade"] {
		for token := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(token), "h2c") {
				h.Del("Upgrade")
				h.Del("Connection")
				return
			}
		}
	}
}

// checkResponse answers what makes a response impossible to pass on, though it
// could be parsed. Answered an error, ReverseProxy closes the response's
// connection, which it does not for a switch that nobody asked for.
func checkResponse(res *http.Response) error {
	if res.StatusCode < http.StatusContinue { // as net/http reads "000" and "+20"; writing it panics
		return errors.New("the upstream answered a status that is none")
	}
	asked := res.Request.Header.Get("Upgrade")
	if res.StatusCode == http.StatusSwitchingProtocols && (asked == "" || !strings.EqualFold(asked, res.Header.Get("Upgrade"))) {
		return errors.New("the upstream switched protocols unasked")
	}
	return nil
}

// respond sees each response after its headers and before the client does.
// For a matched exchange it returns once the event is safe.
func (p *Proxy) respond(res *http.Response) error {
	x := exchangeOf(res.Request.Context())
	if err := checkResponse(res); err != nil {
		return err
	}
	x.status, x.length, x.outcome = res.StatusCode, res.ContentLength, "forwarded"
	if _, typed := res.Header["Content-Type"]; !typed {
		x.writer.Header()["Content-Type"] = nil // net/http would guess one
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		x.leave() // a tunnel has no event to come, and may stay open for days
	} else {
		x.closeIfDue()
	}
	p.revoked(x, res.StatusCode)
	if x.capture != nil {
		// The default fails open: the write has happened, and the client should
		// hear of it.
		if err := p.settle(x, res); err != nil {
			return err
		}
	} else {
		p.noteUnmatched(x, res.StatusCode)
	}
	x.answered = true
	return nil
}

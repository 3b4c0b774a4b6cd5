package proxy

import (
	"errors"
	"net/http"
	"strings"
)

// forward sends the request to the upstream and its response to the client.
func (p *Proxy) forward(x *exchange) {
	defer x.flush()
	ctx := x.client
	if x.capture = p.capturing(x); x.capture != nil {
		ctx = x.capture.begin(ctx, p, x)
		defer x.capture.end()
		p.fetchPrevious(x)
	}
	p.relay(x, ctx)
	x.complete = true
}

// checkResponse answers what makes a response impossible to pass on, though it
// could be parsed.
func checkResponse(out *http.Request, res *http.Response) error {
	if res.StatusCode < http.StatusContinue { // as net/http reads "000" and "+20"; writing it panics
		return errors.New("the upstream answered a status that is none")
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		if asked := out.Header.Get("Upgrade"); asked == "" || !strings.EqualFold(asked, res.Header.Get("Upgrade")) {
			return errors.New("the upstream switched protocols unasked")
		}
	}
	return nil
}

// respond sees each response after its headers and before the client does.
// For a matched exchange it returns once the event is safe.
func (p *Proxy) respond(x *exchange, out *http.Request, res *http.Response) error {
	if err := checkResponse(out, res); err != nil {
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
		if err := p.settle(x, out, res); err != nil {
			return err
		}
	} else {
		p.noteUnmatched(x, res.StatusCode)
	}
	x.answered = true
	return nil
}

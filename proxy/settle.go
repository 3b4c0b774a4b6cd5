package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/identity"
	"github.com/hookproxy/hookproxy/rules"
)

// idempotencyKey is the header of draft-ietf-httpapi-idempotency-key-header.
const idempotencyKey = "Idempotency-Key"

// parkedIdentityUnavailable stands where rules said ParkedUserUnknown only
// because asking failed: asking again later may help.
const parkedIdentityUnavailable = "identity_unavailable"

// settle holds a matched exchange's response and returns when its events are
// safe, or cannot be made so. Whatever happens, the response can go on.
func (p *Proxy) settle(x *exchange, res *http.Response) {
	c := x.capture
	defer c.settled()
	defer p.survive("derive", func() {
		c.result = resultLost
		p.metrics.events.WithLabelValues(resultLost, "panic").Inc()
	})
	if why := c.uncaptured(res); why != "" {
		c.result = resultSkipped
		p.metrics.events.WithLabelValues(resultSkipped, why).Inc()
		if res.StatusCode != http.StatusSwitchingProtocols { // whose body is a connection
			res.Body = trailed{res.Body, c.trailers}
		}
		return
	}
	batch := p.derive(x, res, c.hold(res))
	if len(batch) == 0 {
		return
	}
	// Not the client's context, nor the detached one: what the upstream
	// answered is published, however late. The publisher has its own deadline.
	err := p.publisher.Publish(context.WithoutCancel(res.Request.Context()), batch)
	p.count(c, batch, err)
	if err == nil {
		p.askLater(c.question, batch)
	}
}

// derive answers the events of an exchange whose response is complete.
func (p *Proxy) derive(x *exchange, res *http.Response, body *heldBody) []events.Event {
	now := time.Now()
	results, who := p.results(x, res, body)
	batch := make([]events.Event, 0, len(results))
	for _, result := range results {
		if result.Skipped != "" {
			p.metrics.events.WithLabelValues(resultSkipped, result.Skipped).Inc()
			x.capture.result = resultSkipped
			continue
		}
		e := result.Event
		e.ID, e.Time = idOf(e, result.Item, x, res.Request.Header, who.caller.User), now
		if e.Parked == rules.ParkedUserUnknown && errors.Is(who.err, identity.ErrUnavailable) {
			e.Parked = parkedIdentityUnavailable
		}
		batch = append(batch, e)
	}
	return batch
}

// results asks the rules, at first with what is known of the caller by now, and
// waits for more only where an event may come of it: most exchanges that a rule
// with a condition matches are no event, and shall not wait while the API is
// slow to say who is calling.
func (p *Proxy) results(x *exchange, res *http.Response, body *heldBody) ([]rules.Result, answer) {
	c, out := x.capture, res.Request
	sent, unsent := c.request.take(out.Header)
	decoded, omitted := body.decoded(c, res.Header)
	who, known := c.question.now()
	it := rules.Exchange{
		Method: x.inbound.Method, Path: x.path, RawQuery: x.inbound.URL.RawQuery,
		RequestHeader: out.Header, RequestBody: sent, RequestOmitted: unsent,
		Status: res.StatusCode, ResponseHeader: res.Header, ResponseBody: decoded, ResponseOmitted: omitted,
		Caller: who.caller.User,
	}
	results := c.match.Derive(&it)
	if known || !anyEvent(results) {
		return results, who
	}
	who = c.question.wait(p.callerPatience)
	it.Caller = who.caller.User
	return c.match.Derive(&it), who
}

func anyEvent(results []rules.Result) bool {
	return slices.ContainsFunc(results, func(r rules.Result) bool { return r.Skipped == "" })
}

// decoded answers the body for the rules, or why there is none.
func (h *heldBody) decoded(c *capture, header http.Header) (body []byte, omitted string) {
	if h.omitted != "" {
		return nil, h.omitted
	}
	if len(h.data) == 0 {
		return nil, ""
	}
	return decodeWhole(header, h.data, c.limits.MaxBody, &c.decoded)
}

// idOf answers a fresh id, or for a request with an Idempotency-Key the same
// one for each replay. The key alone does not make a replay: it is its caller's
// own, so that without a caller nothing can be told, whoever the event belongs
// to; and an upstream that does not know the header creates a second resource
// for it, whose event must not be taken for the first one's.
func idOf(e events.Event, item int, x *exchange, h http.Header, caller string) string {
	key := h.Get(idempotencyKey)
	if key == "" || caller == "" {
		return events.NewID()
	}
	if e.Resource != "" {
		key += "\n" + e.Resource // no header holds a newline
	}
	// A line of rules.yaml may hold several rules; what they emit differs.
	return events.ReplayID(caller, x.inbound.Method, x.path, key, e.Rule+" "+e.Name, item)
}

// count notes what became of the events.
func (p *Proxy) count(c *capture, batch []events.Event, err error) {
	for _, e := range batch {
		result, reason := resultPublished, e.Omitted
		switch {
		case errors.Is(err, events.ErrNowhere):
			result, reason = resultLost, "nowhere"
		case err != nil:
			result, reason = resultLost, "error"
		case e.Parked != "":
			result, reason = resultParked, e.Parked
		}
		p.metrics.events.WithLabelValues(result, reason).Inc()
		if !slices.Contains(c.events, e.Name) {
			c.events = append(c.events, e.Name)
		}
		c.result = result
	}
}

// survive keeps a bug on the way to an event from hurting the API. Defer it;
// then runs only after a panic.
func (p *Proxy) survive(where string, then func()) {
	if v := recover(); v != nil {
		p.metrics.panics.WithLabelValues(where).Inc()
		p.log.Error("panic survived; the API's response goes on", "where", where, "panic", panicText(v), "stack", string(debug.Stack()))
		then()
	}
}

// panicText leaves out what a panic says, but for the runtime's own: it may
// quote a body.
func panicText(v any) string {
	if err, ok := v.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", v)
}

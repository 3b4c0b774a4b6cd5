package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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
	if why := c.uncaptured(res); why != "" {
		c.result = resultSkipped
		p.metrics.events.WithLabelValues(resultSkipped, why).Inc()
		return
	}
	body := c.hold(res)
	defer p.survive("derive", func() {
		c.result = resultLost
		p.metrics.events.WithLabelValues(resultLost, "panic").Inc()
	})
	batch := p.derive(x, res, body)
	if len(batch) == 0 {
		return
	}
	// Not the client's context, nor the detached one: what the upstream
	// answered is published, however late. The publisher has its own deadline.
	err := p.publisher.Publish(context.WithoutCancel(res.Request.Context()), batch)
	p.count(c, batch, err)
}

// derive answers the events of an exchange whose response is complete.
func (p *Proxy) derive(x *exchange, res *http.Response, body *heldBody) []events.Event {
	c, out := x.capture, res.Request
	now := time.Now()
	user, unknown := c.question.wait(p.patience)
	sent, unsent := c.request.take(out.Header)
	decoded, omitted := body.decoded(c, res.Header)
	results := c.match.Derive(&rules.Exchange{
		Method: x.inbound.Method, Path: x.path, RawQuery: x.inbound.URL.RawQuery, BasePath: p.upstream.rawBase,
		RequestHeader: out.Header, RequestBody: sent, RequestOmitted: unsent,
		Status: res.StatusCode, ResponseHeader: res.Header, ResponseBody: decoded, ResponseOmitted: omitted,
		Caller: user,
	})
	batch := make([]events.Event, 0, len(results))
	for _, result := range results {
		if result.Skipped != "" {
			p.metrics.events.WithLabelValues(resultSkipped, result.Skipped).Inc()
			c.result = resultSkipped
			continue
		}
		e := result.Event
		e.ID, e.Time = idOf(result, x, out.Header), now
		if e.Parked == rules.ParkedUserUnknown && errors.Is(unknown, identity.ErrUnavailable) {
			e.Parked = parkedIdentityUnavailable
		}
		batch = append(batch, e)
	}
	return batch
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
// one for each replay. The key alone does not make a replay: it is its user's
// own, so that without a user nothing can be told; and an upstream that does
// not know the header creates a second resource for it, whose event must not
// be taken for the first one's.
func idOf(result rules.Result, x *exchange, h http.Header) string {
	e, key := result.Event, h.Get(idempotencyKey)
	if key == "" || e.User == "" {
		return events.NewID()
	}
	if e.Resource != "" {
		key += "\n" + e.Resource // no header holds a newline
	}
	// Several rules may stand on one line, in one list of short ones.
	rule := fmt.Sprintf("%s:%d %s", e.Rule, result.Rule.Column, e.Name)
	return events.ReplayID(e.User, x.inbound.Method, x.path, key, rule, result.Item)
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
		p.log.Error("panic survived; the API's response goes on", "where", where, "panic", v, "stack", string(debug.Stack()))
		then()
	}
}

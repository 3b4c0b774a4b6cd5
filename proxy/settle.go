package proxy

import (
	"cmp"
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

// errNotSafe ends an exchange whose event is nowhere and should not be: a rule
// says "guarantee: strict".
var errNotSafe = errors.New("the event could be put nowhere")

// settle holds a matched exchange's response and returns when its events are
// safe, or cannot be made so. Whatever happens, the response can go on, unless
// it answers errNotSafe.
func (p *Proxy) settle(x *exchange, out *http.Request, res *http.Response) (err error) {
	c := x.capture
	defer c.settled()
	defer p.survive("derive", func() {
		c.result, err = resultLost, nil
		p.metrics.events.WithLabelValues(resultLost, "panic").Inc()
		if c.match.Strict(res.StatusCode) {
			err = errNotSafe
		}
	})
	if why := c.uncaptured(res); why != "" {
		c.result = resultSkipped
		p.metrics.events.WithLabelValues(resultSkipped, why).Inc()
		p.aside(Aside{x.inbound, rules.Result{Skipped: why}, c.exchange})
		if res.StatusCode != http.StatusSwitchingProtocols { // whose body is a connection
			res.Body = trailed{res.Body, c}
		}
		return nil
	}
	f := p.finished(x, out, res, c.hold(res))
	now, later := c.match.Split()
	if later != nil && !p.fetchLater(f, later) {
		now, later = c.match, nil
	}
	if later != nil {
		c.result = resultLater
	}
	if now == nil {
		return nil
	}
	if wanted := now.FetchAfter(f.exchange); len(wanted) > 0 {
		ctx := context.WithoutCancel(x.client)
		f.exchange.Fetched = p.fetchAll(ctx, p.fetchesOf(x, now, wanted), fetchAfter, &c.fetched, c.limits.MaxBody)
	}
	return p.publish(f, now, c)
}

// publish derives the events of a finished exchange and returns when they are
// safe, or errNotSafe where they should be and are not.
func (p *Proxy) publish(f *finished, match matcher, c *capture) error {
	batch := p.batchOf(f, match.Derive(f.exchange), c)
	if len(batch.events) == 0 {
		return nil
	}
	// Not the client's context, nor the detached one: what the upstream
	// answered is published, however late. The publisher has its own deadline.
	failed := p.publisher.Publish(context.WithoutCancel(f.x.client), batch.events)
	p.count(c, batch.events, failed)
	safe, err := batch.judge(failed)
	p.askLater(f.question, safe)
	return err
}

// finished is an exchange whose response is complete, as the rules see it.
type finished struct {
	x        *exchange
	exchange *rules.Exchange
	question *question // nil: nobody asked who the caller is
	unknown  error     // why nobody knows, if so
	time     time.Time
}

func (p *Proxy) finished(x *exchange, out *http.Request, res *http.Response, body *heldBody) *finished {
	c := x.capture
	f := &c.own.finished
	*f = finished{x: x, exchange: c.exchange, question: c.question, time: time.Now()}
	sent, unsent := c.request.take(out.Header)
	decoded, omitted := body.decoded(c, res.Header)
	e := f.exchange
	e.RequestHeader, e.RequestBody, e.RequestOmitted = out.Header, sent, unsent
	e.Status, e.ResponseHeader, e.ResponseBody, e.ResponseOmitted = res.StatusCode, res.Header, decoded, omitted
	p.identify(f, c.match)
	return f
}

// identify says who the caller is, if that is known by now, and waits for it
// only where an event may come of it: most exchanges that a rule with a
// condition matches are no event, and shall not wait while the API is slow to
// say who is calling.
func (p *Proxy) identify(f *finished, match matcher) {
	who, known := f.question.now()
	f.exchange.Caller = who.caller.User
	if !known && anyEvent(match.Derive(f.exchange)) {
		who = f.question.wait(p.callerPatience)
		f.exchange.Caller = who.caller.User
	}
	f.unknown = who.err
}

func anyEvent(results []rules.Result) bool {
	return slices.ContainsFunc(results, func(r rules.Result) bool { return r.Skipped == "" })
}

// asked answers what rules may know of a request before it is forwarded.
func (p *Proxy) asked(x *exchange) rules.Exchange {
	return rules.Exchange{
		Method: x.inbound.Method, Path: x.path, RawQuery: x.inbound.URL.RawQuery, BasePath: p.upstream.rawBase, Mount: x.ruling.mountOf(x.inbound.URL),
		RequestHeader: x.inbound.Header,
	}
}

// batch is the events of one exchange that are to be published together.
type batch struct {
	events []events.Event
	strict []int // places of those whose rule is
}

// judge answers the events that are safe after Publish has answered failed, and
// errNotSafe where one of a strict rule is not.
func (b batch) judge(failed error) (safe []events.Event, err error) {
	if failed == nil {
		return b.events, nil
	}
	for i, e := range b.events {
		switch {
		case !events.Lost(failed, i):
			safe = append(safe, e)
		case slices.Contains(b.strict, i):
			err = errNotSafe
		}
	}
	return safe, err
}

// batchOf makes events of results, and notes those that are none. c is nil
// where the log line of the request is written already.
func (p *Proxy) batchOf(f *finished, results []rules.Result, c *capture) batch {
	b := batch{events: make([]events.Event, 0, len(results))}
	for _, result := range results {
		if result.Skipped != "" {
			p.metrics.events.WithLabelValues(resultSkipped, result.Skipped).Inc()
			p.aside(Aside{f.x.inbound, result, f.exchange})
			c.note("", resultSkipped)
			continue
		}
		e := result.Event
		e.ID, e.Time = idOf(result, f), f.time
		// Only of the caller's own: another's event is not the caller's because its
		// owner is not to be found.
		if e.Parked == rules.ParkedUserUnknown && result.Rule.OfCaller() && errors.Is(f.unknown, identity.ErrUnavailable) {
			e.Parked = parkedIdentityUnavailable
		}
		if result.Rule.Observed() {
			p.observe(c, e)
			result.Event = e
			p.aside(Aside{f.x.inbound, result, f.exchange})
			continue
		}
		if result.Rule.Strict() {
			b.strict = append(b.strict, len(b.events))
		}
		b.events = append(b.events, e)
	}
	return b
}

// observe notes an event that is not published. Neither its user nor its
// resource stands in the log: ids are values.
func (p *Proxy) observe(c *capture, e events.Event) {
	p.metrics.events.WithLabelValues(resultObserved, cmp.Or(e.Parked, e.Omitted)).Inc()
	c.note(e.Name, resultObserved)
	p.log.Info("event observed, not published", "event", e.Name, "rule", e.Rule,
		"payload_bytes", len(e.Payload), "omitted", e.Omitted, "parked", e.Parked)
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
func idOf(result rules.Result, f *finished) string {
	e, key := result.Event, f.exchange.RequestHeader.Get(idempotencyKey)
	if key == "" || f.exchange.Caller == "" {
		return events.NewID()
	}
	if e.Resource != "" {
		key += "\n" + e.Resource // no header holds a newline
	}
	// Several rules may stand on one line, in one list of short ones.
	rule := fmt.Sprintf("%s:%d %s", e.Rule, result.Rule.Column, e.Name)
	return events.ReplayID(f.exchange.Caller, f.x.inbound.Method, f.x.path, key, rule, result.Item)
}

// count notes what became of the events.
func (p *Proxy) count(c *capture, batch []events.Event, err error) {
	for i, e := range batch {
		result, reason := resultPublished, e.Omitted
		lost := events.Lost(err, i)
		switch {
		case lost && errors.Is(err, events.ErrNowhere):
			result, reason = resultLost, "nowhere"
		case lost:
			result, reason = resultLost, "error"
		case e.Parked != "":
			result, reason = resultParked, e.Parked
		}
		if result == resultPublished && reason == "" { // as nearly all are, and without a search
			p.metrics.published().Inc()
		} else {
			p.metrics.events.WithLabelValues(result, reason).Inc()
		}
		c.note(e.Name, result)
	}
}

// note remembers for the log what became of an event. A nil capture has none
// to write any more.
func (c *capture) note(name, result string) {
	if c == nil {
		return
	}
	if name != "" && !slices.Contains(c.events, name) {
		if c.events == nil {
			c.events = c.own.event[:0]
		}
		c.events = append(c.events, name)
	}
	if c.result != resultLost { // which the other events of the exchange do not outweigh
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

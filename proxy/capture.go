package proxy

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/hookproxy/hookproxy/rules"
)

// matcher is what the proxy needs of rules.Match.
type matcher interface {
	WantsStatus(status int) bool
	NeedsRequestBody() bool
	NeedsCaller() bool
	Strict(status int) bool
	FetchBefore(x *rules.Exchange) []rules.Fetch
	FetchAfter(x *rules.Exchange) []rules.Fetch
	Credentials() []string
	Parameters() []string
	Derive(x *rules.Exchange) []rules.Result
	Split() (now, later matcher)
}

// ruleMatch is rules.Match as a matcher: a nil one is none.
type ruleMatch struct{ *rules.Match }

// Split implements matcher.
func (m ruleMatch) Split() (now, later matcher) {
	first, second := m.Match.Split()
	if first != nil {
		now = ruleMatch{first}
	}
	if second != nil {
		later = ruleMatch{second}
	}
	return now, later
}

// matchIn looks requests up in a file's rules.
func matchIn(file *rules.File) func(*exchange) (matcher, rules.CaptureSettings) {
	return func(x *exchange) (matcher, rules.CaptureSettings) {
		if file == nil {
			return nil, rules.CaptureSettings{}
		}
		if match := file.Match(file.Method(x.inbound.Method, x.inbound.Header), x.path); match != nil {
			return ruleMatch{match}, file.Capture
		}
		return nil, rules.CaptureSettings{}
	}
}

// literalIn looks words up in the paths of a file's rules.
func literalIn(file *rules.File) func(word string) bool {
	return func(word string) bool { return file != nil && file.Literal(word) }
}

// capture is what a matched exchange carries beside its bytes.
type capture struct {
	match    matcher
	limits   rules.CaptureSettings
	budget   *budget // for bodies of all kinds
	requests *budget // for requests' own
	holdFor  holdFor
	bond     *detachment // nil: the request ends with its client
	sent     atomic.Bool // the request's headers are at the upstream
	question *question   // nil: no rule asks who is calling
	request  *requestCopy
	response *heldBody       // nil until there is one
	decoded  lease           // for the response without its codings
	fetched  lease           // for what was fetched beside the exchange
	exchange *rules.Exchange // as far as it is known
	answered *http.Response  // as the transport has it; nil until there is one

	events []string // names, for the log
	result string   // what became of them, for the log

	own parts
}

// parts are what most captures point to, in the capture's own memory: so one
// allocation does for all of them.
type parts struct {
	bond     detachment
	exchange rules.Exchange
	seen     http.Response
	response heldBody
	finished finished
	event    [1]string
}

// capturing answers the capture of a matched request, or nil.
func (p *Proxy) capturing(x *exchange) (c *capture) {
	if neverCaptured(x.inbound) {
		return nil
	}
	defer p.survive("match", func() { c = nil })
	match, limits := x.ruling.match(x)
	if match == nil {
		return nil
	}
	p.metrics.matches.Inc()
	c = &capture{match: match, limits: limits, budget: &p.budget, requests: &p.requestBudget, holdFor: p.holdFor}
	setDefault(&c.limits.MaxBody, rules.DefaultMaxBody)
	setDefault(&c.limits.Budget, rules.DefaultBudget)
	c.decoded, c.fetched = c.newLease(), c.newLease()
	c.copyRequest(x.inbound)
	if x.ruling.ask != nil && (match.NeedsCaller() || x.inbound.Header.Get(idempotencyKey) != "") {
		c.question = questionOf(x)
	}
	return c
}

// neverCaptured tells requests whose responses have nothing to capture. An
// "Upgrade" is no reason: clients offer it on requests that are then answered
// as usual. That is seen when the answer is there.
func neverCaptured(r *http.Request) bool {
	return r.Method == http.MethodHead || r.Method == http.MethodOptions ||
		strings.HasPrefix(mediaType(r.Header), "application/grpc")
}

// copyRequest prepares to keep a copy of the request's body, where a rule
// reads it and it can be kept.
func (c *capture) copyRequest(r *http.Request) {
	if r.ContentLength == 0 || !c.match.NeedsRequestBody() {
		return
	}
	c.request = &requestCopy{limit: c.limits.MaxBody, size: r.ContentLength, lease: c.newRequestLease()}
	switch {
	case strings.HasPrefix(mediaType(r.Header), "multipart/"):
		c.request.omitted = rules.OmittedNotJSON // an upload's parts are nobody's payload
	case r.ContentLength > c.limits.MaxBody:
		c.request.omitted = omittedTooLarge
	}
}

func (c *capture) newLease() lease { return lease{budget: c.budget, most: c.limits.Budget} }

// newRequestLease is for what clients send. All of them together get half the
// budget at most: whoever sends slowly holds memory for as long as he likes,
// and must not take it from responses, which are what most rules read.
func (c *capture) newRequestLease() lease {
	whole := c.newLease()
	return lease{budget: c.requests, most: c.limits.Budget / 2, within: &whole}
}

// begin starts what goes on beside the forwarding, and answers the context to
// forward with.
func (c *capture) begin(client context.Context, p *Proxy, x *exchange) context.Context {
	ctx := client
	if isWrite(x.inbound.Method) {
		c.bond = &c.own.bond
		ctx = p.detached.follow(client, c.bond)
	}
	if c.question != nil {
		p.startAsking(c.question, client)
	}
	return ctx
}

// isWrite tells methods that may change something (RFC 9110 §9.2.1).
func isWrite(method string) bool {
	return method != http.MethodGet && method != http.MethodTrace // HEAD and OPTIONS are never captured
}

// settled lets go of all that served to find the events. The client may take
// long over what is left of the exchange, and leave whenever it likes.
func (c *capture) settled() {
	c.question.cancel()
	c.request.close()
	c.decoded.release()
	c.fetched.release()
	c.bond.attach()
}

// end lets go of everything that the capture holds.
func (c *capture) end() {
	c.settled()
	c.bond.end()
	c.response.release()
}

// outlivedClient reports whether the request went on without its client.
func (c *capture) outlivedClient() bool { return c != nil && c.bond.left() }

// sentInVain reports whether the upstream has the request, so that without an
// answer nobody knows what became of it.
func (c *capture) sentInVain() bool { return c != nil && c.sent.Load() }

// uncaptured says why a matched exchange's response is let through as it
// comes, or "".
func (c *capture) uncaptured(res *http.Response) string {
	switch {
	case res.StatusCode == http.StatusSwitchingProtocols:
		return "upgrade"
	case !c.match.WantsStatus(res.StatusCode):
		return rules.SkippedStatus
	case streams[mediaType(res.Header)]:
		return "stream"
	}
	return rules.Uncapturable(res.Header)
}

// streams are media types of responses that need never end, beside those that
// rules.Uncapturable knows: waiting for the whole would hold them back.
var streams = map[string]bool{
	"application/x-ndjson":    true,
	"application/jsonl":       true,
	"application/json-seq":    true, // RFC 7464
	"application/stream+json": true,
}

// mediaType answers the Content-Type without its parameters, even where those
// are malformed.
func mediaType(h http.Header) string {
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(media))
}

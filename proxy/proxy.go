// Package proxy stands in front of the API. It answers hookproxy's own
// endpoints, forwards everything else byte for byte, and turns the exchanges
// that rules match into events that are safe before the client has the answer:
//
//	request ─► own path? ──► Own handler
//	             │ no
//	             ▼
//	           match? ──no──► relay ────────────────────────────────────► client
//	             │ yes                                                      ▲
//	             ▼                                                          │
//	           relay ─► hold the response ─► derive ─► publish ─► let it go
//
// Whatever goes wrong on the way to an event, the API's own answer goes on.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/identity"
	"github.com/hookproxy/hookproxy/rules"
)

// What applies where Options leaves a field zero.
const (
	DefaultDetachGrace    = 30 * time.Second
	DefaultMaxDetached    = 1024
	DefaultCallerPatience = 250 * time.Millisecond
	DefaultHoldStall      = 2 * time.Second
	DefaultHoldTime       = 10 * time.Second
	DefaultLatePatience   = 30 * time.Second
	DefaultMaxLate        = 1000
	DefaultFetchTimeout   = 2 * time.Second
	DefaultMaxLater       = 256
)

// Identifier says who is calling, and keeps callers from saying it themselves.
type Identifier interface {
	// Ask takes from the request what is needed to answer later.
	Ask(r *http.Request) *identity.Question
	// Strip removes what only a trusted proxy may tell the upstream.
	Strip(r *http.Request)
}

// Publisher puts events where they are safe.
type Publisher interface {
	// Publish returns when every event is safe, or an events.LostError that
	// says which are not. It logs its own failures. It keeps nothing of the batch:
	// payloads are in memory that is used again.
	Publish(ctx context.Context, batch []events.Event) error
}

// Options configures New.
type Options struct {
	// Upstream is the API: http or https, a host, and perhaps a base path that
	// is put before every request's own. Required.
	Upstream *url.URL
	// Transport reaches the upstream. Nil: NewTransport with its defaults.
	Transport http.RoundTripper
	// Ruling is what the rules file decides, until Replace.
	Ruling
	// Publisher takes the events. Required where there are rules, at any time.
	Publisher Publisher
	// TrustedProxies are the peers whose Forwarded and X-Forwarded-* headers
	// are kept and extended. None by default: they are replaced.
	TrustedProxies []netip.Prefix
	// Log gets one line a request. Nil: nothing is logged.
	Log *slog.Logger
	// Metrics counts. Nil: counted on a registry that nobody reads.
	Metrics *Metrics
	// DetachGrace is how long a matched write whose client has left may go on
	// at the upstream. DefaultDetachGrace.
	DetachGrace time.Duration
	// MaxDetached is how many such writes there may be at once; one more ends
	// with its client. DefaultMaxDetached.
	MaxDetached int
	// CallerPatience is how long a finished exchange waits to learn who is
	// calling before its events are parked. DefaultCallerPatience.
	CallerPatience time.Duration
	// HoldStall is how long a captured response's body may bring nothing new,
	// and HoldTime how long it may take in all, before it streams on to the
	// client and its events go out without data. DefaultHoldStall, DefaultHoldTime.
	HoldStall, HoldTime time.Duration
	// Releaser takes those events off the parked list again once their caller
	// is known. Nil: what is parked stays parked.
	Releaser Releaser
	// LatePatience is for how long that is tried; DefaultLatePatience.
	LatePatience time.Duration
	// MaxLate is how many finished exchanges may wait for their caller in this
	// way; the events of one more stay parked. DefaultMaxLate.
	MaxLate int
	// FetchTimeout bounds all that is fetched before a request, and again all
	// that is fetched after it. DefaultFetchTimeout.
	FetchTimeout time.Duration
	// MaxLater is how many exchanges may have events whose resource is fetched
	// behind the response; one more fetches before it. DefaultMaxLater.
	MaxLater int
	// Aside is told what matched and is not published: what was skipped, with
	// its reason, and what is only observed. It is called on the request's own
	// goroutine, or another's where the event is made behind the response, and
	// keeps nothing of what it is told, whose memory is used again. Nil: nobody
	// wants to know.
	Aside func(Aside)
}

// Aside is a result that is not published.
type Aside struct {
	Request *http.Request // the client's
	// Result's Rule is nil where the response passed uncaptured, whatever the
	// rules would have made of it.
	Result   rules.Result
	Exchange *rules.Exchange
}

// Proxy is the handler in front of the API.
type Proxy struct {
	upstream       upstream
	ruling         atomic.Pointer[ruling] // in force for requests that begin now
	buffers        *buffers
	transport      http.RoundTripper
	follows        bool // the transport looks for followers itself
	publisher      Publisher
	trusted        []netip.Prefix
	detached       detachments
	budget         budget // for all bodies
	requestBudget  budget // for requests' own
	holdFor        holdFor
	callerPatience time.Duration
	late           *late
	fetchFor       time.Duration
	later          chan struct{} // a token for each exchange that fetches behind its response
	aside          func(Aside)
	log            *slog.Logger
	metrics        *Metrics
	asking         sync.WaitGroup // questions about callers

	_         [64]byte       // a processor's cache line: each request writes what follows, and reads what stands above
	exchanges sync.WaitGroup // requests, those without a client any more included
}

// New makes a proxy, or answers everything that is wrong with its options.
func New(o Options) (*Proxy, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	p := &Proxy{
		upstream: newUpstream(o.Upstream), publisher: o.Publisher,
		trusted: unmapped(o.TrustedProxies), callerPatience: o.CallerPatience, log: o.Log, metrics: o.Metrics,
		detached: detachments{grace: o.DetachGrace, most: int64(o.MaxDetached), gauge: o.Metrics.detached},
		budget:   budget{gauge: o.Metrics.budget},
		holdFor:  holdFor{stall: o.HoldStall, whole: o.HoldTime},
		late:     newLate(o),
		fetchFor: o.FetchTimeout, later: make(chan struct{}, o.MaxLater),
		aside: o.Aside,
	}
	p.ruling.Store(o.Ruling.made())
	p.transport, p.buffers = o.Transport, newBuffers()
	_, p.follows = o.Transport.(*direct)
	return p, nil
}

func (o Options) validate() error {
	return errors.Join(checkUpstream(o.Upstream), o.Ruling.validate(o.Publisher))
}

func (o Options) withDefaults() Options {
	if o.Transport == nil {
		o.Transport = NewTransport(TransportOptions{})
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Aside == nil {
		o.Aside = func(Aside) {}
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(prometheus.NewRegistry())
	}
	setDefault(&o.DetachGrace, DefaultDetachGrace)
	setDefault(&o.MaxDetached, DefaultMaxDetached)
	setDefault(&o.HoldStall, DefaultHoldStall)
	setDefault(&o.HoldTime, DefaultHoldTime)
	setDefault(&o.FetchTimeout, DefaultFetchTimeout)
	setDefault(&o.MaxLater, DefaultMaxLater)
	setDefault(&o.CallerPatience, DefaultCallerPatience)
	setDefault(&o.LatePatience, DefaultLatePatience)
	setDefault(&o.MaxLate, DefaultMaxLate)
	return o
}

// setDefault sets an option that is not above zero.
func setDefault[T ~int | ~int64](option *T, value T) {
	if *option <= 0 {
		*option = value
	}
}

// ServeHTTP answers our own endpoints and forwards the rest. There is no mux
// in front of it: both http.ServeMux and gorilla/mux answer unclean paths with
// redirects that the API never sent.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{writer: w, inbound: r, client: r.Context(), path: r.URL.EscapedPath(), kind: kindForwarded, started: now(), ruling: p.ruling.Load()}
	x.enter(&p.exchanges)
	defer x.leave()
	defer p.record(x)
	x.closeIfDue()
	if f, refused := refusal(r); refused {
		p.fail(x, f, nil)
		return
	}
	if segments, ours := x.ruling.ownPaths.cover(x.path); ours {
		p.serveOwn(x, segments)
		return
	}
	p.forward(x)
}

// refusal says what no origin server is asked for. CONNECT makes tunnels, and
// we are no forward proxy (RFC 9110 §9.3.6); PRI begins the preface of HTTP/2
// and is no request (RFC 9113 §3.4); "GET mailto:me HTTP/1.1" names
// nothing that could be forwarded (RFC 9112 §3.2). And what is no protocol's name
// is nothing to switch to.
func refusal(r *http.Request) (failure, bool) {
	switch {
	case r.Method == http.MethodConnect:
		return failure{status: http.StatusNotImplemented, outcome: "refused", detail: "CONNECT is not supported."}, true
	case r.Method == "PRI":
		return failure{status: http.StatusNotImplemented, outcome: "refused", detail: "PRI is not supported."}, true
	case r.URL.Opaque != "":
		return failure{status: http.StatusBadRequest, outcome: "refused", detail: "The request target is not a path."}, true
	case strings.ContainsFunc(r.Header.Get("Upgrade"), func(c rune) bool { return c < ' ' || c > '~' }):
		return failure{status: http.StatusBadRequest, outcome: "refused", detail: "The Upgrade header names no protocol."}, true
	}
	return failure{}, false
}

// Wait returns when no exchange is left, or ctx's error where it is done first.
// What is still asked about parked events is given up. Call it after
// http.Server.Shutdown, which takes no account of a detached request whose
// HTTP/2 connection has gone and whose event is still to come, and while the
// Publisher and the Releaser can still be used: what is fetched later is
// published by then.
func (p *Proxy) Wait(ctx context.Context) error {
	rest := make(chan struct{})
	go func() { // ends with the last exchange; detached ones end with their grace
		p.exchanges.Wait()
		p.late.cancel()
		p.asking.Wait()
		close(rest)
	}()
	select {
	case <-rest:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("requests are still under way: %w", ctx.Err())
	}
}

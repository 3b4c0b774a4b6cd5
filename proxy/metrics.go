package proxy

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The ends that an event can come to here.
const (
	resultPublished = "published"
	resultParked    = "parked"
	resultSkipped   = "skipped"
	resultLost      = "lost"
	resultObserved  = "observed" // derived and counted, not published
	resultLater     = "later"    // in the log only: something is being fetched yet
)

// Metrics are what the proxy counts:
//
//	hookproxy_requests_total{code,method,kind}      kind: own, forwarded
//	hookproxy_request_duration_seconds{kind}
//	hookproxy_matches_total                         requests that a rule matched
//	hookproxy_events_total{result,reason}           result: published, parked, skipped, lost, observed
//	hookproxy_fetches_total{when,result}            when: before, after, later; result: ok, missing, failed
//	hookproxy_outcome_unknown_total                 matched and sent, but the upstream gone before headers
//	hookproxy_capture_budget_bytes                  held for captured bodies now
//	hookproxy_detached_requests                     going on without their client now
//	hookproxy_late_callers_total{outcome}           events parked until their caller was known: released, refused, given_up, full, not_parked
//	hookproxy_late_callers_waiting                  finished exchanges whose caller is being found out now
//	hookproxy_panics_total{where}
type Metrics struct {
	requests       *prometheus.CounterVec
	duration       *prometheus.HistogramVec
	matches        prometheus.Counter
	events         *prometheus.CounterVec
	published      func() prometheus.Counter // among events: those that have their payload
	fetches        *prometheus.CounterVec
	unmatched      prometheus.Counter
	outcomeUnknown prometheus.Counter
	budget         prometheus.Gauge
	detached       prometheus.Gauge
	panics         *prometheus.CounterVec
	late           *prometheus.CounterVec
	lateWaiting    prometheus.Gauge

	// What has counted requests already, by kind (own, forwarded), method and code:
	// it spares each request a look-up by its labels.
	counters  [2][len(methods) + 1][len(codeLabels)]atomic.Pointer[prometheus.Counter]
	observers [2]atomic.Pointer[prometheus.Observer]
}

// NewMetrics registers the proxy's metrics with reg.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookproxy_requests_total", Help: "Requests answered.",
		}, []string{"code", "method", "kind"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hookproxy_request_duration_seconds", Help: "Time from a request's headers to the end of its response.",
			Buckets: prometheus.DefBuckets,
		}, []string{"kind"}),
		matches: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "hookproxy_matches_total", Help: "Requests whose method and path some rule matched.",
		}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookproxy_events_total", Help: "Events by what became of them. Anything under lost is an event that no subscriber will see.",
		}, []string{"result", "reason"}),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookproxy_fetches_total", Help: "Resources fetched from the API beside an exchange.",
		}, []string{"when", "result"}),
		unmatched: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "hookproxy_unmatched_total", Help: "Writes that succeeded and that no rule matches; /unmatched of the admin listener lists their routes.",
		}),
		outcomeUnknown: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "hookproxy_outcome_unknown_total", Help: "Matched requests sent to an upstream that was gone before its response's headers.",
		}),
		budget: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "hookproxy_capture_budget_bytes", Help: "Bytes of captured bodies held now.",
		}),
		detached: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "hookproxy_detached_requests", Help: "Matched requests that go on at the upstream though their client has left.",
		}),
		panics: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookproxy_panics_total", Help: "Panics survived on the way to an event. Each is a bug.",
		}, []string{"where"}),
		late: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookproxy_late_callers_total", Help: "Events parked because their caller was not known in time, by what came of asking on. All but released stay parked.",
		}, []string{"outcome"}),
		lateWaiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "hookproxy_late_callers_waiting", Help: "Finished exchanges whose caller is being found out now, so that their events can be released.",
		}),
	}
	m.published = sync.OnceValue(func() prometheus.Counter { return m.events.WithLabelValues(resultPublished, "") })
	reg.MustRegister(m.requests, m.duration, m.matches, m.events, m.fetches, m.unmatched, m.outcomeUnknown, m.budget, m.detached, m.panics, m.late, m.lateWaiting)
	return m
}

func (m *Metrics) request(x *exchange, took time.Duration) {
	kind := 0
	if x.kind == kindForwarded {
		kind = 1
	}
	m.counter(x, kind).Inc()
	observer := m.observers[kind].Load()
	if observer == nil {
		made := m.duration.WithLabelValues(x.kind)
		observer = &made
		m.observers[kind].Store(observer)
	}
	(*observer).Observe(took.Seconds())
}

// counter answers the counter of requests that ended as x.
func (m *Metrics) counter(x *exchange, kind int) prometheus.Counter {
	method := methodIndex(x.inbound.Method)
	if x.status < 0 || x.status >= len(codeLabels) {
		return m.requests.WithLabelValues(codeLabel(x.status), methodLabel(x.inbound.Method), x.kind)
	}
	kept := &m.counters[kind][method][x.status]
	if counter := kept.Load(); counter != nil {
		return *counter
	}
	counter := m.requests.WithLabelValues(codeLabel(x.status), methodLabel(x.inbound.Method), x.kind)
	kept.Store(&counter)
	return counter
}

// codeLabels spares a conversion a request.
var codeLabels = func() (labels [600]string) {
	for code := range labels {
		labels[code] = strconv.Itoa(code)
	}
	return labels
}()

// codeLabel bounds what an upstream may write into a label. 0 is a request
// that ended without a status.
func codeLabel(code int) string {
	if code < 0 || code >= len(codeLabels) {
		return "other"
	}
	return codeLabels[code]
}

// methods are those that a label may name.
var methods = [...]string{
	http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodConnect,
}

// methodIndex answers a method's place among methods, or behind them.
func methodIndex(method string) int {
	for i, known := range methods {
		if known == method {
			return i
		}
	}
	return len(methods)
}

// methodLabel bounds what a client may write into a label.
func methodLabel(method string) string {
	if i := methodIndex(method); i < len(methods) {
		return methods[i]
	}
	return "other"
}

package events

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// maxParkedReasons bounds the values of the parked counter's label; a reason
// beyond counts as "other".
const maxParkedReasons = 20

// Metrics are the package's counters and gauges. One value serves one
// Publisher.
type Metrics struct {
	published map[string]prometheus.Counter // by what took them
	parked    *prometheus.CounterVec
	lost      prometheus.Counter
	dropped   prometheus.Counter
	replayed  prometheus.Counter
	refused   prometheus.Counter
	duration  prometheus.Histogram

	spool atomic.Pointer[Spool] // what the gauges read; nil: no spool

	mu      sync.Mutex
	reasons map[string]bool
}

// NewMetrics registers the package's metrics. It panics where they are
// registered already, as prometheus.MustRegister does.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	published := f.NewCounterVec(prometheus.CounterOpts{Name: "hookproxy_events_published_total",
		Help: "Events made safe, by what took them first: redis or spool."}, []string{"to"})
	m := &Metrics{
		published: map[string]prometheus.Counter{toRedis: published.WithLabelValues(toRedis), toSpool: published.WithLabelValues(toSpool)},
		parked: f.NewCounterVec(prometheus.CounterOpts{Name: "hookproxy_events_parked_total",
			Help: "Events made safe that cannot be routed yet, by reason."}, []string{"reason"}),
		lost:     counter("hookproxy_events_lost_total", "Events that neither Redis nor the spool took in time."),
		dropped:  counter("hookproxy_events_parked_dropped_total", "Parked events that went, unassigned, to make room for later ones."),
		replayed: counter("hookproxy_spool_replayed_total", "Spooled events that Redis has taken since."),
		refused:  counter("hookproxy_spool_refused_total", "Spooled events set aside because Redis refuses them or they cannot be read."),
		duration: f.NewHistogram(prometheus.HistogramOpts{Name: "hookproxy_publish_seconds",
			Help:    "How long publishing took, until every event was safe.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}}),
		reasons: map[string]bool{},
	}
	m.registerGauges(f)
	return m
}

func (m *Metrics) registerGauges(f promauto.Factory) {
	gauge := func(name, help string, read func(*Spool) float64) {
		f.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			if s := m.spool.Load(); s != nil {
				return read(s)
			}
			return 0
		})
	}
	gauge("hookproxy_spool_events", "Events in the spool that wait for Redis.",
		func(s *Spool) float64 { return float64(s.Len()) })
	gauge("hookproxy_spool_bytes", "Bytes of the events in the spool, those set aside included.",
		func(s *Spool) float64 { return float64(s.Bytes()) })
	gauge("hookproxy_spool_refused_events", "Events set aside in the spool.",
		func(s *Spool) float64 { return float64(s.Refused()) })
	gauge("hookproxy_spool_oldest_seconds", "Age of the oldest event in the spool that waits for Redis; 0 if none does.",
		func(s *Spool) float64 { return s.Age(time.Now()).Seconds() })
}

// parkedReason answers the label for a reason.
func (m *Metrics) parkedReason(reason string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.reasons[reason] && len(m.reasons) >= maxParkedReasons {
		return "other"
	}
	m.reasons[reason] = true
	return reason
}

package delivery

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts what the engine does.
type Metrics struct {
	deliveries  *prometheus.CounterVec
	failures    *prometheus.CounterVec
	duration    prometheus.Histogram
	inflight    prometheus.Gauge
	dispatched  *prometheus.CounterVec
	dropped     prometheus.Counter
	deactivated prometheus.Counter
	opened      prometheus.Counter
	overflowed  prometheus.Counter
	replaced    prometheus.Counter
	expired     prometheus.Counter
	lapsed      prometheus.Counter
	redelivered prometheus.Counter
}

// NewMetrics registers the engine's metrics. Labels are bounded: outcome is one
// of delivered, retry, dead, released, gone, lost; class is an attempt's error
// class; result is delivery, event, duplicate or parked.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	vector := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	m := &Metrics{
		deliveries: vector("hookproxy_deliveries_total", "Attempts ended, by what became of the delivery.", "outcome"),
		failures:   vector("hookproxy_attempt_failures_total", "Attempts that did not deliver, by error class.", "class"),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "hookproxy_attempt_duration_seconds", Help: "How long an exchange with a target took.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15},
		}),
		inflight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "hookproxy_deliveries_in_flight", Help: "Exchanges with targets under way in this process.",
		}),
		dispatched:  vector("hookproxy_dispatched_total", "What dispatch made of the events list.", "result"),
		dropped:     counter("hookproxy_backlog_dropped_total", "Deliveries of inactive subscriptions beyond their backlog."),
		deactivated: counter("hookproxy_subscriptions_deactivated_total", "Subscriptions made inactive for failing a day."),
		opened:      counter("hookproxy_breakers_opened_total", "Times that a subscription was paused because it kept failing."),
		overflowed:  counter("hookproxy_queue_dropped_total", "Deliveries of active subscriptions lost because too many waited."),
		replaced:    counter("hookproxy_deliveries_replaced_total", "Deliveries that a later event took the place of, by debounce."),
		expired:     counter("hookproxy_dead_letters_expired_total", "Dead letters let go after the time for which they are kept."),
		lapsed:      counter("hookproxy_leases_lapsed_total", "Leases that lapsed and were returned."),
		redelivered: counter("hookproxy_redelivered_total", "Deliveries put back by redeliveries."),
	}
	reg.MustRegister(m.deliveries, m.failures, m.duration, m.inflight, m.dispatched, m.dropped, m.deactivated, m.opened, m.lapsed,
		m.overflowed, m.replaced, m.expired, m.redelivered)
	return m
}

func (m *Metrics) countDispatched(d dispatched) {
	for label, n := range map[string]int64{
		"event": d.events, "delivery": d.deliveries, "duplicate": d.duplicates, "parked": d.parked,
	} {
		m.dispatched.WithLabelValues(label).Add(float64(n))
	}
	m.dropped.Add(float64(d.dropped))
	m.overflowed.Add(float64(d.overflowed))
	m.replaced.Add(float64(d.replaced))
}

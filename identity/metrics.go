package identity

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Outcomes of a lookup, as label values.
const (
	outcomeKnown           = "known"
	outcomeUnauthenticated = "unauthenticated"
	outcomeUnavailable     = "unavailable"
)

// Metrics counts what identity asks of the upstream.
type Metrics struct {
	lookups  *prometheus.CounterVec
	cached   *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// NewMetrics registers the metrics of this package. It panics where they are
// registered already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		lookups: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookproxy_identity_lookups_total",
			Help: "Lookups of a caller at the upstream, by resolver and outcome (known, unauthenticated, unavailable).",
		}, []string{"resolver", "outcome"}),
		cached: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookproxy_identity_cached_total",
			Help: "Callers answered from memory instead of a lookup, by resolver.",
		}, []string{"resolver"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "hookproxy_identity_lookup_seconds",
			Help:    "How long lookups at the upstream took, by resolver.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2},
		}, []string{"resolver"}),
	}
	reg.MustRegister(m.lookups, m.cached, m.duration)
	return m
}

func outcomeOf(err error) string {
	switch {
	case err == nil:
		return outcomeKnown
	case errors.Is(err, ErrUnauthenticated):
		return outcomeUnauthenticated
	}
	return outcomeUnavailable
}

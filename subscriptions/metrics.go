package subscriptions

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts requests to the subscription endpoints.
type Metrics struct{ requests *prometheus.CounterVec }

// NewMetrics registers the metrics of this package. It panics where they are
// registered already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hookproxy_subscription_requests_total",
		Help: "Requests to the subscription endpoints, by method and status code.",
	}, []string{"method", "code"})}
	reg.MustRegister(m.requests)
	return m
}

// methods are the label values; a client may call its method anything.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

func (m *Metrics) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if !slices.Contains(methods, method) {
			method = "other"
		}
		noted := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(noted, r)
		m.requests.WithLabelValues(method, strconv.Itoa(noted.status)).Inc()
	})
}

// statusWriter notes the status of an answer. Each is written with one call of
// WriteHeader.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach what the wrapper hides.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

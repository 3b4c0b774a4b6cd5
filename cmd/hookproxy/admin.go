package main

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// pingTimeout bounds what /readyz waits for Redis.
const pingTimeout = time.Second

// health is what the admin listener knows of the program's state.
type health struct {
	serving atomic.Bool // between the start and the beginning of the drain
	// ping asks Redis.
	ping func(context.Context) error
	// spooled answers how many events wait in the spool.
	spooled func() int
}

// readiness is the body of /readyz.
type readiness struct {
	// Status is ok; degraded, where events are kept but not delivered now; or
	// stopped, before the start and while draining.
	Status  string `json:"status"`
	Redis   string `json:"redis"` // ok or away
	Spooled int    `json:"spooled"`
}

// read answers the state and the status to answer it with. Redis being away
// degrades hookproxy, and is no reason to take the API behind it out of
// service: the API goes on, and so does what stands before it.
func (h *health) read(ctx context.Context) (readiness, int) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	state := readiness{Status: "ok", Redis: "ok", Spooled: h.spooled()}
	if err := h.ping(ctx); err != nil {
		state.Status, state.Redis = "degraded", "away"
	}
	if state.Spooled > 0 {
		state.Status = "degraded"
	}
	if !h.serving.Load() {
		state.Status = "stopped"
		return state, http.StatusServiceUnavailable
	}
	return state, http.StatusOK
}

// newAdminHandler answers /healthz (the process lives), /readyz (it serves, and
// how well) and /metrics (Prometheus). They are on a listener of their own, so
// that they never hide a path of the API and are never public by accident.
func newAdminHandler(h *health, metrics prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n")) // the asker is gone; there is nobody to tell
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		state, status := h.read(r.Context())
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(state)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	return mux
}

package main

import (
	"encoding/json"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hookproxy/hookproxy/console"
	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/proxy"
)

// health is what the admin listener knows of the program's state.
type health struct {
	serving atomic.Bool // between the start and the beginning of the drain
	// redis answers how Redis is, at once.
	redis func() string
	// spooled answers how many events wait in the spool.
	spooled func() int
	// spool answers how the spool is.
	spool func() string
	// mistakes answers why the rules file is not what runs, or nothing.
	mistakes func() []string
}

// readiness is the body of /readyz.
type readiness struct {
	// Status is ok; degraded, where events are kept but not delivered now; or
	// stopped, before the start and while draining.
	Status  string `json:"status"`
	Redis   string `json:"redis"` // ok, away or refused
	Spool   string `json:"spool"` // ok, none, full or failed
	Spooled int    `json:"spooled"`
	Rules   string `json:"rules"` // ok or stale
	// Mistakes are those that keep the rules file from being what runs.
	Mistakes []string `json:"rules_mistakes,omitempty"`
}

// read answers the state and the status to answer it with. Redis being away
// degrades hookproxy, and is no reason to take the API behind it out of
// service: the API goes on, and so does what stands before it.
//
// It waits for nobody: an orchestrator that has to wait for Redis through us
// would take away the API.
func (h *health) read() (readiness, int) {
	state := readiness{Status: "ok", Redis: h.redis(), Spool: h.spool(), Spooled: h.spooled(), Rules: rulesOK, Mistakes: h.mistakes()}
	if len(state.Mistakes) > 0 {
		state.Rules = rulesStale
	}
	if state.Redis != redisOK || state.Spool == spoolFailed || state.Spool == spoolFull || state.Spooled > 0 {
		state.Status = "degraded"
	}
	if !h.serving.Load() {
		state.Status = "stopped"
		return state, http.StatusServiceUnavailable
	}
	return state, http.StatusOK
}

// newAdminHandler answers /healthz (the process lives), /readyz (it serves, and
// how well), /metrics (Prometheus), /unmatched, where unmatched is not nil, and the
// operators' API, where api is not nil. They are on a listener of their own, so that
// they never hide a path of the API and are never public by accident.
func newAdminHandler(h *health, metrics prometheus.Gatherer, unmatched func() proxy.Unmatched, api http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n")) // the asker is gone; there is nobody to tell
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		state, status := h.read()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(state)
	})
	if unmatched != nil {
		mux.HandleFunc("GET /unmatched", func(w http.ResponseWriter, r *http.Request) { writeUnmatched(w, r, unmatched()) })
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	if api != nil {
		mux.Handle(console.Path, api)
	}
	return mux
}

// adminAPI answers the operators' API, or nil where anybody on the network could
// use it.
func (p *program) adminAPI(at net.Addr) http.Handler {
	tcp, ok := at.(*net.TCPAddr)
	if p.config.adminToken == "" && (!ok || !tcp.IP.IsLoopback()) {
		p.log.Warn("the admin API is not served: the admin address is not on loopback, and there is no --admin-token", "listen", at.String())
		return nil
	}
	return console.New(console.Options{
		Subscriptions: p.store, Deliveries: p.operations, Parked: events.NewParkedList(p.redis, p.config.layout),
		Token: p.config.adminToken, Log: p.log,
	})
}

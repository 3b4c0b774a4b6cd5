package main

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hookproxy/hookproxy/rules"
)

// What the rules file is, as /readyz has it.
const (
	rulesOK    = "ok"    // what runs is what it says
	rulesStale = "stale" // what runs is an older one
)

// reloader puts the rules file in force whenever it has changed. Where that
// cannot be, the rules that run stay, and everybody who asks is told.
type reloader struct {
	name     string
	forwards bool                    // rules without identity are a mistake
	apply    func(*rules.File) error // all of it, or nothing
	log      *slog.Logger

	running []byte // the source of the rules that run
	seen    []byte // what the last look found; nil where it could not be read
	failure string // why the file is not what runs; "": it is

	mistakes atomic.Pointer[[]string] // the same for /readyz; empty: none
	reloads  *prometheus.CounterVec
	loaded   prometheus.Gauge
	stale    prometheus.Gauge
}

func newReloader(name string, source []byte, registry prometheus.Registerer, log *slog.Logger) *reloader {
	r := &reloader{
		name: name, running: source, seen: source, log: log,
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookproxy_rules_reloads_total", Help: "Attempts to put a changed rules file in force, by result: ok or failed.",
		}, []string{"result"}),
		loaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "hookproxy_rules_loaded_timestamp_seconds", Help: "When the rules that run were loaded.",
		}),
		stale: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "hookproxy_rules_stale", Help: "1 where the rules file on disk is not what runs, else 0.",
		}),
	}
	registry.MustRegister(r.reloads, r.loaded, r.stale)
	for _, result := range []string{"ok", "failed"} {
		r.reloads.WithLabelValues(result)
	}
	r.mistakes.Store(new([]string))
	r.loaded.SetToCurrentTime()
	return r
}

// look reads the file, and loads it where it is another than at the last look,
// or where somebody asked for it by a signal: files that the rules name, such as
// keys, may have changed. Its error is that the file cannot be read; it is not
// told to anybody yet.
func (r *reloader) look(asked bool) error {
	source, err := readRulesFile(r.name)
	if err != nil {
		return err
	}
	changed := r.seen == nil || !bytes.Equal(source, r.seen)
	r.seen = source
	switch {
	case asked || changed && !bytes.Equal(source, r.running):
		r.load(source)
	case changed:
		r.log.Info("the rules file says again what runs", "file", r.name)
		r.settle("")
	}
	return nil
}

func (r *reloader) load(source []byte) {
	file, err := parseRules(r.name, source, r.forwards)
	if err == nil {
		err = r.apply(file)
	}
	if err != nil {
		r.refuse(err)
		return
	}
	r.running = source
	r.settle("")
	r.reloads.WithLabelValues("ok").Inc()
	r.loaded.SetToCurrentTime()
	r.log.Info("rules loaded", "file", r.name, "rules", len(file.Rules))
}

// missed is told of a file that could not be read for a while.
func (r *reloader) missed(err error) {
	r.seen = nil
	if r.failure != err.Error() { // once, not at every look
		r.refuse(err)
	}
}

// refuse says why the rules that run stay.
func (r *reloader) refuse(err error) {
	r.reloads.WithLabelValues("failed").Inc()
	r.settle(err.Error())
	var mistakes rules.Mistakes
	if !errors.As(err, &mistakes) {
		r.log.Error("rules not loaded: those that run stay in force", "file", r.name, "error", err)
		return
	}
	for _, mistake := range mistakes {
		r.log.Error("mistake in the rules file", "at", mistake.At(), "mistake", mistake.Message)
	}
	r.log.Error("rules not loaded: those that run stay in force", "file", r.name, "mistakes", len(mistakes))
}

// settle notes whether the file is what runs: it is where there is no failure.
func (r *reloader) settle(failure string) {
	r.failure = failure
	var mistakes []string
	if failure != "" {
		mistakes = strings.Split(failure, "\n")
	}
	r.mistakes.Store(&mistakes)
	r.stale.Set(float64(min(len(mistakes), 1)))
}

// How long the watch waits.
const (
	// quietFor is without a change before the file is read: an editor writes in
	// several steps. burst is the longest wait for that.
	quietFor = 50 * time.Millisecond
	burst    = 500 * time.Millisecond
	// awayFor is how long a file may be gone in the middle of being replaced.
	awayFor = time.Second
	// pollEvery is between two looks where nothing tells of changes: network file
	// systems do not, and a watch ends with the folder that it is on.
	pollEvery = 10 * time.Second
)

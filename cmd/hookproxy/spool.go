package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hookproxy/hookproxy/events"
)

// What the spool is, as /readyz has it.
const (
	spoolOK     = "ok"
	spoolNone   = "none"   // by --spool none
	spoolFull   = "full"   // it holds --spool-bytes already
	spoolFailed = "failed" // its disk did not let it open, or fails now
)

// diskFailures are errors of the disk and not of the settings. With them the
// API goes on; to refuse to start would make a full disk an outage of the API.
var diskFailures = []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EROFS}

// spoolOpener opens the spool as well as the disk allows.
type spoolOpener struct {
	open func(path string, o events.SpoolOptions) (*events.Spool, error) // events.OpenSpool
	now  func() time.Time
	log  *slog.Logger
}

// get answers the spool, or nil where its disk fails, or an error where the
// settings are wrong. A file that cannot be read is put aside, never deleted:
// it may hold events.
func (s spoolOpener) get(path string, o events.SpoolOptions) (*events.Spool, error) {
	spool, err := s.open(path, o)
	if errors.Is(err, events.ErrSpoolCorrupt) && !diskFails(err) {
		aside := path + ".corrupt-" + strconv.FormatInt(s.now().Unix(), 10)
		if renaming := os.Rename(path, aside); renaming != nil {
			s.goOn(path, errors.Join(err, renaming))
			return nil, nil
		}
		s.log.Error("the spool cannot be read; it is put aside, and a new one is begun. It may hold events that were never delivered",
			"path", path, "aside", aside, "error", err)
		spool, err = s.open(path, o)
	}
	switch {
	case err == nil:
		return spool, nil
	case diskFails(err):
		s.goOn(path, err)
		return nil, nil
	}
	return nil, fmt.Errorf("--spool: %w", err)
}

func (s spoolOpener) goOn(path string, err error) {
	s.log.Error("no spool: its disk fails. Until a restart, an event that Redis does not take at once is lost",
		"path", path, "error", err)
}

func diskFails(err error) bool {
	for _, failure := range diskFailures {
		if errors.Is(err, failure) {
			return true
		}
	}
	return false
}

// openSpool opens the spool that the settings name, if any.
func (p *program) openSpool() error {
	if p.config.spool == "" {
		return nil
	}
	p.health.spool = func() string { return spoolFailed }
	p.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hookproxy_spool_up", Help: "1 where the spool takes events, else 0; absent where there is to be none.",
	}, func() float64 {
		if p.health.spool() == spoolOK {
			return 1
		}
		return 0
	}))
	spool, err := spoolOpener{p.openSpoolFile, time.Now, p.log}.get(p.config.spool, events.SpoolOptions{
		Layout: p.config.layout, MaxBytes: p.config.spoolBytes, Log: p.log,
	})
	if err != nil || spool == nil {
		return err
	}
	p.health.spool = func() string { return stateOf(spool.Err()) }
	p.health.spooled = spool.Len
	p.closers.add(spool.Close)
	p.spool = spool
	return nil
}

// stateOf answers what a spool is whose last write ended so.
func stateOf(err error) string {
	switch {
	case err == nil:
		return spoolOK
	case errors.Is(err, events.ErrSpoolFull):
		return spoolFull
	}
	return spoolFailed
}

package proxy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// detachments lets matched writes outlive their clients: the upstream may have
// committed one that nobody waits for any more, and its event must not be lost.
type detachments struct {
	grace time.Duration
	most  int64
	used  atomic.Int64
	gauge prometheus.Gauge
}

// detachment is the bond between a client and its request at the upstream,
// which may be loosened while the outcome is open.
type detachment struct {
	group  *detachments
	cancel context.CancelFunc
	unhook func() bool

	mu    sync.Mutex
	timer *time.Timer // runs while the client is gone and the request goes on
	tied  bool        // the request shall end with its client
	ended bool
}

// follow answers a context with the client's values that ends when the client
// leaves, but for the grace.
func (g *detachments) follow(client context.Context) (context.Context, *detachment) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(client))
	d := &detachment{group: g, cancel: cancel}
	d.unhook = context.AfterFunc(client, d.clientLeft)
	return ctx, d
}

func (d *detachment) clientLeft() {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.ended:
	case d.tied || !d.group.take():
		d.cancel()
	default:
		d.timer = time.AfterFunc(d.group.grace, d.cancel)
	}
}

// attach ties the request to its client again: what there was to learn from
// the upstream is known, and what streams on is for the client alone.
func (d *detachment) attach() {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tied = true
	if d.timer != nil {
		d.cancel()
	}
}

// left reports whether the client left while the outcome was open.
func (d *detachment) left() bool {
	if d == nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.timer != nil
}

// end lets go of everything.
func (d *detachment) end() {
	if d == nil {
		return
	}
	d.unhook()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	d.cancel()
	if d.timer != nil {
		d.timer.Stop()
		d.group.release()
	}
}

func (g *detachments) take() bool {
	if g.used.Add(1) > g.most {
		g.used.Add(-1)
		return false
	}
	g.gauge.Inc()
	return true
}

func (g *detachments) release() {
	g.used.Add(-1)
	g.gauge.Dec()
}

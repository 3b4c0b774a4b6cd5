package proxy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hookproxy/hookproxy/internal/http1"
	"github.com/hookproxy/hookproxy/internal/presence"
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
// which may be loosened while the outcome is open. Its presence is the context
// of that request.
type detachment struct {
	presence.Context
	group  *detachments
	unhook func() bool

	bond  sync.Mutex
	timer *time.Timer // runs while the client is gone and the request goes on
	tied  bool        // the request shall end with its client
	ended bool
}

// follow answers a context with the client's values that ends when the client
// leaves, but for the grace; d is to be the bond.
func (g *detachments) follow(client context.Context, d *detachment) context.Context {
	d.group = g
	d.Context.Context = context.WithoutCancel(client)
	d.unhook = http1.AfterFunc(client, d.clientLeft)
	return &d.Context
}

func (d *detachment) clientLeft() {
	d.bond.Lock()
	defer d.bond.Unlock()
	switch {
	case d.ended:
	case d.tied || !d.group.take():
		d.Leave()
	default:
		d.timer = time.AfterFunc(d.group.grace, d.Leave)
	}
}

// attach ties the request to its client again: what there was to learn from
// the upstream is known, and what streams on is for the client alone.
func (d *detachment) attach() {
	if d == nil {
		return
	}
	d.bond.Lock()
	defer d.bond.Unlock()
	d.tied = true
	if d.timer != nil {
		d.Leave()
	}
}

// left reports whether the client left while the outcome was open.
func (d *detachment) left() bool {
	if d == nil {
		return false
	}
	d.bond.Lock()
	defer d.bond.Unlock()
	return d.timer != nil
}

// end lets go of everything.
func (d *detachment) end() {
	if d == nil {
		return
	}
	d.unhook()
	d.bond.Lock()
	defer d.bond.Unlock()
	d.ended = true
	d.Leave()
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

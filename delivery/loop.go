package delivery

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hookproxy/hookproxy/internal/pause"
)

// claimMost bounds how many deliveries one claim takes.
const claimMost = 128

// dispatchLeast is how many events one dispatch may take, however few workers are free.
const dispatchLeast = 16

// loop drives one lane:
//
//	wake ──► dispatch (events → deliveries) ──► claim ──► start ──► claim …
//	  ▲                                           │ nothing left
//	  └──── wait for the token, or the next due ◄─┘
type loop struct {
	queue   *queue
	waiter  *waiter
	slots   slots
	retries slots
	start   func(*delivery)
	// awaitFree waits until a worker is free, and answers whether it had to.
	awaitFree func(context.Context) bool
	idle      time.Duration
	log       *slog.Logger
	metrics   *Metrics

	// pending tells that there may be events to dispatch.
	pending bool
}

// run ends when ctx is done and waiter is closed. It never ends for an error.
func (l *loop) run(ctx context.Context) {
	var out outage
	l.pending = true
	for ctx.Err() == nil {
		err := l.round(ctx)
		if ctx.Err() != nil {
			return
		}
		out.note(ctx, l.log, err)
	}
}

// round does what there is to do, and then waits until there may be more.
func (l *loop) round(ctx context.Context) error {
	free := l.slots.take(ctx, claimMost)
	if free == 0 {
		return nil
	}
	got, wait, err := l.work(ctx, free)
	l.slots.put(free - got)
	if err != nil || wait <= 0 {
		return err
	}
	// Nobody waits here without a free worker: a process that is full must not
	// take the token from one that is not.
	if l.awaitFree(ctx) {
		return nil // and look again
	}
	token, err := l.waiter.wait(ctx, l.queue.lane, wait)
	l.pending = l.pending || token
	return err
}

// work dispatches and claims once. It answers how many deliveries it started,
// and for how long there is nothing else to do.
func (l *loop) work(ctx context.Context, free int) (int, time.Duration, error) {
	c, err := l.take(ctx, free)
	if err != nil {
		return len(c.deliveries), 0, err
	}
	l.metrics.lapsed.Add(float64(c.lapsed))
	l.pending = c.events > 0
	if err := l.tend(ctx, c); err != nil {
		return len(c.deliveries), 0, err
	}
	if c.events+c.deleted+c.runnable > 0 || c.expired || len(c.deliveries) == free {
		return len(c.deliveries), 0, nil
	}
	if c.due >= 0 && c.due < l.idle {
		return len(c.deliveries), c.due, nil
	}
	return len(c.deliveries), l.idle, nil
}

// take dispatches events, if there may be any, takes deliveries and starts them.
// Each that has failed before keeps one of the slots for retries.
func (l *loop) take(ctx context.Context, free int) (c claimed, err error) {
	retries := l.retries.more(free)
	if l.pending {
		var d dispatched
		var dispatchErr error
		// No more than twice what can be claimed: enough that the list never grows for
		// want of dispatching.
		d, dispatchErr, c, err = l.queue.dispatchAndClaim(ctx, max(dispatchLeast, 2*free), free, retries)
		if err = errors.Join(dispatchErr, err); dispatchErr == nil {
			l.countDispatched(d)
		}
	} else {
		c, err = l.queue.claim(ctx, free, retries)
	}
	for _, d := range c.deliveries {
		if d.tries > 0 {
			retries--
		}
		l.start(d)
	}
	l.retries.put(max(retries, 0))
	return c, err
}

func (l *loop) countDispatched(d dispatched) {
	l.metrics.countDispatched(d)
	if d.overflowed > 0 {
		l.log.Error("deliveries lost: too many wait for a subscription that takes none", "deliveries", d.overflowed)
	}
}

// tend does a part of what a claim saw to be due beside the deliveries: it lets go
// of what is of no more use, and goes on with redeliveries.
func (l *loop) tend(ctx context.Context, c claimed) error {
	if c.deleted > 0 {
		if _, err := l.queue.purge(ctx); err != nil {
			return err
		}
	}
	if c.redeliveries > 0 {
		moved, _, err := l.queue.redeliver(ctx)
		l.metrics.redelivered.Add(float64(moved))
		if err != nil {
			return err
		}
	}
	if !c.expired {
		return nil
	}
	gone, err := l.queue.expire(ctx)
	l.metrics.expired.Add(float64(gone))
	if gone > 0 {
		l.log.Warn("dead letters expired", "count", gone)
	}
	return err
}

// Pauses while Redis is away.
const (
	minBackOff = 100 * time.Millisecond
	maxBackOff = 5 * time.Second
)

// outage is one stretch of time in which Redis did not do what was asked.
type outage struct{ pause time.Duration }

// note waits after an error, longer each time, and logs the outage's beginning
// and end, once each.
func (o *outage) note(ctx context.Context, log *slog.Logger, err error) {
	switch {
	case err == nil && o.pause == 0:
	case err == nil:
		o.pause = 0
		log.Info("Redis can be used again; deliveries go on")
	case o.pause == 0:
		log.Warn("Redis cannot be used; deliveries wait", "error", err)
		fallthrough
	default:
		o.pause = min(max(2*o.pause, minBackOff), maxBackOff)
		pause.For(ctx, o.pause)
	}
}

package delivery

import (
	"context"
	"sync"
	"time"
)

// Run delivers until ctx is done, and then answers nil. It answers an error at
// once where it cannot begin; Redis being away is none. Call it once.
//
// It ends in this order, so that nothing is taken on that cannot be brought to
// an end:
//
//  1. lanes stop claiming, and what was claimed ahead is handed back;
//  2. exchanges under way go on, for DrainTimeout at most;
//  3. what then still is under way is broken off and handed back, no attempt charged;
//  4. the ends of attempts reach Redis, or are left to the lapse of their leases;
//  5. leases are renewed no more, connections closed.
func (e *Engine) Run(ctx context.Context) error {
	w, err := newWaiter(e.options.Client, len(e.lanes), e.idle)
	if err != nil {
		return err
	}
	// Both outlive ctx: exchanges by DrainTimeout, their ends by a little more.
	sending, stopSending := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSending()
	finishing, stopFinishing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopFinishing()

	crew := newCrew(e.options.Workers, func(j job) { e.deliver(sending, j.lane, j.delivery) }, e.handBack, func() { e.slots.put(1) })
	var loops, finishers, renewers sync.WaitGroup
	for _, l := range e.lanes {
		loops.Go(func() { e.loop(l, w, crew).run(ctx) })      // ends with ctx, w closed
		finishers.Go(func() { e.finisher(l).run(finishing) }) // ends with l.finished closed
		renewers.Go(func() { e.renewer(l).run(finishing) })   // ends with finishing
	}

	<-ctx.Done()
	_ = w.close() // ends the loops' wait; there is nothing in it to lose
	loops.Wait()
	defer time.AfterFunc(e.options.DrainTimeout, stopSending).Stop()
	defer time.AfterFunc(e.options.DrainTimeout+finishGrace, stopFinishing).Stop()
	crew.stop()
	// With no exchange left there is nothing else to wait for than Redis.
	defer time.AfterFunc(finishGrace, stopFinishing).Stop()
	for _, l := range e.lanes {
		close(l.finished)
	}
	finishers.Wait()
	stopFinishing()
	renewers.Wait()
	e.sender.close()
	e.handOn(ctx)
	return nil
}

func (e *Engine) loop(l *lane, w *waiter, c *crew) *loop {
	return &loop{
		queue: l.queue, waiter: w, slots: e.slots, retries: e.retries, idle: e.idle,
		log: e.options.Log, metrics: e.options.Metrics, awaitFree: c.awaitFree,
		start: func(d *delivery) {
			l.inflight.add(d.lease)
			c.start(job{l, d, time.Now()})
		},
	}
}

// handBack has a delivery go back to where it was claimed from, no attempt made.
func (e *Engine) handBack(j job) {
	if j.delivery.tries > 0 {
		e.retries.put(1)
	}
	j.lane.finished <- finished{attempt: attempt{outcome: Released}, delivery: j.delivery, step: stepReleased}
}

func (e *Engine) finisher(l *lane) *finisher {
	return &finisher{
		queue: l.queue, inflight: l.inflight, in: l.finished, patience: l.queue.leaseFor,
		log: e.options.Log, metrics: e.options.Metrics,
	}
}

func (e *Engine) renewer(l *lane) *renewer {
	return &renewer{queue: l.queue, inflight: l.inflight, every: renewEvery, log: e.options.Log}
}

// handOn leaves a token in each lane. One may have been on its way here when
// the waiter was closed, and what it stood for is for another process now. An
// error is of no consequence: others look for themselves every few seconds. It
// ends the attempt, lest a Redis that is away hold up shutdown once a lane.
func (e *Engine) handOn(ctx context.Context) {
	for _, l := range e.lanes {
		if l.queue.wake(ctx) != nil {
			return
		}
	}
}

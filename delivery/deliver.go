package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
)

// goneRetry is when to ask again a target that answered 410 while its
// subscription could not be removed.
const goneRetry = 5 * time.Second

// deliver makes one attempt, hands its end to the finisher, and frees its slot.
func (e *Engine) deliver(ctx context.Context, l *lane, d *delivery) {
	defer e.slots.put(1)
	if d.tries > 0 {
		defer e.retries.put(1)
	}
	m := e.options.Metrics
	m.inflight.Inc()
	a := e.attempt(ctx, d)
	m.inflight.Dec()
	m.duration.Observe(a.took.Seconds())
	if a.outcome != Delivered {
		m.failures.WithLabelValues(a.class).Inc()
	}
	if level := levelOf(a); e.options.Log.Enabled(ctx, level) {
		e.options.Log.Log(ctx, level, "delivery attempt", "subscription", d.subscription, "event", d.event.ID, "events", d.events(), "attempt", d.tries+1,
			"outcome", a.outcome.String(), "status", a.status, "class", a.class, "duration", a.took, "error", a.err)
	}
	l.finished <- e.decide(ctx, d, a)
}

// levelOf tells of what went wrong in a log that is read by default: whoever
// waits for a hook that does not come looks there first.
func levelOf(a attempt) slog.Level {
	switch {
	case a.class == classSealed || a.class == classNoKey:
		return slog.LevelError
	case ownFault(a.class):
		return slog.LevelWarn
	case a.outcome == Delivered || a.outcome == Released:
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

func (e *Engine) attempt(ctx context.Context, d *delivery) attempt {
	if d.unreadable != nil {
		return attempt{outcome: Rejected, class: classUnreadable, err: d.unreadable}
	}
	if err := e.unseal(d); err != nil {
		return attempt{outcome: Released, class: classSealed, after: ownFaultPause, err: err}
	}
	if d.asymmetric() {
		if d.keys = e.options.SigningKeys.Of(d.subscription); d.keys == nil {
			return attempt{outcome: Released, class: classNoKey, after: ownFaultPause, err: errNoKey}
		}
	}
	return e.sender.send(ctx, d)
}

// unseal makes the secrets ready to sign with, and the headers ready to send. Where the key is not there that
// they were sealed with, the fault is the operator's: nothing goes out unsigned,
// and no attempt is charged.
func (e *Engine) unseal(d *delivery) (err error) {
	if d.secret, err = e.options.Secrets.Open(d.subscription, d.secret); err != nil {
		return fmt.Errorf("secret: %w", err)
	}
	if d.previousSecret, err = e.options.Secrets.Open(d.subscription, d.previousSecret); err != nil {
		return fmt.Errorf("previous secret: %w", err)
	}
	if d.headers, err = e.options.Secrets.OpenHeaders(d.subscription, d.keptHeaders); err != nil {
		return fmt.Errorf("headers: %w", err)
	}
	return nil
}

// decide turns an attempt's outcome into what becomes of the delivery.
func (e *Engine) decide(ctx context.Context, d *delivery, a attempt) finished {
	f := finished{attempt: a, delivery: d}
	switch a.outcome {
	case Delivered:
		f.step = stepDelivered
	case Released:
		f.step = stepReleased
	case Rejected:
		f.step = stepDead
	case Gone:
		f.step = stepDead // with the subscription gone, finish lets the delivery go
		if err := e.remove(ctx, d.subscription); err != nil {
			e.options.Log.Warn("subscription not removed though its target is gone", "subscription", d.subscription, "error", err)
			f.step, f.after = stepRetry, goneRetry
			break
		}
		e.options.Log.Info("subscription removed: its target answered 410", "subscription", d.subscription)
	case Failed:
		f.step, f.after = e.next(d, a)
	}
	return f
}

// next answers when to try again, or that the delivery is given up.
func (e *Engine) next(d *delivery, a attempt) (step, time.Duration) {
	delay, again := e.options.Schedule.After(d.tries+1, rand.Float64())
	if !again {
		return stepDead, 0
	}
	// The later of the two. A target that always answers "Retry-After: 1" would
	// otherwise use up in seconds the attempts that are meant for a day.
	return stepRetry, max(delay, a.after)
}

func (e *Engine) remove(ctx context.Context, subscription string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	return e.options.Subscriptions.Remove(ctx, subscription)
}

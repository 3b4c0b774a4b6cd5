package events

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/hookproxy/hookproxy/internal/pause"
)

const (
	// A replay carries more than one batch of the group, or else a spool that
	// is filled all the while would never become empty. On a slow link that is too
	// much; each failure halves it.
	maxReplay      = 4 * maxBatch
	maxReplayBytes = 2 * maxBatchBytes
	// handOverBytes is less, because there somebody waits.
	handOverBytes = 1 << 20
	// replayPatience is how many times the deadline a replay has.
	replayPatience = 20
	// probePatience is how many times the deadline a probe has: enough for a new
	// connection over a slow link, little enough to be waited for at the end, as
	// go-redis notices that a context is cancelled only between reads.
	probePatience = 4
	// maxStrikes is how often in a row Redis must refuse an element, alone and
	// otherwise well, until the element is set aside.
	maxStrikes = 3

	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
	// maxPauseWithoutSpool is shorter: until Redis is tried again events are lost.
	maxPauseWithoutSpool = 500 * time.Millisecond
)

// replay brings the lane's spooled elements to Redis whenever there are any,
// and ends outages, until ctx is done.
func (l *lane) replay(ctx context.Context) {
	defer l.sent.forget()
	l.wakeReplay() // for what an earlier process has left
	for {
		select {
		case <-l.behind:
			l.catchUp(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// catchUp goes on until nothing is spooled and Redis is well, or ctx is done.
func (l *lane) catchUp(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil && (l.outage.Load() != nil || l.queue.len() > 0) {
		err := l.round(ctx)
		if err == nil {
			failures = 0
			continue
		}
		if failures == 0 && ctx.Err() == nil {
			l.log.Warn("replay of the spool waits", "spooled", l.queue.len(), "error", err)
		}
		l.rest(ctx, failures, err)
		failures++
	}
}

// rest waits before the next round, after a failure and so many before it. Where
// only replicas are missing, Redis takes what is spooled meanwhile.
func (l *lane) rest(ctx context.Context, failures int, why error) {
	switch {
	case errors.Is(why, ErrTooFewReplicas):
		ctx, cancel := context.WithTimeout(ctx, backOff(failures, maxPauseForReplicas, rand.Float64()))
		defer cancel()
		select {
		case <-l.behind:
		case <-ctx.Done():
		}
	case l.queue == nil:
		pause.For(ctx, backOff(failures, maxPauseWithoutSpool, rand.Float64()))
	default:
		pause.For(ctx, backOff(failures, maxPause, rand.Float64()))
	}
}

// backOff answers how long to wait after so many failures before: 100 ms, doubling
// up to limit, of which a random part up to half is taken off. random is in [0,1).
func backOff(failures int, limit time.Duration, random float64) time.Duration {
	full := min(firstPause<<min(failures, 10), limit)
	return full - time.Duration(random*float64(full)/2)
}

// round replays one batch, and hands over to the group when little is left.
func (l *lane) round(ctx context.Context) error {
	if outage := l.outage.Load(); outage != nil && !errors.Is(*outage, ErrTooFewReplicas) {
		if err := l.probe(ctx); err != nil {
			return err
		}
		if l.queue.len() == 0 {
			l.endOutage()
			return nil
		}
	}
	batch, err := l.replayBatch(maxReplayBytes, replayPatience*l.deadline)
	if batch != nil {
		return l.notTaken(ctx, batch, err)
	}
	if errors.Is(err, ErrTooFewReplicas) {
		l.trip(err)
		return err
	}
	if err != nil {
		// It is the spool that fails, and Redis is well. What is published now
		// finds no room in the spool and goes to Redis all the same.
		l.endOutage()
		return err
	}
	if n := l.queue.len(); n == 0 || n > maxBatch {
		return nil
	}
	return l.handOver()
}

// probe asks whether Redis would take elements of this lane.
func (l *lane) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probePatience*l.deadline)
	defer cancel()
	_, err := push(ctx, l.client, l.at, nil)
	return err
}

// handOver replays the rest while nothing is published, or else there would
// always be one more element in the spool for as long as the API is busy. What
// is published meanwhile waits, for no longer than for a batch before it: Redis
// has just answered, and has no more than the deadline.
func (l *lane) handOver() error {
	l.turn.Lock()
	defer l.turn.Unlock()
	batch, err := l.replayBatch(handOverBytes, l.deadline)
	if batch != nil && !refusal(err) {
		l.trip(err)
	}
	return err
}

// replayBatch brings the oldest elements to Redis and lets the spool forget
// them. It answers the batch only where Redis did not take it, and why; an error
// without a batch is the spool's. It does not stop midway with a context: what is
// in flight is not to be repeated needlessly.
func (l *lane) replayBatch(size int, deadline time.Duration) ([]spooled, error) {
	if l.replicas > 0 {
		return l.replayReplicated(size, deadline)
	}
	if err := l.forget(); err != nil {
		return nil, err
	}
	batch, err := l.readable(nil, size)
	if err != nil || len(batch) == 0 {
		return nil, err
	}
	elements := make([]element, len(batch))
	for i, e := range batch {
		elements[i] = e.element
	}
	if err := l.pushWithin(deadline, elements); err != nil {
		return batch, err
	}
	l.endOutage()
	l.metrics.replayed.Add(float64(len(batch)))
	l.strikes, l.limit = 0, min(2*l.limit, maxReplay)
	l.acked = batch
	return nil, l.forget()
}

// forget drops from the spool what Redis has. Where the disk fails it is tried
// again, before anything else, so that the same elements are not sent for ever.
func (l *lane) forget() error {
	if len(l.acked) == 0 {
		return nil
	}
	if err := l.queue.drop(l.acked); err != nil {
		return err
	}
	l.acked = nil
	return nil
}

// readable answers the oldest elements behind the one with the key after; those
// that cannot be read are set aside.
func (l *lane) readable(after []byte, size int) ([]spooled, error) {
	batch, err := l.queue.read(after, l.limit, size)
	if err != nil {
		return nil, err
	}
	readable := batch[:0]
	for _, e := range batch {
		if e.err == nil {
			readable = append(readable, e)
		} else if err := l.setAside(e, e.err); err != nil {
			return nil, err
		}
	}
	return readable, nil
}

// notTaken decides what an error of a replayed batch means. Mostly that Redis
// is away or cannot write: then it waits. But one element that Redis refuses for
// ever must not keep all others: if Redis is well otherwise, the batch is halved
// until that element stands alone, and after some tries it is set aside.
func (l *lane) notTaken(ctx context.Context, batch []spooled, err error) error {
	l.limit = max(len(batch)/2, 1)
	if len(batch) == 0 || !refusal(err) || l.probe(ctx) != nil {
		l.trip(err)
		return err
	}
	if len(batch) > 1 {
		return nil
	}
	if l.strikes++; l.strikes < maxStrikes {
		return err
	}
	l.strikes = 0
	return l.setAside(batch[0], err)
}

// setAside moves an element out of the others' way.
func (l *lane) setAside(e spooled, why error) error {
	if err := l.queue.setAside(e); err != nil {
		return err
	}
	l.metrics.refused.Inc()
	attrs := []any{slog.Any("error", why), slog.Int("bytes", len(e.bytes))}
	if event, err := Decode(e.bytes); err == nil {
		attrs = append(attrs, slog.String("event", event.Name), slog.String("id", event.ID))
	}
	l.log.Error("event set aside in the spool: it cannot be replayed", attrs...)
	return nil
}

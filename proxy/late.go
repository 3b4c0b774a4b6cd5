package proxy

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/identity"
	"github.com/hookproxy/hookproxy/internal/pause"
)

const (
	// maxLateBytes bounds the payloads of the events whose callers are still
	// being found out. They have a budget of their own, so that an identity that
	// is slow takes none from the bodies being captured.
	maxLateBytes = 16 << 20
	// The pause before asking again, which doubles.
	firstLatePause = time.Second
	maxLatePause   = 5 * time.Second
)

// The ends that a late question can come to.
const (
	lateReleased  = "released"   // the event has its user, and goes on
	lateRefused   = "refused"    // nobody vouches for the caller
	lateGivenUp   = "given_up"   // no answer in time, or hookproxy ended
	lateFull      = "full"       // too many were waiting already
	lateNotParked = "not_parked" // the event is in the spool, or was assigned
)

// Releaser lets parked events go to a user.
type Releaser interface {
	// Release answers events.ErrNotParked where the event is not to be found.
	Release(ctx context.Context, parked events.Event, user string) error
}

// late is what goes on after the responses whose callers were not known in
// time. The credentials it takes stay in memory, and no longer than patience.
type late struct {
	releaser Releaser // nil: what is parked stays parked
	patience time.Duration
	most     int64
	waiting  atomic.Int64
	bytes    atomic.Int64
	// quit ends all of it. It is a field because it belongs to the proxy, not
	// to any request: those have ended.
	quit   context.Context
	cancel context.CancelFunc
}

func newLate(o Options) *late {
	l := &late{releaser: o.Releaser, patience: o.LatePatience, most: int64(o.MaxLate)}
	l.quit, l.cancel = context.WithCancel(context.Background())
	return l
}

// askLater goes on asking whose the events are that were parked because nobody
// could tell in time, and releases them. The response does not wait for it.
// What is not found out stays parked, and so does what waits in the spool.
func (p *Proxy) askLater(q *question, batch []events.Event) {
	if p.late.releaser == nil || q == nil {
		return
	}
	var parked []events.Event
	size := int64(0)
	for _, e := range batch {
		if e.Parked == parkedIdentityUnavailable {
			parked = append(parked, e)
			size += int64(len(e.Payload))
		}
	}
	if len(parked) == 0 {
		return
	}
	if !p.late.enter(size) {
		p.metrics.late.WithLabelValues(lateFull).Add(float64(len(parked)))
		return
	}
	for i := range parked {
		parked[i].Payload = bytes.Clone(parked[i].Payload) // the response's memory goes with it
	}
	p.metrics.lateWaiting.Inc()
	p.asking.Go(func() { // ends with the patience or with Wait, which waits for it
		defer p.metrics.lateWaiting.Dec()
		defer p.late.leave(size)
		defer p.survive("identity", func() {})
		p.answerLate(q, parked)
	})
}

func (l *late) enter(size int64) bool {
	waiting, bytes := l.waiting.Add(1), l.bytes.Add(size)
	if waiting > l.most || bytes > maxLateBytes {
		l.leave(size)
		return false
	}
	return true
}

func (l *late) leave(size int64) {
	l.waiting.Add(-1)
	l.bytes.Add(-size)
}

// answerLate asks until there is an answer, and then releases until there is
// nothing left to release.
func (p *Proxy) answerLate(q *question, parked []events.Event) {
	ctx, cancel := context.WithTimeout(p.late.quit, p.late.patience)
	defer cancel()
	user, wait := "", firstLatePause
	if q.pending { // what has failed at once would fail again at once
		wait = 0
	}
	for pause.For(ctx, wait) {
		wait = min(max(2*wait, firstLatePause), maxLatePause)
		if user == "" {
			caller, err := q.answerer.Answer(ctx)
			if errors.Is(err, identity.ErrUnavailable) {
				continue
			}
			if err != nil {
				p.metrics.late.WithLabelValues(lateRefused).Add(float64(len(parked)))
				return
			}
			user = caller.User
		}
		if parked = p.release(ctx, parked, user); len(parked) == 0 {
			return
		}
	}
	p.metrics.late.WithLabelValues(lateGivenUp).Add(float64(len(parked)))
}

// release answers the events that are still to be released.
func (p *Proxy) release(ctx context.Context, parked []events.Event, user string) (left []events.Event) {
	for _, e := range parked {
		err := p.late.releaser.Release(ctx, e, user)
		switch {
		case err == nil:
			p.metrics.late.WithLabelValues(lateReleased).Inc()
			p.log.LogAttrs(ctx, slog.LevelInfo, "parked event released", slog.String("event", e.Name), slog.String("id", e.ID))
		case errors.Is(err, events.ErrNotParked):
			p.metrics.late.WithLabelValues(lateNotParked).Inc()
		default: // Redis is in trouble
			p.log.LogAttrs(ctx, slog.LevelWarn, "parked event cannot be released yet", slog.String("id", e.ID), slog.Any("error", err))
			left = append(left, e)
		}
	}
	return left
}

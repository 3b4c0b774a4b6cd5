package events

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/hookproxy/hookproxy/internal/pause"
)

// drainStrikes is how many failures in a row end a Drain: about ten seconds.
const drainStrikes = 8

// Drain brings what is in the spool to Redis, in order, and answers how many
// events Redis took. It is for a Publisher that does nothing else: by hand,
// with a Spool, no Run and no Publish. It gives up after some failures in a row, and
// answers the last one; the rest is still in the spool then.
func (p *Publisher) Drain(ctx context.Context) (replayed int, err error) {
	for _, l := range p.lanes {
		before, aside := l.queue.len(), p.spool.Refused()
		err = l.drain(ctx)
		replayed += before - l.queue.len() - (p.spool.Refused() - aside)
		if err != nil {
			return replayed, fmt.Errorf("lane %d: %w", l.at.Number, err)
		}
	}
	return replayed, nil
}

func (l *lane) drain(ctx context.Context) error {
	defer l.sent.forget()
	for failures := 0; l.queue.len() > 0; {
		err := l.round(ctx)
		if err == nil {
			failures = 0
			continue
		}
		if failures++; failures == drainStrikes || ctx.Err() != nil {
			return err
		}
		pause.For(ctx, backOff(failures-1, maxPause, rand.Float64()))
	}
	return nil
}

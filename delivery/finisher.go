package delivery

import (
	"context"
	"log/slog"
	"time"

	"github.com/hookproxy/hookproxy/internal/pause"
)

// step is what becomes of a delivery after an attempt, in finish.lua's words.
type step string

const (
	stepDelivered step = "delivered"
	stepRetry     step = "retry"
	stepDead      step = "dead"
	stepReleased  step = "released"
)

// Answers of finish.lua.
const (
	finishedInactive = "inactive"
	finishedOpened   = "opened"
	finishedGone     = "gone"
	finishedLost     = "lost"
)

// finished is an attempt on its way back to Redis.
type finished struct {
	attempt
	delivery *delivery
	step     step
}

// finishBatch bounds how many attempts one script call ends, and finishEvents of how
// many events, but for the last attempt's.
const (
	finishBatch  = 64
	finishEvents = 1000
)

// finisher brings the ends of a lane's attempts to Redis: all that came while
// the last call was under way, in one call.
//
// While Redis is away it keeps trying. What it could not say within patience is
// left to the lapse of the lease: the event will be delivered once more, which
// is what at least once means.
type finisher struct {
	queue    *queue
	inflight *inflight
	in       chan finished
	patience time.Duration
	log      *slog.Logger
	metrics  *Metrics
}

// run ends when in is closed and everything in it is dealt with. Once ctx is
// done nothing is tried a second time.
func (f *finisher) run(ctx context.Context) {
	for first := range f.in {
		batch := append(make([]finished, 0, finishBatch), first)
		events := first.delivery.events()
		for more := true; more && len(batch) < finishBatch && events < finishEvents; {
			select {
			case next, ok := <-f.in:
				if more = ok; ok {
					batch = append(batch, next)
					events += next.delivery.events()
				}
			default:
				more = false
			}
		}
		f.flush(ctx, batch)
		for _, b := range batch {
			f.inflight.remove(b.delivery.lease)
		}
	}
}

func (f *finisher) flush(ctx context.Context, batch []finished) {
	giveUp := time.Now().Add(f.patience)
	for wait := minBackOff; ; wait = min(2*wait, maxBackOff) {
		results, err := f.queue.finish(ctx, batch)
		if err == nil {
			f.account(batch, results)
			return
		}
		if time.Now().After(giveUp) || !pause.For(ctx, wait) {
			f.log.Warn("attempts could not be recorded; their deliveries will be repeated", "attempts", len(batch), "error", err)
			f.metrics.deliveries.WithLabelValues(finishedLost).Add(float64(len(batch)))
			return
		}
	}
}

func (f *finisher) account(batch []finished, results []string) {
	counts := make(map[string]int, 4)
	for i, b := range batch {
		label := string(b.step)
		if i < len(results) {
			switch results[i] {
			case finishedLost, finishedGone:
				label = results[i]
			case finishedOpened:
				f.metrics.opened.Inc()
				f.log.Info("subscription paused: it keeps failing", "subscription", b.delivery.subscription)
			case finishedInactive:
				f.metrics.deactivated.Inc()
				f.log.Warn("subscription made inactive: it has failed for a day", "subscription", b.delivery.subscription)
			}
		}
		counts[label]++
	}
	for label, n := range counts {
		f.metrics.deliveries.WithLabelValues(label).Add(float64(n))
	}
}

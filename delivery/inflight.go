package delivery

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// renewChunk bounds how many leases one script call renews.
const renewChunk = 500

// inflight knows the leases that this process holds in a lane, from claim until
// finish is through.
type inflight struct {
	mu     sync.Mutex
	leases map[string]struct{}
}

func newInflight() *inflight { return &inflight{leases: map[string]struct{}{}} }

func (i *inflight) add(lease string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.leases[lease] = struct{}{}
}

func (i *inflight) remove(lease string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.leases, lease)
}

func (i *inflight) all() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := make([]string, 0, len(i.leases))
	for lease := range i.leases {
		all = append(all, lease)
	}
	return all
}

// renewer keeps a lane's leases from lapsing while they are worked on.
//
// A POST whose lease is lost is not cancelled. The request is on its way, and
// breaking it off would not take it back; its end will not count, and the
// receiver knows the repetition by its webhook-id.
type renewer struct {
	queue    *queue
	inflight *inflight
	every    time.Duration
	log      *slog.Logger
}

// run ends when ctx is done.
func (r *renewer) run(ctx context.Context) {
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.renew(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// renew renews everything in flight. An error is left to the next tick: a lease
// outlives two that fail.
func (r *renewer) renew(ctx context.Context) {
	for chunk := range slices.Chunk(r.inflight.all(), renewChunk) {
		lost, err := r.queue.renew(ctx, chunk)
		if err != nil {
			r.log.Debug("leases not renewed", "error", err)
			return
		}
		for _, lease := range lost {
			r.inflight.remove(lease)
		}
	}
}

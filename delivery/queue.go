package delivery

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/internal/layout"
)

var (
	//go:embed dispatch.lua
	dispatchLua string
	//go:embed batch.lua
	batchLua string
	//go:embed claim.lua
	claimLua string
	//go:embed finish.lua
	finishLua string
	//go:embed renew.lua
	renewLua string
	//go:embed purge.lua
	purgeLua string
	//go:embed expire.lua
	expireLua string
	//go:embed redeliver.lua
	redeliverLua string
	//go:embed backlog.lua
	backlogLua string

	dispatchScript  = layout.NewScript(dispatchLua)
	claimScript     = layout.NewScript(batchLua + claimLua)
	finishScript    = layout.NewScript(finishLua)
	renewScript     = layout.NewScript(renewLua)
	purgeScript     = layout.NewScript(purgeLua)
	expireScript    = layout.NewScript(expireLua)
	redeliverScript = layout.NewScript(redeliverLua)
	backlogScript   = layout.NewScript(backlogLua)
	wakeScript      = layout.NewScript("wake()\n")
)

// How much one script call may do, so that Redis answers others in between.
const (
	dispatchEvents     = 100
	dispatchDeliveries = 500
	dispatchBytes      = 8 << 20
	claimBytes         = 4 << 20
	purgeChunk         = 500
	redeliverLook      = 500
)

const (
	// attemptsKept is how many attempts a subscription's stream remembers, about.
	attemptsKept = 100
	// A subscription is made inactive once it has failed for failingFor without
	// one success, and at least failingTimes: a target that is asked once a day
	// has not failed for a day by failing twice.
	failingFor   = 24 * time.Hour
	failingTimes = 10
	// A redelivery has redeliverWindow deliveries waiting at most. While they move
	// it goes on every redeliverStep, else less and less often.
	redeliverWindow  = 256
	redeliverStep    = 250 * time.Millisecond
	redeliverLongest = 30 * time.Second
	// redeliveryKept is for how long a redelivery that has ended can be looked at.
	redeliveryKept = 7 * 24 * time.Hour
	// storeTimeout bounds a call to Redis, retries of the client's own included.
	storeTimeout = 5 * time.Second
)

// queue is one lane's deliveries in Redis. Each method is one script.
type queue struct {
	client     redis.UniversalClient
	lane       layout.Lane
	offset     func() int64
	leaseFor   time.Duration
	cap        int
	breakAfter int // 0: there are no breakers
	backlog    *backlog
	maxQueued  int
	retain     time.Duration
}

// backlog is how many deliveries an inactive subscription keeps, and how many
// bytes of them.
type backlog struct{ most, bytes atomic.Int64 }

func (b *backlog) keep(most int, bytes int64) {
	b.most.Store(int64(most))
	b.bytes.Store(bytes)
}

type dispatched struct{ events, deliveries, duplicates, parked, dropped, left, overflowed, replaced int64 }

// dispatch makes deliveries of the events at the right of the list, of so many at most.
func (q *queue) dispatch(ctx context.Context, most int) (dispatched, error) {
	return readDispatched(q.run(ctx, dispatchScript, q.dispatchArgs(most)...))
}

func (q *queue) dispatchArgs(most int) []any {
	return []any{min(most, dispatchEvents), dispatchDeliveries, dispatchBytes, q.backlog.most.Load(), q.maxQueued, q.backlog.bytes.Load()}
}

func readDispatched(answer *redis.Cmd) (dispatched, error) {
	n, err := answer.Int64Slice()
	if err != nil {
		return dispatched{}, fmt.Errorf("dispatch: %w", err)
	}
	return dispatched{n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7]}, nil
}

// claimed is what one claim took, and what it saw that is left to do.
type claimed struct {
	deliveries []*delivery
	// due is how long until the next retry or lapse; negative where none is known.
	due                       time.Duration
	lapsed, letGo             int64
	events, deleted, runnable int64
	// expired tells that there are dead letters to let go.
	expired bool
	// redeliveries are due for a step.
	redeliveries int64
}

// claim takes up to want deliveries, each under a new lease; of those that have
// failed before, up to retries.
func (q *queue) claim(ctx context.Context, want, retries int) (claimed, error) {
	return readClaimed(q.run(ctx, claimScript, q.claimArgs(want, retries)...))
}

func (q *queue) claimArgs(want, retries int) []any {
	return []any{want, q.cap, q.leaseFor.Milliseconds(), claimBytes, rand.Text(), retries, q.retain.Milliseconds()}
}

// dispatchAndClaim does both, one behind the other, in one round trip. An error of
// either says nothing of the other's answer.
func (q *queue) dispatchAndClaim(ctx context.Context, most, want, retries int) (d dispatched, dispatchErr error, c claimed, claimErr error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	answers := [2]*redis.Cmd{}
	pipe := q.client.Pipeline()
	answers[0] = dispatchScript.Queue(ctx, pipe, false, q.lane, q.args(q.dispatchArgs(most))...)
	answers[1] = claimScript.Queue(ctx, pipe, false, q.lane, q.args(q.claimArgs(want, retries))...)
	_, _ = pipe.Exec(ctx) // each answer has its own error
	d, dispatchErr = readDispatched(answers[0])
	c, claimErr = readClaimed(answers[1])
	// Neither has run where Redis has forgotten it; a claim that has, holds leases.
	if redis.HasErrorPrefix(dispatchErr, noScript) {
		d, dispatchErr = q.dispatch(ctx, most)
	}
	if redis.HasErrorPrefix(claimErr, noScript) {
		c, claimErr = q.claim(ctx, want, retries)
	}
	return d, dispatchErr, c, claimErr
}

// noScript begins what Redis answers to the hash of a script that it has forgotten.
const noScript = "NOSCRIPT"

// finish ends attempts, and answers for each one of the finished… constants.
func (q *queue) finish(ctx context.Context, batch []finished) ([]string, error) {
	args := make([]any, 0, 6+8*len(batch))
	args = append(args, attemptsKept, failingFor.Milliseconds(), failingTimes, idleWait.Milliseconds(), q.cap, q.breakAfter)
	for _, f := range batch {
		args = append(args, f.delivery.lease, string(f.step), f.after.Milliseconds(), f.status, f.class, f.pause.Milliseconds(),
			f.delivery.size, f.remembered())
	}
	results, err := q.run(ctx, finishScript, args...).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("finish: %w", err)
	}
	return results, nil
}

// renew extends leases and answers those that are lost.
func (q *queue) renew(ctx context.Context, leases []string) ([]string, error) {
	args := make([]any, 0, 1+len(leases))
	args = append(args, q.leaseFor.Milliseconds())
	for _, lease := range leases {
		args = append(args, lease)
	}
	held, err := q.run(ctx, renewScript, args...).Int64Slice()
	if err != nil {
		return nil, fmt.Errorf("renew: %w", err)
	}
	var lost []string
	for i, h := range held {
		if h == 0 {
			lost = append(lost, leases[i])
		}
	}
	return lost, nil
}

// purge lets go of a part of what deleted subscriptions left, and answers how
// many subscriptions still have some.
func (q *queue) purge(ctx context.Context) (int64, error) {
	n, err := q.run(ctx, purgeScript, purgeChunk).Int64Slice()
	if err != nil {
		return 0, fmt.Errorf("purge: %w", err)
	}
	return n[1], nil
}

// expire lets go of a part of the dead letters kept long enough, and answers how many.
func (q *queue) expire(ctx context.Context) (int64, error) {
	gone, err := q.run(ctx, expireScript, purgeChunk, q.retain.Milliseconds()).Int64()
	if err != nil {
		return 0, fmt.Errorf("expire: %w", err)
	}
	return gone, nil
}

// redeliver does one step of the redelivery that is due first. It answers how many
// deliveries it put back, and how many redeliveries are still due.
func (q *queue) redeliver(ctx context.Context) (moved, due int64, err error) {
	n, err := q.run(ctx, redeliverScript, redeliverWindow, redeliverLook, redeliverStep.Milliseconds(),
		redeliverLongest.Milliseconds(), redeliveryKept.Milliseconds()).Int64Slice()
	if err != nil {
		return 0, 0, fmt.Errorf("redeliver: %w", err)
	}
	return n[0], n[1], nil
}

// wake leaves a token for whoever waits.
func (q *queue) wake(ctx context.Context) error {
	if err := q.run(ctx, wakeScript).Err(); err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("wake: %w", err)
	}
	return nil
}

// run runs a script to its end even if ctx is done by then: what a claim took
// must be known, and a finish must count.
func (q *queue) run(ctx context.Context, script layout.Script, args ...any) *redis.Cmd {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	return script.Run(ctx, q.client, q.lane, q.args(args)...)
}

// args puts the offset of the clock before what else a script takes.
func (q *queue) args(args []any) []any { return append([]any{q.offset()}, args...) }

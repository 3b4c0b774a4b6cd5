package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/pause"
)

const (
	// startPatience is how long the start waits for Redis. The API behind
	// hookproxy is what a start is for, and it does not need Redis.
	startPatience = 500 * time.Millisecond
	// pingPatience bounds a ping, and what a scrape waits for Redis.
	pingPatience = 500 * time.Millisecond
	// watchInterval is at least between two looks at Redis. One that is well is
	// looked at after calmInterval, or once somebody has sent a command in vain.
	watchInterval = time.Second
	calmInterval  = 10 * time.Second
	// watchConnections: a look at a time, and one that is being given up.
	watchConnections = 2
)

// What Redis is, as /readyz has it.
const (
	redisOK      = "ok"
	redisAway    = "away"
	redisRefuses = "refused" // it answers, but not to these credentials
)

// errUnchecked is what commands get until the store's layout is known.
var errUnchecked = errors.New("layout not checked yet: Redis has not answered since the start")

// redisWatch knows how Redis is, so that nobody who asks has to wait for Redis.
// Until Redis has answered once it does not know whether the store has our
// layout either, and lets no command through: written with another number of
// lanes, events would be where nobody looks for them.
//
// It is a hook of the clients that others use, and has a client of its own.
type redisWatch struct {
	client redis.UniversalClient // without the hook
	layout layout.Layout
	log    *slog.Logger

	checked chan struct{}          // closed once the layout is known to be ours
	doubt   chan struct{}          // has a token after a command that failed
	state   atomic.Pointer[string] // what the last look found; nil before the first
}

func newRedisWatch(options redis.UniversalOptions, l layout.Layout, log *slog.Logger) *redisWatch {
	options.PoolSize, options.MinIdleConns, options.MaxIdleConns = watchConnections, 0, 0
	return &redisWatch{
		client: redis.NewUniversalClient(&options), layout: l, log: log,
		checked: make(chan struct{}), doubt: make(chan struct{}, 1),
	}
}

// read answers redisOK, redisAway or redisRefuses, from the last look.
func (w *redisWatch) read() string {
	if state := w.state.Load(); state != nil {
		return *state
	}
	return redisAway
}

// look asks Redis: for the layout until it is known, and then whether it is
// there. It answers layout.ErrMismatch where the store is another's.
func (w *redisWatch) look(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if w.isChecked() {
		return w.note(w.client.Ping(ctx).Err())
	}
	err := layout.Check(ctx, w.client, w.layout)
	if err == nil {
		close(w.checked)
	}
	return w.note(err)
}

// note keeps what a look found, and tells what has changed.
func (w *redisWatch) note(err error) error {
	state := redisOK
	switch {
	case errors.Is(err, layout.ErrMismatch):
		return err
	case err != nil && refusesCredentials(err):
		state = redisRefuses
	case err != nil:
		state = redisAway
	}
	before := w.state.Swap(&state)
	if before != nil && *before == state {
		return err
	}
	switch {
	case state == redisRefuses:
		w.log.Error("Redis refuses the credentials", "error", err)
	case state == redisAway:
		w.log.Warn("Redis is away; going on without it", "error", err)
	case before != nil:
		w.log.Info("Redis is back")
	}
	return err
}

// refusesCredentials reports whether Redis answers, but not to us.
func refusesCredentials(err error) bool {
	text := err.Error()
	for _, code := range []string{"WRONGPASS ", "NOAUTH ", "NOPERM ", "ERR AUTH ", "ERR invalid password"} {
		if strings.Contains(text, code) {
			return true
		}
	}
	return false
}

// run looks at Redis until ctx is done, or until it finds a store with another
// layout, which it answers with layout.ErrMismatch.
func (w *redisWatch) run(ctx context.Context) error {
	for {
		w.await(ctx)
		if ctx.Err() != nil {
			return nil
		}
		patience := pingPatience
		if !w.isChecked() {
			patience = storeTimeout // nobody waits, and a far Redis needs its time to connect
		}
		if err := w.look(ctx, patience); errors.Is(err, layout.ErrMismatch) {
			return err
		}
	}
}

// await returns when Redis is to be looked at again, or ctx is done.
func (w *redisWatch) await(ctx context.Context) {
	pause.For(ctx, watchInterval)
	if w.read() != redisOK {
		return
	}
	timer := time.NewTimer(calmInterval - watchInterval)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.doubt:
	case <-ctx.Done():
	}
}

// judge passes on how a command ended, and has Redis looked at where it failed.
func (w *redisWatch) judge(err error) error {
	if err != nil && !errors.Is(err, redis.Nil) && !errors.Is(err, context.Canceled) {
		select {
		case w.doubt <- struct{}{}:
		default: // somebody has said so
		}
	}
	return err
}

func (w *redisWatch) isChecked() bool {
	select {
	case <-w.checked:
		return true
	default:
		return false
	}
}

// DialHook lets every connection through.
func (w *redisWatch) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook refuses commands until the layout is known, and then watches them.
func (w *redisWatch) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !w.isChecked() {
			cmd.SetErr(errUnchecked)
			return errUnchecked
		}
		return w.judge(next(ctx, cmd))
	}
}

// ProcessPipelineHook does the same with pipelines.
func (w *redisWatch) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if !w.isChecked() {
			for _, cmd := range cmds {
				cmd.SetErr(errUnchecked)
			}
			return errUnchecked
		}
		return w.judge(next(ctx, cmds))
	}
}

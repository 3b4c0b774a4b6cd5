package subscriptions

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Bounds of what callers can make us send to targets of their choosing.
const (
	// probesPerUser is how many handshakes and tests a user may have in a
	// probeWindow, over all processes; testsEach how many tests of one subscription.
	probesPerUser = 30
	testsEach     = 6
	probeWindow   = time.Minute
	// probesAtOnce is how many a user may have under way in this process, and
	// probesOfAll how many all users.
	probesAtOnce = 4
	probesOfAll  = 64
	// probePatience is how long a request waits for one of those to end.
	probePatience = 5 * time.Second
)

// errTooOften is what every *rateError is.
var errTooOften = errors.New("too many requests")

// rateError says that something was asked for too often, and when to ask again.
type rateError struct {
	what  string
	after time.Duration
}

func (e *rateError) Error() string { return fmt.Sprintf("%s; ask again in %s", e.what, e.after) }

func (e *rateError) Unwrap() error { return errTooOften }

// allow counts one more of what name names, of which a user may have most in a
// window. Where there were as many already, it answers how long until there may
// be more.
func (s *Store) allow(ctx context.Context, user, name string, most int, window time.Duration) (wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	ms, err := allowScript.Run(ctx, s.client, s.layout.Of(user), name, most, window.Milliseconds()).Int64()
	if err != nil {
		return 0, unavailable("count", err)
	}
	// In whole seconds, as Retry-After is, and not too early.
	return (time.Duration(ms)*time.Millisecond + time.Second - 1).Truncate(time.Second), nil
}

// mayProbe counts a handshake or a test of a user's, and waits for its turn,
// which done ends. It answers a *rateError, or ErrUnavailable.
func (h *handler) mayProbe(ctx context.Context, user string) (done func(), err error) {
	wait, err := h.store.allow(ctx, user, "probe:"+user, probesPerUser, probeWindow)
	if err != nil {
		return nil, err
	}
	if wait > 0 {
		return nil, &rateError{fmt.Sprintf("at most %d handshakes and tests a minute", probesPerUser), wait}
	}
	done, ok := h.turns.take(ctx, user)
	if !ok {
		return nil, &rateError{fmt.Sprintf("at most %d handshakes and tests at once", probesAtOnce), probePatience}
	}
	return done, nil
}

// turns bounds what is under way at once: of each user, and of all together.
type turns struct {
	all chan struct{}

	mu    sync.Mutex
	users map[string]*userTurns
}

type userTurns struct {
	slots   chan struct{}
	holders int // and those who wait; the last one takes the entry away
}

func newTurns() *turns {
	return &turns{all: make(chan struct{}, probesOfAll), users: map[string]*userTurns{}}
}

// take waits for a turn, for as long as probePatience, and answers what ends it.
func (t *turns) take(ctx context.Context, user string) (done func(), ok bool) {
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	own := t.enter(user)
	select {
	case own.slots <- struct{}{}:
	case <-ctx.Done():
		t.leave(user)
		return nil, false
	}
	giveBack := func() {
		<-own.slots
		t.leave(user)
	}
	select {
	case t.all <- struct{}{}:
		return func() { <-t.all; giveBack() }, true
	case <-ctx.Done():
		giveBack()
		return nil, false
	}
}

func (t *turns) enter(user string) *userTurns {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.users[user]
	if own == nil {
		own = &userTurns{slots: make(chan struct{}, probesAtOnce)}
		t.users[user] = own
	}
	own.holders++
	return own
}

func (t *turns) leave(user string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.users[user].holders--; t.users[user].holders == 0 {
		delete(t.users, user)
	}
}

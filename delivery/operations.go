package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/subscriptions"
)

// operationTimeout bounds what somebody who asks may wait for Redis.
const operationTimeout = 2 * time.Second

// Operations is what owners and operators can see and do of deliveries. It needs
// no engine in its process: whatever it wants done, it leaves in Redis for any.
//
// Where Redis fails, each method answers subscriptions.ErrUnavailable together
// with Redis' own error.
type Operations struct {
	client redis.UniversalClient
	layout layout.Layout
	offset func() int64
}

var _ subscriptions.History = (*Operations)(nil)

// NewOperations makes operations on a Redis. offset, in ms, is added to its clock;
// for tests, nil means none.
func NewOperations(client redis.UniversalClient, l layout.Layout, offset func() int64) *Operations {
	if offset == nil {
		offset = func() int64 { return 0 }
	}
	return &Operations{client: client, layout: l, offset: offset}
}

// lane answers the lane that an id names, of a subscription or a redelivery.
func (o *Operations) lane(id string) (layout.Lane, error) {
	lane, ok := o.layout.OfID(id)
	if !ok {
		return layout.Lane{}, subscriptions.ErrNotFound
	}
	return lane, nil
}

// bounded answers a context for what one call asks of Redis.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, operationTimeout)
}

func (o *Operations) run(ctx context.Context, script layout.Script, lane layout.Lane, args ...any) *redis.Cmd {
	ctx, cancel := bounded(ctx)
	defer cancel()
	return script.Run(ctx, o.client, lane, append([]any{o.offset()}, args...)...)
}

func unavailable(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", subscriptions.ErrUnavailable, what, err)
}

package delivery

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/internal/layout"
)

// waiter blocks on Redis until there is something to do in a lane. It has
// connections of its own, one a lane, so that it neither takes them from others
// nor keeps shutdown waiting: a cancelled context does not end a read of
// go-redis', closing its client does.
type waiter struct{ client redis.UniversalClient }

// readGrace is how much later than the wait's end its answer may come.
const readGrace = 3 * time.Second

var errClient = errors.New("want a *redis.Client or a *redis.ClusterClient")

func newWaiter(client redis.UniversalClient, lanes int, longest time.Duration) (*waiter, error) {
	timeout := longest + readGrace
	switch c := client.(type) {
	case *redis.Client:
		o := *c.Options()
		o.PoolSize, o.MinIdleConns, o.MaxIdleConns, o.MaxRetries = lanes, 0, lanes, -1
		o.ReadTimeout, o.PoolTimeout = timeout, timeout
		return &waiter{redis.NewClient(&o)}, nil
	case *redis.ClusterClient:
		o := *c.Options()
		o.PoolSize, o.MinIdleConns, o.MaxIdleConns = lanes, 0, lanes
		o.ReadTimeout, o.PoolTimeout = timeout, timeout
		return &waiter{redis.NewClusterClient(&o)}, nil
	default:
		return nil, fmt.Errorf("client is a %T: %w", client, errClient)
	}
}

// wait blocks until it gets the lane's token or the time is over, and answers
// whether it got the token.
func (w *waiter) wait(ctx context.Context, lane layout.Lane, longest time.Duration) (bool, error) {
	// Not BLPop: it rounds to whole seconds, and a retry may be due in 50 ms.
	seconds := strconv.FormatFloat(max(longest, time.Millisecond).Seconds(), 'f', 3, 64)
	err := w.client.Do(ctx, "blpop", lane.Wake(), seconds).Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("wait: %w", err)
	}
	return true, nil
}

func (w *waiter) close() error { return w.client.Close() }

package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/internal/layout"
)

// Backlog is how much waits in one lane.
type Backlog struct {
	Lane int
	// Events are not yet dispatched; Parked cannot be. InFlight are leased.
	Events, Parked, InFlight int64
	// Runnable subscriptions have deliveries due; Waiting ones have retries to come.
	Runnable, Waiting int64
	// Deliveries waiting, of active subscriptions.
	Deliveries int64
	// Partial tells that Deliveries and Oldest leave some subscriptions out:
	// there are more than a reading looks at.
	Partial bool
	// Oldest is the age of the oldest event among those looked at; zero for none.
	Oldest time.Duration
}

// backlogSample is how many runnable and how many waiting subscriptions a
// reading looks at.
const backlogSample = 100

// ReadBacklog reads what waits in each lane. It costs one bounded script call a
// lane. On an error it answers the lanes that were read before it.
func ReadBacklog(ctx context.Context, client redis.Scripter, l layout.Layout) ([]Backlog, error) {
	readings := make([]Backlog, 0, l.Count())
	for _, lane := range l.All() {
		n, err := backlogScript.Run(ctx, client, lane, 0, backlogSample).Int64Slice()
		if err != nil {
			return readings, fmt.Errorf("read the backlog of lane %d: %w", lane.Number, err)
		}
		readings = append(readings, Backlog{
			Lane: lane.Number, Events: n[0], Parked: n[1], InFlight: n[2], Runnable: n[3], Waiting: n[4],
			Deliveries: n[5], Partial: n[6] == 0, Oldest: time.Duration(n[7]) * time.Millisecond,
		})
	}
	return readings, nil
}

package delivery

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrUnknownLane is what Replay answers for a subscription id that names no lane.
var ErrUnknownLane = errors.New("no lane has this subscription")

// Replay returns all dead letters of a subscription to its queue, each with all
// its attempts before it again, and answers how many. It works in bounded steps
// and may be called again after an error.
func (e *Engine) Replay(ctx context.Context, subscription string) (int64, error) {
	number, _, _ := strings.Cut(subscription, "-")
	index, err := strconv.Atoi(number)
	if err != nil || index < 0 || index >= len(e.lanes) {
		return 0, fmt.Errorf("%w: %q", ErrUnknownLane, subscription)
	}
	for total := int64(0); ; {
		returned, left, err := e.lanes[index].queue.replay(ctx, subscription)
		total += returned
		if err != nil || left == 0 || returned == 0 {
			return total, err
		}
		if err := ctx.Err(); err != nil {
			return total, err
		}
	}
}

// Package pause waits, but not for longer than its context lasts.
package pause

import (
	"context"
	"time"
)

// For waits for d, and answers whether ctx lasted that long.
func For(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

package pause

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestAPauseLastsAsLongAsItShouldOrItsContextDoes(t *testing.T) {
	for _, c := range []struct {
		context, pause, took time.Duration
		whole                bool
	}{
		{time.Hour, time.Minute, time.Minute, true},
		{time.Minute, time.Hour, time.Minute, false},
		{0, time.Hour, 0, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), c.context)
			defer cancel()
			start := time.Now()
			if whole := For(ctx, c.pause); whole != c.whole || time.Since(start) != c.took {
				t.Errorf("a pause of %s in a context of %s: %t after %s; want %t after %s",
					c.pause, c.context, whole, time.Since(start), c.whole, c.took)
			}
		})
	}
}

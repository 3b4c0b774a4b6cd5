package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// order notes who came to rest, in turn.
type order struct {
	mu    sync.Mutex
	names []string
}

// untilTold is a component that takes a while to come to rest.
func (o *order) untilTold(name string, rest time.Duration) component {
	return component{name, func(ctx context.Context) error {
		<-ctx.Done()
		<-time.After(rest) // of a synctest bubble, which passes at once outside
		o.mu.Lock()
		defer o.mu.Unlock()
		o.names = append(o.names, name)
		return nil
	}}
}

func TestAPhaseIsStoppedOnlyOnceTheOneBeforeItRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order order
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		err := runComponents(ctx, time.Minute, [][]component{
			{order.untilTold("front", 3*time.Second), order.untilTold("engine", time.Second)},
			{order.untilTold("publisher", time.Second)},
			{order.untilTold("admin", 0)},
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"engine", "front", "publisher", "admin"}; !slices.Equal(order.names, want) {
			t.Errorf("stopped in the order %v; want %v", order.names, want)
		}
	})
}

func TestTheFirstComponentToFailStopsTheRestWithItsError(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"one that fails", broken, "disk: broken"},
		{"one that ends unasked", nil, "disk: ended unasked"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var order order
			err := runComponents(t.Context(), time.Minute, [][]component{
				{order.untilTold("front", 0)},
				{{"disk", func(context.Context) error { return c.err }}},
			})
			if err == nil || err.Error() != c.want {
				t.Errorf("ended with %v; want %s", err, c.want)
			}
			if !slices.Equal(order.names, []string{"front"}) {
				t.Errorf("the rest was not stopped: %v", order.names)
			}
		})
	}
}

func TestAFailureWhileStoppingIsToldToo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := runComponents(ctx, time.Minute, [][]component{{{"spool", func(ctx context.Context) error {
		<-ctx.Done()
		return errors.New("not flushed")
	}}}})
	if err == nil || !strings.Contains(err.Error(), "spool: not flushed") {
		t.Errorf("ended with %v", err)
	}
}

func TestStoppingEndsInTimeAndNamesWhatDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order order
		released := make(chan struct{})
		hangs := func(name string) component {
			return component{name, func(context.Context) error { <-released; return nil }}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begun := time.Now()
		err := runComponents(ctx, 10*time.Second, [][]component{
			{order.untilTold("front", time.Second), hangs("engine")},
			{hangs("publisher")},
			{order.untilTold("admin", 0)},
		})
		if took := time.Since(begun); took > 10*time.Second+lateGrace {
			t.Errorf("stopping took %s", took)
		}
		want := "engine: " + errStillRunning.Error() + "\npublisher: " + errStillRunning.Error()
		if err == nil || err.Error() != want {
			t.Errorf("ended with %v; want %s", err, want)
		}
		if !slices.Equal(order.names, []string{"front", "admin"}) {
			t.Errorf("at rest are %v", order.names)
		}
		close(released)
	})
}

func TestResourcesAreClosedInReverse(t *testing.T) {
	var order []string
	var c closers
	for _, name := range []string{"redis", "spool", "listener"} {
		c.add(func() error { order = append(order, name); return nil })
	}
	if err := c.close(); err != nil || !slices.Equal(order, []string{"listener", "spool", "redis"}) {
		t.Errorf("closed %v, %v", order, err)
	}
}

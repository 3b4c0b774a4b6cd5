package presence

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gone is a watcher that remembers what it was told.
type gone chan struct{}

func (g gone) Gone() { g <- struct{}{} }

func (g gone) wait(t *testing.T) {
	t.Helper()
	select {
	case <-g:
	case <-time.After(10 * time.Second):
		t.Fatal("nobody told it")
	}
}

func TestOneWatcherAtATimeIsToldOfTheEnd(t *testing.T) {
	c := &Context{Context: context.Background()}
	first, second := make(gone, 2), make(gone, 2)
	if !c.Watch(first) || c.Watch(second) {
		t.Fatal("the first should watch, and nobody beside it")
	}
	if c.Unwatch(second) || !c.Unwatch(first) || c.Unwatch(first) {
		t.Fatal("only who watches can stop, and only once")
	}
	if !c.Watch(second) {
		t.Fatal("the place should be free again")
	}
	c.Leave()
	c.Leave()
	second.wait(t)
	if len(first) != 0 || len(second) != 0 {
		t.Error("told twice, or who watched no more")
	}
	if c.Unwatch(second) || c.Watch(first) {
		t.Error("there is nothing left to watch")
	}
}

func TestWatcherAndFunctionsAreToldTogether(t *testing.T) {
	c := &Context{Context: context.Background()}
	watcher, called := make(gone, 1), make(gone, 1)
	c.Watch(watcher)
	stop := context.AfterFunc(c, called.Gone)
	c.Leave()
	watcher.wait(t)
	called.wait(t)
	if stop() || c.Err() != context.Canceled {
		t.Errorf("ended with %v", c.Err())
	}
}

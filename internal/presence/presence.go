// Package presence makes contexts that end when a client leaves: what
// context.WithCancel makes, without what that costs where nobody cares.
package presence

import (
	"context"
	"sync"
)

// Context ends with Leave. It is made with the context that it has its values of;
// that one's own end does not end it.
type Context struct {
	context.Context

	mu    sync.Mutex
	gone  bool
	done  chan struct{} // nil until somebody asks
	first *waiter       // who is to be told
}

type waiter struct {
	f    func()
	next *waiter
}

// Done implements context.Context.
func (c *Context) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.gone {
			close(c.done)
		}
	}
	return c.done
}

// Err implements context.Context.
func (c *Context) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return context.Canceled
	}
	return nil
}

// AfterFunc is what package context looks for before it starts a goroutine.
func (c *Context) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := &waiter{f: f}
	if c.gone {
		go f()
		return func() bool { return false }
	}
	w.next, c.first = c.first, w
	return func() bool { return c.forget(w) }
}

func (c *Context) forget(w *waiter) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at := &c.first; *at != nil; at = &(*at).next {
		if *at == w {
			*at = w.next
			return true
		}
	}
	return false
}

// Leave ends the context. It may be called more than once, from anywhere.
func (c *Context) Leave() {
	c.mu.Lock()
	waiting := c.first
	c.first = nil
	if !c.gone {
		c.gone = true
		if c.done != nil {
			close(c.done)
		}
	}
	c.mu.Unlock()
	for ; waiting != nil; waiting = waiting.next {
		go waiting.f()
	}
}

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

	mu      sync.Mutex
	gone    bool
	done    chan struct{} // nil until somebody asks
	watcher watcher       // who is to be told; nil for nobody
	first   *waiter       // and others
}

// watcher is http1.Watcher.
type watcher = interface{ Gone() }

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

// Watch implements http1.Watched.
func (c *Context) Watch(w watcher) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone || c.watcher != nil {
		return false
	}
	c.watcher = w
	return true
}

// Unwatch implements http1.Watched.
func (c *Context) Unwatch(w watcher) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watcher != w {
		return false
	}
	c.watcher = nil
	return true
}

// Leave ends the context. It may be called more than once, from anywhere.
func (c *Context) Leave() {
	c.mu.Lock()
	watcher, waiting := c.watcher, c.first
	c.watcher, c.first = nil, nil
	if !c.gone {
		c.gone = true
		if c.done != nil {
			close(c.done)
		}
	}
	c.mu.Unlock()
	if watcher != nil {
		go watcher.Gone() // ends when its connection is closed
	}
	for ; waiting != nil; waiting = waiting.next {
		go waiting.f()
	}
}

package proxy

import (
	"context"
	"sync"
)

// presence is the context of a request whose client is attended by its
// connection: it ends when the client leaves or the request does. It is what
// context.WithCancel makes, without what that costs where nobody cares.
type presence struct {
	context.Context // net/http's, for its values

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
func (p *presence) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		p.done = make(chan struct{})
		if p.gone {
			close(p.done)
		}
	}
	return p.done
}

// Err implements context.Context.
func (p *presence) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return context.Canceled
	}
	return nil
}

// AfterFunc is what package context looks for before it starts a goroutine.
func (p *presence) AfterFunc(f func()) (stop func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := &waiter{f: f}
	if p.gone {
		go f()
		return func() bool { return false }
	}
	w.next, p.first = p.first, w
	return func() bool { return p.forget(w) }
}

func (p *presence) forget(w *waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for at := &p.first; *at != nil; at = &(*at).next {
		if *at == w {
			*at = w.next
			return true
		}
	}
	return false
}

// leave ends the context.
func (p *presence) leave() {
	p.mu.Lock()
	waiting := p.first
	p.first = nil
	if !p.gone {
		p.gone = true
		if p.done != nil {
			close(p.done)
		}
	}
	p.mu.Unlock()
	for ; waiting != nil; waiting = waiting.next {
		go waiting.f()
	}
}

package events

import (
	"runtime"
	"slices"
	"sync"
)

// group is a group commit: what is added while a commit is under way waits, and
// goes together in the next one. The first to come finds nothing under way and
// goes at once, so an idle group adds no latency.
//
//	add ─┐
//	add ─┼─► waiting ──take──► commit, one at a time, in the order of adding
//	add ─┘
//
// Its goroutine lives only while there is something to commit; settle waits
// for its end.
type group[T any] struct {
	// commit has each item's fate decided when it returns.
	commit func(batch []T)
	// take answers how many of the waiting, at least one, go together.
	take func(waiting []T) int

	mu      sync.Mutex
	waiting []T
	running chan struct{} // closed when the goroutine ends; nil while there is none
}

// add hands items in. They are committed in order, after all added before.
func (g *group[T]) add(items ...T) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, items...)
	if g.running == nil && len(g.waiting) > 0 {
		g.running = make(chan struct{})
		go g.drain() // ends when nothing waits; settle and the items' owners wait for it
	}
}

func (g *group[T]) drain() {
	for {
		runtime.Gosched() // whoever can add now, shall: where nobody can, this takes no time
		batch := g.next()
		if batch == nil {
			return
		}
		g.commit(batch)
	}
}

// next answers the items to commit now, or nil once the goroutine has to end.
func (g *group[T]) next() []T {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		close(g.running)
		g.running, g.waiting = nil, nil
		return nil
	}
	n := g.take(g.waiting)
	batch := g.waiting[:n:n]
	g.waiting = slices.Clone(g.waiting[n:]) // so that a committed batch can be freed
	return batch
}

// settle returns once everything added before has been committed.
func (g *group[T]) settle() {
	g.mu.Lock()
	running := g.running
	g.mu.Unlock()
	if running != nil {
		<-running
	}
}

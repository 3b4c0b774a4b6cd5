package http1

import (
	"math"
	"slices"
	"sync"
	"time"
)

// pool keeps idle connections. The one used last is used next, so that those
// that are too many grow old.
type pool struct {
	mu    sync.Mutex
	conns map[place]*shelf
	count int         // of all of them
	timer *time.Timer // runs while there are any that age
}

// begun is when now began to count. What has passed since then costs a quarter of
// what time.Now does, which reads two clocks.
var begun = time.Now()

func now() time.Duration { return time.Since(begun) }

// shelf is the idle connections to a place, the oldest first. It may be empty.
type shelf struct{ conns []*conn }

// take answers the connection to a place that was used last, or nil. Nobody has
// looked whether it is fit for a request.
func (p *pool) take(at place) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.conns[at]
	if s == nil || len(s.conns) == 0 {
		return nil
	}
	last := len(s.conns) - 1
	c := s.conns[last]
	s.conns[last] = nil
	s.conns = s.conns[:last]
	p.count--
	return c
}

// put keeps a connection, or closes the oldest where there are most already, to
// its place or in all.
func (p *pool) put(c *conn, most, inAll int, maxAge time.Duration) {
	if most <= 0 {
		_ = c.Close()
		return
	}
	if surplus := p.push(c, most, inAll, maxAge); surplus != nil {
		_ = surplus.Close()
	}
}

func (p *pool) push(c *conn, most, inAll int, maxAge time.Duration) (surplus *conn) {
	c.idleSince = now()
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.shelf(c.place)
	switch {
	case len(s.conns) >= most:
		surplus = p.shift(s)
	case inAll > 0 && p.count >= inAll:
		at := p.oldest()
		from := p.conns[at]
		if surplus = p.shift(from); len(from.conns) == 0 && from != s {
			delete(p.conns, at)
		}
	}
	s.conns = append(s.conns, c)
	p.count++
	if maxAge > 0 && p.timer == nil {
		p.timer = time.AfterFunc(maxAge, func() { p.age(maxAge) })
	}
	return surplus
}

// shelf answers a place's, a new one if need be.
func (p *pool) shelf(at place) *shelf {
	s := p.conns[at]
	if s == nil {
		if p.conns == nil {
			p.conns = make(map[place]*shelf)
		}
		s = new(shelf)
		p.conns[at] = s
	}
	return s
}

// shift takes the oldest of a shelf, which has one.
func (p *pool) shift(s *shelf) *conn {
	oldest := s.conns[0]
	s.conns = slices.Delete(s.conns, 0, 1)
	p.count--
	return oldest
}

// oldest answers the place of the connection that has been idle longest.
func (p *pool) oldest() (found place) {
	since := time.Duration(math.MaxInt64)
	for at, s := range p.conns {
		if len(s.conns) > 0 && s.conns[0].idleSince < since {
			found, since = at, s.conns[0].idleSince
		}
	}
	return found
}

// age closes what has been idle for too long, and comes again for the rest.
func (p *pool) age(most time.Duration) {
	old := p.retire(most)
	for _, c := range old {
		_ = c.Close()
	}
}

func (p *pool) retire(most time.Duration) (old []*conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, next := now(), time.Duration(0)
	for at, s := range p.conns {
		n := 0
		for n < len(s.conns) && now-s.conns[n].idleSince >= most {
			n++
		}
		old = append(old, s.conns[:n]...)
		p.count -= n
		if s.conns = slices.Delete(s.conns, 0, n); len(s.conns) == 0 {
			delete(p.conns, at)
			continue
		}
		if left := most - (now - s.conns[0].idleSince); next == 0 || left < next {
			next = left
		}
	}
	if next == 0 {
		p.timer = nil
	} else {
		p.timer.Reset(next)
	}
	return old
}

// close closes all of them.
func (p *pool) close() {
	p.mu.Lock()
	all := p.conns
	p.conns, p.count = nil, 0
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	p.mu.Unlock()
	for _, s := range all {
		for _, c := range s.conns {
			_ = c.Close()
		}
	}
}

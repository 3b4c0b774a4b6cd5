package http1

import (
	"slices"
	"sync"
	"time"
)

// pool keeps idle connections. The one used last is used next, so that those
// that are too many grow old.
type pool struct {
	mu    sync.Mutex
	conns map[place][]*conn // the oldest first
	count int               // of all of them
	timer *time.Timer       // runs while there are any that age
}

// take answers the connection to a place that was used last, or nil. Nobody has
// looked whether it is fit for a request.
func (p *pool) take(at place) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	conns := p.conns[at]
	if len(conns) == 0 {
		return nil
	}
	c := conns[len(conns)-1]
	conns[len(conns)-1] = nil
	p.conns[at] = conns[:len(conns)-1]
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
	c.idleSince = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		p.conns = make(map[place][]*conn)
	}
	switch {
	case len(p.conns[c.place]) >= most:
		surplus = p.shift(c.place)
	case inAll > 0 && p.count >= inAll:
		surplus = p.shift(p.oldest())
	}
	p.conns[c.place] = append(p.conns[c.place], c)
	p.count++
	if maxAge > 0 && p.timer == nil {
		p.timer = time.AfterFunc(maxAge, func() { p.age(maxAge) })
	}
	return surplus
}

// shift takes the oldest of a place, which has one.
func (p *pool) shift(at place) *conn {
	oldest := p.conns[at][0]
	p.count--
	if p.conns[at] = slices.Delete(p.conns[at], 0, 1); len(p.conns[at]) == 0 {
		delete(p.conns, at)
	}
	return oldest
}

// oldest answers the place of the connection that has been idle longest.
func (p *pool) oldest() (found place) {
	var since time.Time
	for at, conns := range p.conns {
		if len(conns) > 0 && (since.IsZero() || conns[0].idleSince.Before(since)) {
			found, since = at, conns[0].idleSince
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
	now, next := time.Now(), time.Duration(0)
	for at, conns := range p.conns {
		n := 0
		for n < len(conns) && now.Sub(conns[n].idleSince) >= most {
			n++
		}
		old = append(old, conns[:n]...)
		p.count -= n
		if conns = slices.Delete(conns, 0, n); len(conns) == 0 {
			delete(p.conns, at)
			continue
		}
		p.conns[at] = conns
		if left := most - now.Sub(conns[0].idleSince); next == 0 || left < next {
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
	for _, conns := range all {
		for _, c := range conns {
			_ = c.Close()
		}
	}
}

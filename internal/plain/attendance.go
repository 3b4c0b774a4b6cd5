package plain

import (
	"sync"
	"time"
)

// attendPatience is how long a request may take before its client is watched, and
// up to twice that. Until then nobody could tell him much that its answer will not.
const attendPatience = 50 * time.Millisecond

var noDue time.Time

// attendance sees a client leave while its request is answered. net/http has a
// read under way all that time, on a goroutine that has to be started and stopped
// for each request; here it is only for those that take a while.
//
// All of it is under the connection's lock.
type attendance struct {
	turn  *turn // under way; nil between requests
	seen  *turn // that was under way when look last looked
	timer *time.Timer
	armed bool // the timer runs

	cut      bool      // reading is to end
	watching bool      // a read is under way
	rest     sync.Cond // it has ended
}

// attend watches over a request.
func (c *conn) attend(t *turn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn = t
	if !c.armed {
		c.arm()
	}
}

func (c *conn) arm() {
	c.armed = true
	if c.timer == nil {
		c.timer = time.AfterFunc(attendPatience, c.look)
		return
	}
	c.timer.Reset(attendPatience)
}

// dismiss ends that, and returns when nothing is read any more.
func (c *conn) dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn, c.seen = nil, nil
	if !c.watching {
		return
	}
	c.cutRead()
	for c.watching {
		c.rest.Wait()
	}
	c.cut = false
}

// cutRead ends a read that is under way, and any that would follow.
func (c *conn) cutRead() {
	c.cut, c.set = true, time.Unix(1, 0) // long ago
	_ = c.Conn.SetReadDeadline(c.set)    // fails where reading does
}

// look is the timer's. It runs on for as long as requests keep coming, so that a
// request need not start and stop one.
func (c *conn) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = false
	switch t := c.turn; {
	case t == nil:
	case t.body.left > 0 && t.body.err == nil: // unread arms it again
	case c.seen != t:
		c.seen = t
		c.arm()
	default:
		c.watch(t)
	}
}

// unread is told, under the lock, that nobody reads a body any more: then it is
// time to watch the client, if that took long.
func (c *conn) unread() {
	if c.turn != nil && !c.armed {
		c.arm()
	}
}

// watch reads until something comes, the client leaves, or the request ends. What
// comes is the next request's.
func (c *conn) watch(t *turn) {
	if c.start == c.end {
		c.start, c.end = 0, 0
	}
	if c.end == len(c.in) {
		return // nobody sees what is behind the next request
	}
	c.watching = true
	c.mu.Unlock()
	n, err := c.readBy(c.in[c.end:], noDue)
	c.mu.Lock()
	c.end += n
	c.watching = false
	c.rest.Broadcast()
	if err != nil && c.turn == t {
		go t.presence.Leave() // who is told may need the lock
	}
}

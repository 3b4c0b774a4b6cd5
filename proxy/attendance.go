package proxy

import (
	"sync"
	"time"
)

// attendPatience is how long a request may take before its client is watched.
// Until then nobody could tell him much that its answer will not.
const attendPatience = 50 * time.Millisecond

// attendance sees a client leave while its request is served. It stands in for
// the read that net/http has under way all that time, on a goroutine that has to
// be started and stopped for each request.
//
// All of it is under the connection's lock.
type attendance struct {
	conn    *clientConn
	enabled bool      // a Proxy serves this connection
	client  *presence // of the request being served; nil between requests
	since   time.Time
	asked   bool // net/http would be reading now: the request has been read
	timer   *time.Timer
	armed   bool // the timer runs

	watching bool      // a read is under way
	rest     sync.Cond // it has ended
	ahead    [1]byte   // what it read
	has      bool      // something
}

// standIn answers the read that net/http has while a handler works, as if it had
// brought nothing, and hands out what a read of ours has brought.
//
// That read is of one byte, and its deadline was taken away just before. If it
// should ever be another, it has only to be repeated.
func (a *attendance) standIn(b []byte) (n int, done bool) {
	switch {
	case len(b) == 0:
		return 0, true
	case a.has:
		a.has = false
		return copy(b, a.ahead[:]), true
	case a.enabled && len(b) == 1 && a.conn.cleared:
		a.conn.cleared = false
		a.asked = true
		return 0, true
	}
	a.asked = false
	return 0, false
}

// begin watches over a request, unless it is the first of its connection, for
// which net/http's read may be under way.
func (a *attendance) begin(p *presence, now time.Time) bool {
	a.conn.mu.Lock()
	defer a.conn.mu.Unlock()
	if !a.enabled {
		return false
	}
	a.client, a.since = p, now
	if !a.armed {
		a.arm(attendPatience)
	}
	return true
}

func (a *attendance) arm(after time.Duration) {
	a.armed = true
	if a.timer == nil {
		a.timer = time.AfterFunc(after, a.look)
		return
	}
	a.timer.Reset(after)
}

// end returns when nothing is read any more.
func (a *attendance) end() {
	a.conn.mu.Lock()
	defer a.conn.mu.Unlock()
	a.enabled, a.client = true, nil
	for a.watching {
		a.conn.set = time.Unix(1, 0) // long ago
		_ = a.conn.Conn.SetReadDeadline(a.conn.set)
		a.rest.Wait()
	}
}

// look is the timer's. It runs on for as long as requests keep coming, so that a
// request need not start and stop one.
func (a *attendance) look() {
	a.conn.mu.Lock()
	defer a.conn.mu.Unlock()
	a.armed = false
	if a.client == nil {
		return
	}
	left := attendPatience - time.Since(a.since)
	switch {
	case left > 0:
		a.arm(left)
	case a.has: // the next request is here already; nobody sees what is behind it
	case !a.asked || a.conn.reading:
		a.arm(attendPatience) // its body is still coming
	default:
		a.watch()
	}
}

// watch reads until something comes, the client leaves, or the request ends.
func (a *attendance) watch() {
	c, client := a.conn, a.client
	c.set = time.Time{}
	if c.Conn.SetReadDeadline(c.set) != nil {
		return // it is closed
	}
	a.watching = true
	c.mu.Unlock()
	n, err := c.Conn.Read(a.ahead[:])
	c.mu.Lock()
	a.watching, a.has = false, n > 0
	a.rest.Broadcast()
	if err != nil && a.client == client {
		go client.leave() // who is told may need the lock
	}
}

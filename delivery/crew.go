package delivery

import (
	"context"
	"sync"
	"time"
)

// aheadFor is how long a delivery that was claimed ahead waits for a worker at most.
// Then it is handed back: another process may have one free.
const aheadFor = 100 * time.Millisecond

// idleMost bounds the workers that are kept while they have nothing to do. A new one
// first has its stack grow to what a delivery takes, by copying it several times.
const idleMost = 128

// job is a delivery that was claimed, and the lane whose lease it has.
type job struct {
	lane     *lane
	delivery *delivery
	claimed  time.Time
}

// crew has a bounded number of deliveries under way. What more is claimed waits
// here, so that a worker that has come to an end goes on without asking Redis.
//
//	claim ──► a worker is free ──► run ──► what waits, or idle until there is more
//	      └─► wait ─────────────────┘
//	            └─ for aheadFor in vain ──► hand back
type crew struct {
	most int
	run  func(job)
	// back takes what is handed back. Of those that it took, repaid is called for one
	// each time that another has been run: only then may as many be claimed again, for
	// who has no free worker now had better not try at once.
	back     func(job)
	repaid   func()
	stopping chan struct{} // closed by stop

	goroutines sync.WaitGroup

	mu      sync.Mutex
	working int
	idle    []chan job    // of workers that are kept; the last to have worked goes first
	waiting []job         // the first one claimed goes first
	watched bool          // watch runs: something waits, or did
	owed    int           // handed back and not repaid
	freed   chan struct{} // nil while nobody waits for a free worker
}

func newCrew(most int, run, back func(job), repaid func()) *crew {
	return &crew{most: most, run: run, back: back, repaid: repaid, stopping: make(chan struct{})}
}

// start has a job run, now or when a worker is free. Not to be called once stop is.
func (c *crew) start(j job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.working < c.most {
		c.working++
		c.set(j)
		return
	}
	c.waiting = append(c.waiting, j)
	if !c.watched {
		c.watched = true
		c.goroutines.Go(c.watch) // ends when nothing waits, which stop sees to
	}
}

// set has a worker begin with a job: one that is idle, or a new one. The caller holds
// the lock.
func (c *crew) set(j job) {
	last := len(c.idle) - 1
	if last < 0 {
		c.goroutines.Go(func() { c.work(j) }) // ends when enough are idle, and with stop
		return
	}
	worker := c.idle[last]
	c.idle = c.idle[:last]
	worker <- j // which has room for it
}

// stop hands back all that waits, and returns when what is under way has ended.
func (c *crew) stop() {
	close(c.stopping)
	c.goroutines.Wait()
}

func (c *crew) work(j job) {
	next := make(chan job, 1)
	for more := true; more; {
		c.run(j)
		if j, more = c.next(); more {
			continue
		}
		if !c.rest(next) {
			return
		}
		select {
		case j, more = <-next:
		case <-c.stopping: // after the last start
			select {
			case j, more = <-next:
			default:
			}
		}
	}
}

// rest has a worker that ends be idle, and answers false where enough are.
func (c *crew) rest(next chan job) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle) >= idleMost {
		return false
	}
	c.idle = append(c.idle, next)
	return true
}

// next answers what a worker whose job has ended does next, and false where there
// is nothing.
func (c *crew) next() (next job, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owed > 0 {
		c.owed--
		c.repaid()
	}
	if len(c.waiting) > 0 {
		next, c.waiting = c.waiting[0], c.waiting[1:]
		return next, true
	}
	c.working--
	if c.freed != nil {
		close(c.freed)
		c.freed = nil
	}
	return job{}, false
}

// awaitFree returns when a worker is free, or ctx is done. It answers whether it
// had to wait.
func (c *crew) awaitFree(ctx context.Context) (waited bool) {
	for {
		freed := c.full()
		if freed == nil {
			return waited
		}
		waited = true
		select {
		case <-freed:
		case <-ctx.Done():
			return waited
		}
	}
}

// full answers what is closed when a worker becomes free; nil if one is.
func (c *crew) full() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.working < c.most {
		return nil
	}
	if c.freed == nil {
		c.freed = make(chan struct{})
	}
	return c.freed
}

// watch hands back what has waited for too long.
func (c *crew) watch() {
	for {
		left, any := c.first()
		if !any {
			return
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
			c.handBack(aheadFor)
		case <-c.stopping:
			timer.Stop()
			c.handBack(0)
		}
	}
}

// first answers how long the job that has waited longest may still do so, and false
// where none waits.
func (c *crew) first() (left time.Duration, any bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		c.watched = false
		return 0, false
	}
	return aheadFor - time.Since(c.waiting[0].claimed), true
}

// handBack hands back what has waited for so long or longer.
func (c *crew) handBack(least time.Duration) {
	c.mu.Lock()
	n := 0
	for n < len(c.waiting) && time.Since(c.waiting[n].claimed) >= least {
		n++
	}
	late := c.waiting[:n:n]
	c.waiting = c.waiting[n:]
	c.owed += n
	c.mu.Unlock()
	for _, j := range late {
		c.back(j)
	}
}

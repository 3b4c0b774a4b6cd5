package main

import (
	"net/http"
	"sync"
)

// requestCount counts the requests in flight.
type requestCount struct {
	mu   sync.Mutex
	n    int
	rest chan struct{} // closed when n comes to 0; nil: nobody waits
}

// in answers a handler that counts the requests it hands on.
func (c *requestCount) in(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.add(1)
		defer c.add(-1)
		next.ServeHTTP(w, r)
	})
}

func (c *requestCount) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += n
	if c.n == 0 && c.rest != nil {
		close(c.rest)
		c.rest = nil
	}
}

// read answers how many requests are in flight, and what is closed when there
// are none. Only one goroutine reads.
func (c *requestCount) read() (int, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	rest := make(chan struct{})
	if c.n == 0 {
		close(rest)
	} else {
		c.rest = rest
	}
	return c.n, rest
}

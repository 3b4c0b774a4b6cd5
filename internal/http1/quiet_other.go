//go:build !unix

package http1

// lookAt takes a connection for quiet where it cannot be looked at without
// waiting. A stale one is then found out by the request that is sent on it.
func (c *conn) lookAt(uintptr) bool {
	c.quiet = true
	return true
}

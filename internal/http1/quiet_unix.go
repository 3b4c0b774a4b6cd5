//go:build unix

package http1

import "syscall"

// lookAt reads without waiting: that there is nothing to read, and no end
// either, is what a quiet connection answers. What it reads is never used.
func (c *conn) lookAt(fd uintptr) bool {
	var one [1]byte
	_, err := syscall.Read(int(fd), one[:])
	c.quiet = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
	return true
}

// Package socket reads and writes TCP connections for less than net does. A
// proxied request is four system calls, of which none waits; net tells the
// scheduler of each beforehand, and on a busy machine the scheduler then takes
// the processor away from the goroutine that makes it.
package socket

import (
	"net"
	"syscall"
)

// Conn is a connection whose system calls the scheduler is not told of.
//
// As with any net.Conn, several goroutines may use it at once; reads wait for
// reads, and writes for writes.
type Conn struct {
	net.Conn
	system
}

// Faster answers a connection that does what c does, for less where that can be
// done: for TCP, on Linux. Else it answers c itself.
func Faster(c net.Conn) net.Conn {
	if tcp, ok := c.(*net.TCPConn); ok {
		if faster := newConn(tcp); faster != nil {
			return faster
		}
	}
	return c
}

// CloseWrite ends the sending direction.
func (c *Conn) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

// SyscallConn implements syscall.Conn.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.Conn.(*net.TCPConn).SyscallConn() }

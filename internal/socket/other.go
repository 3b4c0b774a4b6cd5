//go:build !linux || race

package socket

import "net"

// system has nothing: the race detector follows what package syscall reads and
// writes, and would see races where there are none.
type system struct{}

func newConn(*net.TCPConn) *Conn { return nil }

// Looked answers c itself.
func Looked(c net.Conn) net.Conn { return c }

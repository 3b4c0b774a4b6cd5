//go:build linux && !race

package socket

import (
	"net"
	"syscall"
	"unsafe"
)

// looked is a Conn whose SyscallConn looks by itself first.
type looked struct {
	*Conn
	raw looking
}

// Looked answers what Faster does, for a client that looks before each use of a
// connection whether anything has come unasked, by a system call of its own within
// SyscallConn's Read, as go-redis does. The scheduler is told of that call; here the
// client is asked to make it only where something has come, or the end.
func Looked(c net.Conn) net.Conn {
	faster, ok := Faster(c).(*Conn)
	if !ok {
		return c
	}
	l := &looked{Conn: faster, raw: looking{RawConn: faster.raw}}
	l.raw.try = l.raw.once // made here, that a look need not allocate
	return l
}

// SyscallConn implements syscall.Conn, for a look.
func (l *looked) SyscallConn() (syscall.RawConn, error) { return &l.raw, nil }

// looking is a RawConn whose Read is for one caller at a time.
type looking struct {
	syscall.RawConn
	try   func(fd uintptr) bool
	quiet bool
	one   [1]byte
}

// Read calls f, which looks and does not wait, unless there is nothing to see.
func (l *looking) Read(f func(fd uintptr) bool) error {
	if err := l.RawConn.Read(l.try); err != nil || l.quiet {
		return err
	}
	return l.RawConn.Read(f)
}

func (l *looking) once(fd uintptr) bool {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&l.one)), 1, syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
	l.quiet = errno == syscall.EAGAIN
	return true
}

//go:build linux && !race

package socket

import (
	"syscall"
	"unsafe"
)

// both is a write of two pieces under way.
type both struct {
	try   func(fd uintptr) bool
	parts [2]syscall.Iovec
	n     int
	errno syscall.Errno
}

// WriteBoth writes first and then second, as two Writes would, in one system call
// where the socket takes that much.
func (c *Conn) WriteBoth(first, second []byte) (int, error) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	n, err := c.both.write(c.raw, first, second[:min(len(second), maxCall)])
	if err != nil {
		return 0, c.failed("write", err)
	}
	for _, rest := range [2][]byte{first[min(n, len(first)):], second[max(n-len(first), 0):]} {
		more, err := c.write(rest)
		if n += more; err != nil {
			return n, err
		}
	}
	return n, nil
}

func (b *both) write(raw syscall.RawConn, first, second []byte) (int, error) {
	b.parts[0].Base, b.parts[1].Base = unsafe.SliceData(first), unsafe.SliceData(second)
	b.parts[0].SetLen(len(first))
	b.parts[1].SetLen(len(second))
	b.n, b.errno = 0, 0
	err := raw.Write(b.try)
	b.parts = [2]syscall.Iovec{} // whose memory is the caller's
	if err == nil && b.errno != 0 {
		err = b.errno
	}
	return b.n, err
}

// once makes the system call, and reports whether there is nothing to wait for.
func (b *both) once(fd uintptr) (done bool) {
	b.n, b.errno, done = call(syscall.SYS_WRITEV, fd, unsafe.Pointer(&b.parts), len(b.parts))
	return done
}

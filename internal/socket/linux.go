//go:build linux && !race

package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// maxCall is how much one system call moves. It keeps the scheduler waiting no
// longer than copying so many bytes takes.
const maxCall = 256 << 10

// system is the socket itself.
type system struct {
	raw     syscall.RawConn
	in, out transfer
	asking  asking
	both    both
}

// transfer is one direction.
type transfer struct {
	mu     sync.Mutex
	number uintptr // of the system call
	try    func(fd uintptr) bool
	buffer []byte // what is to be moved, during a call
	n      int
	errno  syscall.Errno
}

func newConn(tcp *net.TCPConn) *Conn {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	c := &Conn{Conn: tcp, system: system{raw: raw}}
	c.in.number, c.out.number = syscall.SYS_READ, syscall.SYS_WRITE
	c.in.try, c.out.try = c.in.once, c.out.once // made here, that calls need not allocate
	c.both.try = c.both.once
	c.asking.try, c.asking.look = c.askOnce, c.lookOnce
	return c
}

// once makes the system call, and reports whether there is nothing to wait for.
func (t *transfer) once(fd uintptr) (done bool) {
	n, errno, done := call(t.number, fd, unsafe.Pointer(unsafe.SliceData(t.buffer)), len(t.buffer))
	if done {
		t.n, t.errno = n, errno
	}
	return done
}

// call makes a system call that moves bytes, and reports whether there is nothing
// to wait for; else it has moved none, without an error.
func call(number, fd uintptr, what unsafe.Pointer, size int) (n int, errno syscall.Errno, done bool) {
	for {
		moved, _, errno := syscall.RawSyscall(number, fd, uintptr(what), uintptr(size))
		switch errno {
		case 0:
			return int(moved), 0, true
		case syscall.EAGAIN:
			return 0, 0, false
		case syscall.EINTR:
		default:
			return 0, errno, true
		}
	}
}

// move makes the call with b, once it can be made.
func (t *transfer) move(wait func(func(uintptr) bool) error, b []byte) (int, error) {
	t.buffer = b[:min(len(b), maxCall)]
	err := wait(t.try)
	t.buffer = nil
	if err != nil {
		return 0, err
	}
	return t.moved()
}

// moved is what the last call did.
func (t *transfer) moved() (int, error) {
	if t.errno != 0 {
		return 0, os.NewSyscallError(t.name(), t.errno)
	}
	return t.n, nil
}

func (t *transfer) name() string {
	if t.number == syscall.SYS_READ {
		return "read"
	}
	return "write"
}

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	return c.read(b)
}

func (c *Conn) read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	return c.got(c.in.move(c.raw.Read, b))
}

// got says of what was read as net says it.
func (c *Conn) got(n int, err error) (int, error) {
	if err != nil {
		return 0, c.failed("read", err)
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.write(b)
}

func (c *Conn) write(b []byte) (int, error) {
	written := 0
	for written < len(b) {
		n, err := c.out.move(c.raw.Write, b[written:])
		if err != nil {
			return written, c.failed("write", err)
		}
		written += n
	}
	return written, nil
}

// failed answers the error as net has it, whose users look at Op.
func (c *Conn) failed(op string, err error) error {
	var wrapped *net.OpError
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

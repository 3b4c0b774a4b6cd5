//go:build linux && !race

package socket

import (
	"net"
	"syscall"
	"testing"
)

// looks does what go-redis does before it uses a connection that it has kept.
func looks(t *testing.T, c net.Conn) (called bool, n int, err error) {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	failed := raw.Read(func(fd uintptr) bool {
		called = true
		n, _, err = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	})
	if failed != nil {
		t.Fatal(failed)
	}
	return called, n, err
}

func TestALookSeesWhatHasComeAndLeavesItThere(t *testing.T) {
	inner, theirs := pair(t)
	ours := Looked(inner.(*Conn).Conn).(*looked)
	if called, n, err := looks(t, ours); called || n > 0 || err != nil {
		t.Errorf("quiet: called %v, %d bytes, %v", called, n, err)
	}
	if _, err := theirs.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2)
	awaitByte(t, ours)
	if called, n, err := looks(t, ours); !called || n != 1 || err != nil {
		t.Errorf("with a byte: called %v, %d bytes, %v", called, n, err)
	}
	if n, err := ours.Read(b); n != 1 || b[0] != 'x' || err != nil {
		t.Errorf("read %q, %v", b[:n], err)
	}
	theirs.Close()
	awaitByte(t, ours)
	if called, n, err := looks(t, ours); !called || n != 0 || err != nil {
		t.Errorf("at the end: called %v, %d bytes, %v", called, n, err)
	}
}

// awaitByte returns when there is something to read, or the end.
func awaitByte(t *testing.T, l *looked) {
	t.Helper()
	if err := l.Conn.raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return err != syscall.EAGAIN
	}); err != nil {
		t.Fatal(err)
	}
}

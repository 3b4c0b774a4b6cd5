//go:build linux && !race

package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

const maxAnswer = 100

func askers(t *testing.T) (ours *Conn, theirs *net.TCPConn) {
	t.Helper()
	conn, theirs := pair(t)
	return conn.(*Conn), theirs
}

func TestAQuestionIsAnswered(t *testing.T) {
	ours, theirs := askers(t)
	for _, size := range []int{1, 3 * maxAnswer, 8 << 20} { // the last is more than any buffer holds, so it is written in parts
		question := bytes.Repeat([]byte("?"), size)
		heard := make(chan error, 1)
		go func() { // ends with the question, or the connection
			got := make([]byte, size)
			_, err := io.ReadFull(theirs, got)
			if !bytes.Equal(got, question) {
				err = errors.Join(err, errors.New("the question differs"))
			}
			_, failed := theirs.Write([]byte("answer"))
			heard <- errors.Join(err, failed)
		}()
		b := make([]byte, maxAnswer)
		n, sent, err := ours.Ask(question, b)
		if string(b[:n]) != "answer" || !sent || err != nil {
			t.Errorf("asked with %d bytes: %q, %v, %v", size, b[:n], sent, err)
		}
		if err := <-heard; err != nil {
			t.Error(err)
		}
	}
}

func TestNobodyIsAskedWhoSpeaksUnaskedOrHasGone(t *testing.T) {
	for name, bring := range map[string]func(theirs *net.TCPConn) error{
		"spoke":  func(theirs *net.TCPConn) error { _, err := theirs.Write([]byte("unasked")); return err },
		"ended":  func(theirs *net.TCPConn) error { return theirs.CloseWrite() },
		"broken": func(theirs *net.TCPConn) error { return errors.Join(theirs.SetLinger(0), theirs.Close()) },
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := askers(t)
			if !ours.Quiet() {
				t.Error("it should have been quiet")
			}
			if err := bring(theirs); err != nil {
				t.Fatal(err)
			}
			awaitReadable(t, ours)
			if n, sent, err := ours.Ask([]byte("question"), make([]byte, maxAnswer)); n != 0 || sent || err != nil {
				t.Errorf("asked: %d, %v, %v", n, sent, err)
			}
		})
	}
}

// awaitReadable returns when a read would not wait, and reads nothing.
func awaitReadable(t *testing.T, c *Conn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var one [1]byte
	if err := raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK)
		return err != syscall.EAGAIN
	}); err != nil {
		t.Fatal(err)
	}
}

func TestAnEndInsteadOfAnAnswerIsSaidAsByRead(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(ours *Conn, theirs *net.TCPConn) error
		want error
	}{
		"end":      {func(_ *Conn, theirs *net.TCPConn) error { return theirs.CloseWrite() }, io.EOF},
		"reset":    {func(_ *Conn, theirs *net.TCPConn) error { return errors.Join(theirs.SetLinger(0), theirs.Close()) }, syscall.ECONNRESET},
		"closed":   {func(ours *Conn, _ *net.TCPConn) error { return ours.Close() }, net.ErrClosed},
		"deadline": {func(ours *Conn, _ *net.TCPConn) error { return ours.SetReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := askers(t)
			ended := make(chan error, 1)
			go func() { // ends when the question has come, and its answer is this
				_, err := io.ReadFull(theirs, make([]byte, len("question")))
				ended <- errors.Join(err, c.end(ours, theirs))
			}()
			n, sent, err := ours.Ask([]byte("question"), make([]byte, maxAnswer))
			if n != 0 || !sent || !errors.Is(err, c.want) {
				t.Errorf("asked: %d, %v, %v", n, sent, err)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAQuestionThatCannotGoOutIsNotSent(t *testing.T) {
	for name, c := range map[string]struct {
		bring func(ours *Conn) error
		op    string
		want  error
	}{
		"closed":        {(*Conn).Close, "read", net.ErrClosed},
		"half closed":   {(*Conn).CloseWrite, "write", syscall.EPIPE},
		"past its time": {func(ours *Conn) error { return ours.SetReadDeadline(time.Unix(1, 0)) }, "read", os.ErrDeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			ours, _ := askers(t)
			if err := c.bring(ours); err != nil {
				t.Fatal(err)
			}
			n, sent, err := ours.Ask([]byte("question"), make([]byte, maxAnswer))
			var operation *net.OpError
			if n != 0 || sent || !errors.Is(err, c.want) || !errors.As(err, &operation) || operation.Op != c.op {
				t.Errorf("asked: %d, %v, %#v", n, sent, err)
			}
		})
	}
}

func TestAQuestionTakesNoMemory(t *testing.T) {
	ours, theirs := askers(t)
	go func() { _, _ = io.Copy(theirs, theirs) }() // ends with the connection
	question, b := []byte("question"), make([]byte, maxAnswer)
	if n := testing.AllocsPerRun(100, func() {
		ours.Quiet()
		_, _, _ = ours.Ask(question, b)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

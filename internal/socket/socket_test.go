package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair answers both ends of a connection; ours is what Faster makes of it.
func pair(t *testing.T) (ours net.Conn, theirs *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialled, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ours = Faster(dialled)
	t.Cleanup(func() { ours.Close(); accepted.Close() })
	return ours, accepted.(*net.TCPConn)
}

func TestBytesArriveBothWaysHoweverMany(t *testing.T) {
	ours, theirs := pair(t)
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB: more than any buffer holds
	var wg sync.WaitGroup
	for _, way := range []struct{ from, to net.Conn }{{ours, theirs}, {theirs, ours}} {
		wg.Go(func() {
			if n, err := way.from.Write(big); n != len(big) || err != nil {
				t.Errorf("wrote %d, %v", n, err)
			}
		})
		wg.Go(func() {
			got := make([]byte, len(big))
			if _, err := io.ReadFull(way.to, got); err != nil || !bytes.Equal(got, big) {
				t.Errorf("the bytes differ; %v", err)
			}
		})
	}
	wg.Wait()
}

func TestTheEndIsSeen(t *testing.T) {
	ours, theirs := pair(t)
	if _, err := theirs.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	theirs.CloseWrite()
	if got, err := io.ReadAll(ours); string(got) != "x" || err != nil {
		t.Fatalf("read %q, %v", got, err)
	}
	if err := ours.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(theirs); len(got) != 0 || err != nil {
		t.Fatalf("read %q, %v", got, err)
	}
}

// Whoever reads looks at errors as net makes them.
func TestErrorsAreThoseOfNet(t *testing.T) {
	for name, c := range map[string]struct {
		bring func(ours net.Conn, theirs *net.TCPConn)
		want  error
	}{
		"a deadline":        {func(ours net.Conn, _ *net.TCPConn) { ours.SetReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		"closed by us":      {func(ours net.Conn, _ *net.TCPConn) { ours.Close() }, net.ErrClosed},
		"reset by the peer": {func(_ net.Conn, theirs *net.TCPConn) { theirs.SetLinger(0); theirs.Close() }, syscall.ECONNRESET},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := pair(t)
			c.bring(ours, theirs)
			_, err := ours.Read(make([]byte, 1))
			var operation *net.OpError
			if !errors.Is(err, c.want) || !errors.As(err, &operation) || operation.Op != "read" {
				t.Errorf("answered %#v, %v", err, err)
			}
		})
	}
}

func TestADeadlineAndACloseEndAReadUnderWay(t *testing.T) {
	for name, end := range map[string]func(net.Conn) error{
		"deadline": func(c net.Conn) error { return c.SetReadDeadline(time.Unix(1, 0)) },
		"close":    net.Conn.Close,
	} {
		t.Run(name, func(t *testing.T) {
			ours, _ := pair(t)
			ended := make(chan error, 1)
			go func() { // ends with the read
				_, err := ours.Read(make([]byte, 1))
				ended <- err
			}()
			if err := end(ours); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err == nil {
				t.Error("the read brought something")
			}
		})
	}
}

func TestAReadTakesNoMemory(t *testing.T) {
	ours, theirs := pair(t)
	b := make([]byte, 8)
	if n := testing.AllocsPerRun(100, func() {
		_, _ = theirs.Write(b)
		_, _ = ours.Read(b)
		_, _ = ours.Write(b)
		_, _ = theirs.Read(b)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

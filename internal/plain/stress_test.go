package plain

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const (
	clients  = 8
	visits   = 60 // of each client, on a connection each
	mostAsks = 4  // on a connection
)

// careless answers like a proxy at its worst: somebody else reads the body, for
// longer than the handler runs; it answers before that has come, and may panic.
func careless(readers *sync.WaitGroup, over <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Body != http.NoBody {
			readers.Go(func() { _, _ = io.Copy(io.Discard, r.Body) }) // ends with the handler
		}
		switch rand.IntN(8) {
		case 0:
			panic(http.ErrAbortHandler)
		case 1:
			select {
			case <-r.Context().Done():
			case <-over: // who has asked for more already is not seen to leave, as with net/http
			}
		case 2:
			_ = http.NewResponseController(w).Flush() // who has left, has left
			_, _ = io.WriteString(w, text(100_000))
		case 3:
			w.WriteHeader(http.StatusEarlyHints)
		case 4:
			_, _ = io.Copy(w, r.Body)
		}
		_, _ = io.WriteString(w, "x")
	}
}

// visit is one connection of a client that leaves when it likes.
func visit(t *testing.T, addr string) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	tcp := conn.(*net.TCPConn)
	for range 1 + rand.IntN(mostAsks) {
		request := plainGet
		if rand.IntN(2) == 0 {
			request = fmt.Sprintf("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", 50_000, strings.Repeat("y", 50_000))
		}
		if rand.IntN(8) == 0 { // net/http's
			request = strings.Replace(request, "\r\n", "\r\nConnection: x\r\n", 1)
		}
		leaves := rand.IntN(4) == 0
		if leaves {
			request = request[:rand.IntN(len(request))]
		}
		_, _ = io.WriteString(conn, request) // an early answer may have ended the connection
		if leaves {
			break
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Duration(rand.IntN(150)) * time.Millisecond)) // then it has waited for long enough
		if _, err := io.CopyN(io.Discard, conn, 1+int64(rand.IntN(200))); err != nil {
			break
		}
	}
	switch rand.IntN(4) {
	case 0:
		_ = tcp.SetLinger(0) // without a word
	case 1:
		_ = tcp.CloseWrite()
		_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		_, _ = io.Copy(io.Discard, conn)
	}
}

func TestClientsThatLeaveAtAnyTimeLeaveNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) }) // when the site is closed
	var readers sync.WaitGroup
	over := make(chan struct{})
	s := serve(t, true, careless(&readers, over))
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range visits {
				visit(t, s.addr)
			}
		})
	}
	all.Wait()
	close(over)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := s.listener.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	readers.Wait()
	if log := s.log.String(); log != "" {
		t.Errorf("logged %s", log)
	}
}

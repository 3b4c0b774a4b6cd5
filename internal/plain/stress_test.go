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
	"sync/atomic"
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
func visit(addr string) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return // the listener is closed
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
	for name, before := range map[string]int64{"a server that stops then": clients * visits, "one that stops meanwhile": clients * visits / 3} {
		t.Run(name, func(t *testing.T) {
			current := goleak.IgnoreCurrent()
			t.Cleanup(func() { goleak.VerifyNone(t, current) }) // when the site is closed
			visited(t, before)
		})
	}
}

// visited has a site visited, and stops it after so many visits.
func visited(t *testing.T, before int64) {
	t.Helper()
	var readers, all sync.WaitGroup
	var count atomic.Int64
	over, enough := make(chan struct{}), make(chan struct{})
	s := serve(t, true, careless(&readers, over))
	for range clients {
		all.Go(func() {
			for range visits {
				visit(s.addr)
				if count.Add(1) == before {
					close(enough)
				}
			}
		})
	}
	receive(t, enough)
	close(over)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := s.listener.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	all.Wait()
	readers.Wait()
	if log := s.log.String(); log != "" {
		t.Errorf("logged %s", log)
	}
}

package http1

import (
	"bufio"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// closing answers one request on its first connection, and closes that once it has
// the second. All later ones it answers as it should.
func closing(t *testing.T) *server {
	return serving(t, func(conn net.Conn, r *bufio.Reader, n int) {
		for answers := 0; takes(r) && (n > 0 || answers == 0); answers++ {
			_, _ = io.WriteString(conn, okAnswer)
		}
	})
}

func TestWhatMayBeRepeatedGoesOutOnceMoreWhereAKeptConnectionHasEnded(t *testing.T) {
	for name, body := range map[string]string{"small": "x", "large": strings.Repeat("x", 1<<20)} {
		t.Run(name, func(t *testing.T) {
			s, transport := closing(t), newTransport(t)
			transport.RepeatAll = true
			for range 2 {
				mustDo(t, transport, request(t, "POST", s.url, strings.NewReader(body)), "200 OK: ok")
			}
			if n := s.accepted(); n != 2 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

func TestNothingElseIsRepeated(t *testing.T) {
	for name, c := range map[string]struct {
		all  bool
		body io.Reader
	}{
		"not allowed":                      {false, strings.NewReader("x")},
		"a body that can be read but once": {true, unsized("x")},
	} {
		t.Run(name, func(t *testing.T) {
			s, transport := closing(t), newTransport(t)
			transport.RepeatAll = c.all
			mustDo(t, transport, request(t, "GET", s.url, nil), "200 OK: ok")
			if got, err := do(t, transport, request(t, "POST", s.url, c.body)); err == nil {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestConnectionsAreKeptUpToABoundOverAllHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan int, 10)
		var pool pool
		defer pool.close()
		for n := range 5 {
			near, far := net.Pipe()
			go func() { // ends when the pool closes the other end
				_, _ = far.Read(make([]byte, 1))
				ended <- n
			}()
			pool.put(newConn(near, near, place{address: strconv.Itoa(n % 3)}), 10, 3, 0)
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if len(ended) != 2 || <-ended+<-ended != 1 {
			t.Error("the two oldest should have been closed, and only they")
		}
	})
}

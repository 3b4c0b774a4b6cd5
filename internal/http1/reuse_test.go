package http1

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAConnectionIsUsedAgain(t *testing.T) {
	for name, answer := range map[string]string{
		"a length": okAnswer,
		"chunks":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: 1\r\n\r\n",
		"HTTP/1.0": "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
		"early":    "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + okAnswer,
	} {
		t.Run(name, func(t *testing.T) {
			s, transport := serving(t, answering(answer)), newTransport(t)
			for range 3 {
				mustDo(t, transport, request(t, "GET", s.url, nil), "200 OK: ok")
				mustDo(t, transport, request(t, "POST", s.url, strings.NewReader("small")), "200 OK: ok")
			}
			if n := s.accepted(); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

func TestAConnectionIsUsedAgainBehindALargeBody(t *testing.T) {
	const requests = 40
	s, transport := serving(t, answering(okAnswer)), newTransport(t)
	for range requests / 2 {
		mustDo(t, transport, request(t, "POST", s.url, strings.NewReader(strings.Repeat("large", 100_000))), "200 OK: ok")
		mustDo(t, transport, request(t, "POST", s.url, unsized("of unknown size")), "200 OK: ok")
	}
	// Whoever sent the body may learn of its end after the response has come:
	// the connection is free a moment later than the next request.
	if n := s.accepted(); n > requests/4 {
		t.Errorf("%d connections for %d requests", n, requests)
	}
}

func TestAConnectionInDoubtIsNotUsedAgain(t *testing.T) {
	for name, answer := range map[string]string{
		"more than the length": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + "x",
		"a response too many":  okAnswer + okAnswer,
		"close":                "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.0":             "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
	} {
		t.Run(name, func(t *testing.T) {
			s, transport := serving(t, answering(answer)), newTransport(t)
			for range 3 {
				mustDo(t, transport, request(t, "GET", s.url, nil), "200 OK: ok")
			}
			if n := s.accepted(); n != 3 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

func TestWhatAnIdleConnectionSaysIsNobodysResponse(t *testing.T) {
	said := make(chan struct{})
	s, transport := serving(t, func(conn net.Conn, r *bufio.Reader, n int) {
		for takes(r) {
			_, _ = io.WriteString(conn, okAnswer)
			if n == 0 {
				_, _ = conn.Read(nil)
				<-said
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned")
				said <- struct{}{}
			}
		}
	}), newTransport(t)
	mustDo(t, transport, request(t, "GET", s.url, nil), "200 OK: ok")
	said <- struct{}{}
	<-said
	mustDo(t, transport, request(t, "POST", s.url, strings.NewReader("x")), "200 OK: ok")
	if n := s.accepted(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

func TestAConnectionThatWasClosedWhileIdleCostsNoRequest(t *testing.T) {
	closed := make(chan struct{})
	s, transport := serving(t, func(conn net.Conn, r *bufio.Reader, n int) {
		for takes(r) {
			_, _ = io.WriteString(conn, okAnswer)
			if n == 0 {
				conn.Close()
				close(closed)
			}
		}
	}), newTransport(t)
	mustDo(t, transport, request(t, "GET", s.url, nil), "200 OK: ok")
	<-closed
	mustDo(t, transport, request(t, "POST", s.url, unsized("not to be sent twice")), "200 OK: ok")
}

// An upstream may close at the very moment when a request is on its way. Only
// what changes nothing is sent again.
func TestOnlySafeRequestsAreSentAgain(t *testing.T) {
	for method, again := range map[string]bool{
		"GET": true, "HEAD": true, "OPTIONS": true, "TRACE": true, "POST": false, "PUT": false, "DELETE": false, "PATCH": false, "PURGE": false,
	} {
		t.Run(method, func(t *testing.T) {
			s, transport := serving(t, func(conn net.Conn, r *bufio.Reader, n int) {
				for i := 0; takes(r) && (n > 0 || i == 0); i++ {
					_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
				}
			}), newTransport(t)
			mustDo(t, transport, request(t, "GET", s.url, nil), "204 No Content: ")
			_, err := do(t, transport, request(t, method, s.url, nil))
			if (err == nil) != again || s.accepted() != map[bool]int{true: 2, false: 1}[again] {
				t.Errorf("%v after %d connections", err, s.accepted())
			}
		})
	}
}

func TestARequestIsSentAgainOnlyOnceAndNeverOnANewConnection(t *testing.T) {
	s, transport := serving(t, func(conn net.Conn, r *bufio.Reader, n int) {
		if takes(r) && n == 0 {
			_, _ = io.WriteString(conn, okAnswer)
			takes(r)
		}
	}), newTransport(t)
	mustDo(t, transport, request(t, "GET", s.url, nil), "200 OK: ok")
	if got, err := do(t, transport, request(t, "GET", s.url, nil)); err == nil || s.accepted() != 2 {
		t.Errorf("%q, %v after %d connections", got, err, s.accepted())
	}
}

func TestASafeRequestWithABodyIsNotSentAgain(t *testing.T) {
	s, transport := serving(t, func(conn net.Conn, r *bufio.Reader, n int) {
		for i := 0; takes(r) && (n > 0 || i == 0); i++ {
			_, _ = io.WriteString(conn, okAnswer)
		}
	}), newTransport(t)
	mustDo(t, transport, request(t, "GET", s.url, nil), "200 OK: ok")
	if got, err := do(t, transport, request(t, "GET", s.url, strings.NewReader("x"))); err == nil {
		t.Errorf("got %q", got)
	}
}

func TestNoMoreConnectionsAreKeptThanAsked(t *testing.T) {
	s, transport := serving(t, answering(okAnswer)), newTransport(t)
	transport.MaxIdleConnsPerHost = 2
	var all []*http.Response
	for range 5 {
		res, err := transport.RoundTrip(request(t, "GET", s.url, nil))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, res)
	}
	for _, res := range all {
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	kept := transport.idle.conns[placeOf(request(t, "GET", s.url, nil).URL)].conns
	if len(kept) != 2 || !kept[0].isQuiet() || !kept[1].isQuiet() {
		t.Errorf("%d idle connections", len(kept))
	}
}

func TestIdleConnectionsAgeAndTheOldestGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan int, 10)
		var pool pool
		put := func(n int) {
			near, far := net.Pipe()
			go func() { // ends when the pool closes the other end
				_, _ = far.Read(make([]byte, 1))
				ended <- n
			}()
			pool.put(newConn(near, near, place{}), 10, 0, 4*time.Second)
		}
		put(0)
		time.Sleep(3 * time.Second)
		put(1)
		time.Sleep(time.Second)
		synctest.Wait()
		if len(ended) != 1 || <-ended != 0 {
			t.Fatal("the first one should have been closed after 4 s, and only it")
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if len(ended) != 1 || <-ended != 1 || pool.timer != nil || len(pool.conns) != 0 {
			t.Fatal("the second one should have been closed 4 s after it came, and nothing be left")
		}
		put(2)
		put(3)
		pool.close()
		synctest.Wait()
		if len(ended) != 2 {
			t.Fatal("closing should have closed both")
		}
	})
}

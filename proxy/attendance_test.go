package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// accepting remembers the first connection that it accepts.
type accepting struct {
	net.Listener
	conns chan *clientConn
}

func (a accepting) Accept() (net.Conn, error) {
	conn, err := a.Listener.Accept()
	if c, ok := conn.(*clientConn); ok {
		select {
		case a.conns <- c:
		default:
		}
	}
	return conn, err
}

// until returns once the attendance of a connection is so.
func until(t *testing.T, c *clientConn, so func(*attendance) bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		c.mu.Lock()
		is := so(&c.attendance)
		c.mu.Unlock()
		if is {
			return
		}
	}
	t.Fatal("it is not")
}

// used answers a connection on which a request has been answered already: net/http
// attends the first itself.
func used(t *testing.T, s *stand) (io.ReadWriteCloser, *bufio.Reader) {
	t.Helper()
	conn := dial(t, s.addr)
	r := bufio.NewReader(conn)
	fmt.Fprint(conn, "GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
	if res, _, err := readOne(r, http.MethodGet); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", res, err)
	}
	return conn, r
}

// slowBut answers at once, but for /slow, which it answers once it is told to,
// or never where its request ends before.
func slowBut(t *testing.T) (s *stand, arrived, answer, ended chan struct{}) {
	t.Helper()
	arrived, answer, ended = make(chan struct{}), make(chan struct{}), make(chan struct{})
	s = setUp(t, Options{Upstream: serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/slow" {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		select {
		case <-answer:
		case <-r.Context().Done():
			close(ended)
		}
	})})
	return s, arrived, answer, ended
}

func TestAClientThatLeavesLaterOnAConnectionIsSeenToo(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		for name, request := range map[string]string{
			"without a body": "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n",
			"with one":       "POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
		} {
			t.Run(name, func(t *testing.T) {
				s, arrived, _, ended := slowBut(t)
				conn, _ := used(t, s)
				fmt.Fprint(conn, request)
				receive(t, arrived)
				conn.Close()
				receive(t, ended)
				eventually(t, s.proxy.metrics.requests.WithLabelValues("499", strings.Fields(request)[0], kindForwarded), 1)
			})
		}
	})
}

func TestARequestThatTakesLongLeavesItsConnectionInOrder(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		for name, ahead := range map[string]string{
			"nothing more":     "",
			"the next request": "GET /next HTTP/1.1\r\nHost: a\r\n\r\n",
			"a part of it":     "G",
		} {
			t.Run(name, func(t *testing.T) {
				s, arrived, answer, _ := slowBut(t)
				conn, r := used(t, s)
				fmt.Fprint(conn, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
				receive(t, arrived)
				of := receive(t, s.conns)
				until(t, of, func(a *attendance) bool { return a.watching })
				if ahead != "" {
					fmt.Fprint(conn, ahead)
					until(t, of, func(a *attendance) bool { return a.has })
				}
				close(answer)
				next := "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
				fmt.Fprint(conn, strings.TrimPrefix(next, ahead))
				for range 2 {
					if res, _, err := readOne(r, http.MethodGet); err != nil || res.StatusCode != http.StatusOK {
						t.Fatalf("%v, %v", res, err)
					}
				}
			})
		}
	})
}

func TestAnOwnHandlerSeesItsClientLeave(t *testing.T) {
	entered, ended := make(chan struct{}), make(chan struct{})
	own := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(ended)
	})
	s := setUp(t, Options{Upstream: serve(t, func(http.ResponseWriter, *http.Request) {}), Ruling: Ruling{OwnPaths: []string{"/own/"}, Own: own}})
	conn, _ := used(t, s)
	fmt.Fprint(conn, "GET /own/ HTTP/1.1\r\nHost: a\r\n\r\n")
	receive(t, entered)
	conn.Close()
	receive(t, ended)
}

// net/http sets a deadline for each head; it must not be taken for the body's.
func TestADeadlineForTheHeadIsNoneForTheBody(t *testing.T) {
	s := setUpBounded(t, Options{Upstream: serve(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })},
		ListenerOptions{}, 30*time.Millisecond)
	conn, r := used(t, s)
	pause := time.NewTicker(60 * time.Millisecond) // longer than a head may take
	defer pause.Stop()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\n")
	fmt.Fprint(conn, "Host: a\r\nContent-Length: 4\r\n\r\n12")
	for range 2 {
		<-pause.C
	}
	fmt.Fprint(conn, "34")
	if res, _, err := readOne(r, http.MethodPost); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", res, err)
	}
}

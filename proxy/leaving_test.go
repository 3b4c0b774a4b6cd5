package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// used answers a connection on which a request has been answered already.
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

// slowBut answers at once, but for /slow, which it never answers.
func slowBut(t *testing.T) (s *stand, arrived, ended chan struct{}) {
	t.Helper()
	arrived, ended = make(chan struct{}), make(chan struct{})
	s = setUp(t, Options{Upstream: serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/slow" {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
		close(ended)
	})})
	return s, arrived, ended
}

func TestAClientThatLeavesLaterOnAConnectionIsSeenToo(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		for name, request := range map[string]string{
			"without a body": "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n",
			"with one":       "POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
		} {
			t.Run(name, func(t *testing.T) {
				s, arrived, ended := slowBut(t)
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

// The deadline for a head must not be taken for the body's.
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

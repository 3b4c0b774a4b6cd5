package http1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hookproxy/hookproxy/internal/socket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits for what should happen at once.
const patience = 10 * time.Second

// server is an upstream made by hand.
type server struct {
	url   string
	mu    sync.Mutex
	conns int
}

// serving runs a handler for each connection, with its number from 0.
func serving(t testing.TB, handle func(conn net.Conn, r *bufio.Reader, n int)) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{url: "http://" + ln.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() { // ends when the listener is closed; waited for below
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			n := s.next()
			all.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(patience))
				handle(conn, bufio.NewReader(conn), n)
			})
		}
	})
	t.Cleanup(func() { ln.Close(); all.Wait() })
	return s
}

func (s *server) next() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns++
	return s.conns - 1
}

// accepted answers how many connections there were.
func (s *server) accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// answering says the same to each request, and keeps the connection.
func answering(text string) func(net.Conn, *bufio.Reader, int) {
	return func(conn net.Conn, r *bufio.Reader, _ int) {
		for takes(r) {
			if _, err := io.WriteString(conn, text); err != nil {
				return
			}
		}
	}
}

// takes reads a whole request, if there is one.
func takes(r *bufio.Reader) bool {
	request, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, request.Body)
	return err == nil
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// newTransport is closed before the servers are. Its connections can be asked.
func newTransport(t testing.TB) *Transport {
	t.Helper()
	made := &Transport{DialContext: dialFaster, MaxIdleConnsPerHost: 10, ExpectContinueTimeout: patience}
	t.Cleanup(made.CloseIdleConnections)
	return made
}

func dialFaster(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return socket.Faster(conn), nil
}

// overConns runs a test on connections that can be asked, and on net's. It makes
// its transport when its server is there, or would close it too late.
func overConns(t *testing.T, test func(t *testing.T, transport func() *Transport)) {
	t.Run("faster", func(t *testing.T) { test(t, func() *Transport { return newTransport(t) }) })
	t.Run("net's", func(t *testing.T) {
		test(t, func() *Transport {
			made := newTransport(t)
			made.DialContext = new(net.Dialer).DialContext
			return made
		})
	})
}

func request(t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// do answers a response's status and body.
func do(t testing.TB, transport *Transport, r *http.Request) (string, error) {
	t.Helper()
	res, err := transport.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.Status + ": " + string(body), err
}

func mustDo(t testing.TB, transport *Transport, r *http.Request, want string) {
	t.Helper()
	if got, err := do(t, transport, r); err != nil || got != want {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

func receive[T any](t testing.TB, from <-chan T) (value T) {
	t.Helper()
	select {
	case value = <-from:
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return value
}

func cancellable(t testing.TB, r *http.Request) (*http.Request, context.CancelCauseFunc) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	return r.WithContext(ctx), cancel
}

var errLeft = errors.New("the client left")

// unsized hides a reader's length.
func unsized(text string) io.Reader { return io.MultiReader(strings.NewReader(text)) }

package http1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// What a connection that is kept has to do as a new one does, though the request
// may go out in another way.

func TestHoweverManyConnectionsEndedWhileIdleTheyCostNoRequest(t *testing.T) {
	const kept = 4
	for _, body := range []string{"", "small", strings.Repeat("large", 10_000)} {
		overConns(t, func(t *testing.T, newTransport func() *Transport) {
			end, ended := make(chan struct{}), make(chan struct{})
			s := serving(t, func(conn net.Conn, r *bufio.Reader, n int) {
				for takes(r) {
					_, _ = io.WriteString(conn, okAnswer)
					if n < kept {
						<-end
						conn.Close()
						ended <- struct{}{}
						return
					}
				}
			})
			transport := newTransport()
			var responses []*http.Response
			for range kept {
				res, err := transport.RoundTrip(request(t, "GET", s.url, nil))
				if err != nil {
					t.Fatal(err)
				}
				responses = append(responses, res)
			}
			for _, res := range responses {
				_, _ = io.Copy(io.Discard, res.Body)
			}
			close(end)
			for range kept {
				<-ended
			}
			f := &follower{}
			mustDo(t, transport, followed(request(t, "POST", s.url, strings.NewReader(body)), f), "200 OK: ok")
			if n := s.accepted(); n != kept+1 || f.wrote != 1 {
				t.Errorf("%d connections; the request went out %d times", n, f.wrote)
			}
		})
	}
}

func followed(r *http.Request, f Follower) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), FollowerKey{}, f))
}

// silent answers one request, and only reads from then on.
func silent(conn net.Conn, r *bufio.Reader, _ int) {
	if takes(r) {
		_, _ = io.WriteString(conn, okAnswer)
		_, _ = io.Copy(io.Discard, r)
	}
}

func TestAKeptConnectionThatDoesNotAnswerTimesOut(t *testing.T) {
	overConns(t, func(t *testing.T, newTransport func() *Transport) {
		s, f := serving(t, silent), &follower{}
		transport := newTransport()
		transport.ResponseHeaderTimeout = 20 * time.Millisecond
		mustDo(t, transport, request(t, "GET", s.url, nil), "200 OK: ok")
		_, err := do(t, transport, followed(request(t, "DELETE", s.url, nil), f))
		if !errors.Is(err, os.ErrDeadlineExceeded) || f.wrote != 1 || s.accepted() != 1 {
			t.Errorf("%v; the request went out %d times, on %d connections", err, f.wrote, s.accepted())
		}
	})
}

func TestOneWhoLeavesAKeptConnectionIsNotWaitedFor(t *testing.T) {
	overConns(t, func(t *testing.T, newTransport func() *Transport) {
		heard, closed := make(chan struct{}), make(chan struct{})
		s := serving(t, func(conn net.Conn, r *bufio.Reader, _ int) {
			takes(r)
			_, _ = io.WriteString(conn, okAnswer)
			takes(r)
			close(heard)
			_, _ = io.Copy(io.Discard, r)
			close(closed)
		})
		transport := newTransport()
		mustDo(t, transport, request(t, "GET", s.url, nil), "200 OK: ok")
		r, leave := cancellable(t, request(t, "POST", s.url, strings.NewReader("x")))
		go func() { // ends with the request's arrival
			<-heard
			leave(errLeft)
		}()
		if _, err := do(t, transport, r); !errors.Is(err, errLeft) {
			t.Error(err)
		}
		receive(t, closed)
	})
}

// leaver is a context that tells one watcher.
type leaver struct {
	context.Context
	watcher chan Watcher
	left    atomic.Bool
}

func (l *leaver) Watch(w Watcher) bool   { l.watcher <- w; return true }
func (l *leaver) Unwatch(_ Watcher) bool { return !l.left.Load() }

func TestAWatchedContextCutsTheConnectionAsAnyOtherDoes(t *testing.T) {
	overConns(t, func(t *testing.T, newTransport func() *Transport) {
		heard := make(chan struct{})
		s := serving(t, func(conn net.Conn, r *bufio.Reader, n int) {
			for i := 0; takes(r); i++ {
				if n == 0 && i == 1 {
					close(heard)
					_, _ = io.Copy(io.Discard, r)
					return
				}
				_, _ = io.WriteString(conn, okAnswer)
			}
		})
		transport := newTransport()
		mustDo(t, transport, request(t, "GET", s.url, nil), "200 OK: ok")
		l := &leaver{Context: t.Context(), watcher: make(chan Watcher, 1)}
		go func() { // ends with the request's arrival
			<-heard
			l.left.Store(true)
			(<-l.watcher).Gone()
		}()
		if _, err := do(t, transport, request(t, "DELETE", s.url, nil).WithContext(l)); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		mustDo(t, transport, request(t, "GET", s.url, nil), "200 OK: ok")
		if n := s.accepted(); n != 2 {
			t.Errorf("%d connections", n)
		}
	})
}

func TestABodyReadToItsEndHasNoPartInTheNextResponse(t *testing.T) {
	for name, answer := range map[string]string{
		"a length": okAnswer,
		"chunks":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s, transport := serving(t, answering(answer)), newTransport(t)
			first, err := transport.RoundTrip(request(t, "GET", s.url, nil))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(first.Body); err != nil {
				t.Fatal(err)
			}
			second, err := transport.RoundTrip(request(t, "GET", s.url, nil))
			if err != nil {
				t.Fatal(err)
			}
			if n, err := first.Body.Read(make([]byte, 10)); n != 0 || err != io.EOF || !first.Body.(*body).Ready() {
				t.Errorf("the first brought %d bytes more, %v", n, err)
			}
			first.Body.Close()
			if got, err := io.ReadAll(second.Body); string(got) != "ok" || err != nil || s.accepted() != 1 {
				t.Errorf("the second brought %q, %v, on connection %d", got, err, s.accepted())
			}
			second.Body.Close()
		})
	}
}

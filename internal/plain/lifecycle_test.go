package plain

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener for connections within a bubble of synctest.
type pipes struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

const (
	headTime = 10 * time.Second
	idleTime = 2 * time.Minute
)

// inBubble runs a test whose clock moves when nobody is busy.
func inBubble(t *testing.T, handler http.HandlerFunc, test func(t *testing.T, l *Listener, dial func() net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		inner := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: headTime, IdleTimeout: idleTime}
		l := Listen(inner, server)
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(l) }() // ends with Close below
		test(t, l, func() net.Conn {
			client, ours := net.Pipe()
			inner.conns <- stalling{ours}
			return client
		})
		_ = server.Close() // nobody is left to care
		l.Cut()
		<-ended
	})
}

func ok(http.ResponseWriter, *http.Request) {}

// ask has one request answered.
func ask(t *testing.T, conn net.Conn, r *bufio.Reader) *http.Response {
	t.Helper()
	if _, err := io.WriteString(conn, plainGet); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// closedAfter answers when the other side ends the connection.
func closedAfter(t *testing.T, conn net.Conn) time.Duration {
	t.Helper()
	began := time.Now()
	if n, err := conn.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		t.Fatalf("read %d bytes, %v", n, err)
	}
	return time.Since(began)
}

func TestAConnectionWithoutARequestEndsAfterTheTimeForAHead(t *testing.T) {
	for _, sent := range []string{"", "G", "GET / HTTP/1.1\r\nHos"} {
		inBubble(t, ok, func(t *testing.T, _ *Listener, dial func() net.Conn) {
			conn := dial()
			_, _ = io.WriteString(conn, sent)
			if after := closedAfter(t, conn); after != headTime {
				t.Errorf("with %q, after %v", sent, after)
			}
		})
	}
}

func TestAnIdleConnectionEndsAfterItsTime(t *testing.T) {
	inBubble(t, ok, func(t *testing.T, _ *Listener, dial func() net.Conn) {
		conn := dial()
		r := bufio.NewReader(conn)
		for range 5 { // each time anew
			ask(t, conn, r)
			time.Sleep(idleTime - time.Second)
		}
		ask(t, conn, r)
		if after := closedAfter(t, conn); after != idleTime {
			t.Errorf("after %v", after)
		}
	})
}

func TestALaterHeadHasItsTimeToo(t *testing.T) {
	inBubble(t, ok, func(t *testing.T, _ *Listener, dial func() net.Conn) {
		conn := dial()
		ask(t, conn, bufio.NewReader(conn))
		time.Sleep(time.Minute)
		fmt.Fprint(conn, "GET / HTTP/1.1\r\n")
		if after := closedAfter(t, conn); after != headTime {
			t.Errorf("after %v", after)
		}
	})
}

func TestABodyMayTakeItsTime(t *testing.T) {
	read := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %v", body, err)
	}
	inBubble(t, read, func(t *testing.T, _ *Listener, dial func() net.Conn) {
		conn := dial()
		r := bufio.NewReader(conn)
		ask(t, conn, r).Body.Close()
		fmt.Fprint(conn, "POST / HTTP/1.1\r\n")
		fmt.Fprint(conn, "Host: a\r\nContent-Length: 4\r\n\r\n12")
		time.Sleep(time.Hour)
		fmt.Fprint(conn, "34")
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(res.Body); string(body) != "1234 <nil>" {
			t.Errorf("the handler read %q", body)
		}
		if after := closedAfter(t, conn); after != idleTime {
			t.Errorf("after %v", after)
		}
	})
}

func TestAClientThatLeavesEndsTheContext(t *testing.T) {
	for name, request := range map[string]string{
		"without a body": plainGet,
		"with one":       "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan time.Time, 1)
			wait := func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
				ended <- time.Now()
			}
			inBubble(t, wait, func(t *testing.T, _ *Listener, dial func() net.Conn) {
				conn := dial()
				fmt.Fprint(conn, request)
				time.Sleep(time.Hour)
				left := time.Now()
				conn.Close()
				if after := (<-ended).Sub(left); after != 0 {
					t.Errorf("after %v", after)
				}
			})
		})
	}
}

func TestAContextEndsWithItsRequest(t *testing.T) {
	var ctx context.Context
	inBubble(t, func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() }, func(t *testing.T, _ *Listener, dial func() net.Conn) {
		conn := dial()
		ask(t, conn, bufio.NewReader(conn))
		synctest.Wait()
		if !errors.Is(ctx.Err(), context.Canceled) {
			t.Error(ctx.Err())
		}
	})
}

// The client is watched by reading; what is read that way is the next request's.
func TestARequestThatTakesLongLeavesItsConnectionInOrder(t *testing.T) {
	for name, ahead := range map[string]string{"nothing more": "", "the next request": plainGet, "a part of it": "G", "more than there is room for": strings.Repeat(plainGet, 200)} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			slow := func(w http.ResponseWriter, r *http.Request) {
				if asked++; asked == 1 {
					time.Sleep(time.Minute)
				}
				fmt.Fprint(w, r.Context().Err())
			}
			inBubble(t, slow, func(t *testing.T, _ *Listener, dial func() net.Conn) {
				conn := dial()
				sent := make(chan struct{})
				go func() { // ends with the connection at the latest
					defer close(sent)
					fmt.Fprint(conn, plainGet)
					time.Sleep(time.Second)
					fmt.Fprint(conn, ahead)
					time.Sleep(time.Minute)
					if len(ahead) < len(plainGet) {
						fmt.Fprint(conn, strings.TrimPrefix(plainGet, ahead))
					}
				}()
				r := bufio.NewReader(conn)
				for range 1 + max(1, strings.Count(ahead, "GET")) {
					res, err := http.ReadResponse(r, nil)
					if err != nil {
						t.Fatal(err)
					}
					if body, err := io.ReadAll(res.Body); string(body) != "<nil>" || err != nil {
						t.Errorf("%q, %v", body, err)
					}
				}
				conn.Close()
				<-sent
			})
		})
	}
}

func TestClosingWaitsForWhatIsUnderWay(t *testing.T) {
	slow := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			time.Sleep(time.Minute)
		}
	}
	inBubble(t, slow, func(t *testing.T, l *Listener, dial func() net.Conn) {
		fresh, idle, busy := dial(), dial(), dial()
		ask(t, idle, bufio.NewReader(idle))
		fmt.Fprint(busy, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
		began, down := time.Now(), make(chan error, 1)
		var after time.Duration
		go func() { // ends with busy's request
			err := l.Shutdown(t.Context())
			after = time.Since(began)
			down <- err
		}()
		synctest.Wait()
		if after := closedAfter(t, idle); after != idlePatience {
			t.Errorf("the idle connection after %v", after)
		}
		if after := closedAfter(t, fresh); after != newPatience-idlePatience {
			t.Errorf("the new connection after %v", after)
		}
		res, err := http.ReadResponse(bufio.NewReader(busy), nil)
		if err != nil || !res.Close {
			t.Errorf("%+v, %v", res, err)
		}
		if err := <-down; err != nil || after != time.Minute {
			t.Errorf("%v after %v", err, after)
		}
	})
}

func TestANewConnectionMayStillAskWhileClosing(t *testing.T) {
	inBubble(t, ok, func(t *testing.T, l *Listener, dial func() net.Conn) {
		conn := dial()
		synctest.Wait()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r := bufio.NewReader(conn)
		if res := ask(t, conn, r); !res.Close {
			t.Error("the connection is said to go on")
		}
		closedAfter(t, conn)
	})
}

func TestShutdownGivesUpWithItsContextAndCutEndsTheRest(t *testing.T) {
	inBubble(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, func(t *testing.T, l *Listener, dial func() net.Conn) {
		conn := dial()
		fmt.Fprint(conn, plainGet)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := l.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		l.Cut()
		closedAfter(t, conn)
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

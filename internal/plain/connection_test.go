package plain

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"
)

const stall = time.Minute

// stalling is a connection whose client may not take longer for what is written,
// as proxy.NewListener makes them. It can be half closed.
type stalling struct{ net.Conn }

func (s stalling) Write(b []byte) (int, error) {
	if err := s.Conn.SetWriteDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	return s.Conn.Write(b)
}

func (s stalling) CloseWrite() error { return nil }

func TestAClientThatTakesNothingEndsTheContext(t *testing.T) {
	var ended time.Time
	inBubble(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush() // is not taken
		<-r.Context().Done()
		ended = time.Now()
	}, func(t *testing.T, _ *Listener, dial func() net.Conn) {
		began, conn := time.Now(), dial()
		fmt.Fprint(conn, plainGet)
		time.Sleep(2 * stall)
		synctest.Wait()
		if after := ended.Sub(began); after != stall {
			t.Errorf("after %v", after)
		}
		conn.Close()
	})
}

// only answers the listener's one connection.
func only(t *testing.T, l *Listener) *conn {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if len(l.conns) == 1 {
			return c
		}
	}
	t.Fatalf("there are %d connections", len(l.conns))
	return nil
}

func TestASlowUploadIsNotLookedAtAgainAndAgain(t *testing.T) {
	var left time.Time
	inBubble(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		left = time.Now()
	}, func(t *testing.T, l *Listener, dial func() net.Conn) {
		conn := dial()
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1")
		time.Sleep(time.Hour)
		c := only(t, l)
		c.mu.Lock()
		if c.armed {
			t.Error("the timer runs")
		}
		c.mu.Unlock()
		fmt.Fprint(conn, "2")
		time.Sleep(time.Hour)
		went := time.Now()
		conn.Close() // which is seen all the same
		synctest.Wait()
		if after := left.Sub(went); after != 0 {
			t.Errorf("after %v", after)
		}
	})
}

// One idle connection is nothing, but there may be thousands.
func TestAnIdleConnectionKeepsNothingOfItsRequests(t *testing.T) {
	for name, took := range map[string]time.Duration{"a quick one": 0, "a slow one": time.Minute} {
		t.Run(name, func(t *testing.T) {
			var request weak.Pointer[http.Request]
			var value weak.Pointer[[1 << 10]string]
			inBubble(t, func(w http.ResponseWriter, r *http.Request) {
				values := new([1 << 10]string)
				request, value = weak.Make(r), weak.Make(values)
				w.Header()["X-Large"] = values[:1]
				w.Header().Set("X", strings.Repeat("x", 100<<10))
				time.Sleep(took)
			}, func(t *testing.T, l *Listener, dial func() net.Conn) {
				conn := dial()
				ask(t, conn, bufio.NewReader(conn))
				time.Sleep(time.Second)
				synctest.Wait()
				runtime.GC()
				if request.Value() != nil || value.Value() != nil {
					t.Errorf("it keeps the request %v, the response's fields %v", request.Value() != nil, value.Value() != nil)
				}
				if c := only(t, l); cap(c.in)+cap(c.out) > 16<<10 {
					t.Errorf("it keeps %d bytes for reading and %d for writing", cap(c.in), cap(c.out))
				}
			})
		})
	}
}

func TestAStreamHoldsNoOutputBufferBetweenItsEvents(t *testing.T) {
	var next chan struct{}
	inBubble(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			_, _ = io.WriteString(w, "event\n")
			_ = http.NewResponseController(w).Flush() // the test reads
			<-next
		}
		_, _ = io.WriteString(w, "end\n")
	}, func(t *testing.T, l *Listener, dial func() net.Conn) {
		next = make(chan struct{})
		conn := dial()
		lines := bufio.NewReader(ask(t, conn, bufio.NewReader(conn)).Body)
		for _, want := range []string{"event\n", "event\n", "event\n", "end\n"} {
			if got, err := lines.ReadString('\n'); got != want || err != nil {
				t.Fatalf("%q, %v", got, err)
			}
			synctest.Wait()
			if only(t, l).lent != nil {
				t.Error("it is lent")
			}
			if want == "event\n" {
				next <- struct{}{}
			}
		}
	})
}

// written counts the writes to a client.
type written struct {
	net.Conn
	count int
}

func (w *written) Write(b []byte) (int, error) {
	w.count++
	return w.Conn.Write(b)
}

// A write is what costs most of all that happens to a response.
func TestAnAnswerOfUsualSizeIsOneWrite(t *testing.T) {
	for name, size := range map[string]int{"none": 0, "short": 100, "usual": 8 << 10} {
		for _, length := range []string{"", fmt.Sprint(size)} {
			t.Run(name+" "+length, func(t *testing.T) {
				inBubble(t, func(w http.ResponseWriter, _ *http.Request) {
					if length != "" {
						set(w, "Content-Length", length)
					}
					_, _ = io.WriteString(w, text(size)[:size/2])
					_, _ = io.WriteString(w, text(size)[size/2:])
				}, func(t *testing.T, l *Listener, dial func() net.Conn) {
					conn := dial()
					synctest.Wait()
					counting := &written{Conn: only(t, l).Conn}
					only(t, l).Conn = counting
					res := ask(t, conn, bufio.NewReader(conn))
					body, err := io.ReadAll(res.Body)
					if string(body) != text(size) || err != nil || counting.count != 1 {
						t.Errorf("%d bytes by %d writes, %v", len(body), counting.count, err)
					}
				})
			})
		}
	}
}

// Closing while the client still sends would take the answer with it.
func TestAnEarlyAnswerReachesAClientThatSendsSlowlyToTheEnd(t *testing.T) {
	inBubble(t, ok, func(t *testing.T, _ *Listener, dial func() net.Conn) {
		conn := dial()
		answered := make(chan error, 1)
		go func() { // ends with the answer
			_, err := http.ReadResponse(bufio.NewReader(conn), nil)
			answered <- err
		}()
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90\r\n\r\n")
		for range 9 {
			time.Sleep(lingerPause - time.Millisecond)
			if _, err := io.WriteString(conn, strings.Repeat("x", 10)); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-answered; err != nil {
			t.Error(err)
		}
		if after := closedAfter(t, conn); after != 0 { // there is nothing to wait for
			t.Errorf("closed after %v", after)
		}
	})
}

func TestLingeringEnds(t *testing.T) {
	for name, c := range map[string]struct{ pause, most time.Duration }{
		"with a client that sends nothing":        {time.Hour, lingerPause},
		"with a client that sends without an end": {lingerPause / 2, lingerMost},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, ok, func(t *testing.T, _ *Listener, dial func() net.Conn) {
				conn := dial()
				go func() { _, _ = io.Copy(io.Discard, conn) }() // ends with the connection
				fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
				began := time.Now()
				synctest.Wait()
				for {
					time.Sleep(c.pause)
					if _, err := io.WriteString(conn, "x"); err != nil {
						break
					}
				}
				if after := time.Since(began); after < c.most || after > c.most+c.pause {
					t.Errorf("closed after %v", after)
				}
			})
		})
	}
}

package plain

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Wherever a network cuts it in two.
func TestARequestMayComeInAnyTwoPieces(t *testing.T) {
	const sent = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}\r\n" + plainGet
	read := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %v", r.Method, body, err)
	}
	inBubble(t, read, func(t *testing.T, _ *Listener, dial func() net.Conn) {
		for cut := range len(sent) {
			conn := dial()
			go func() { // ends with the answers
				_, _ = io.WriteString(conn, sent[:cut])
				time.Sleep(time.Second)
				_, _ = io.WriteString(conn, sent[cut:])
			}()
			began, r := time.Now(), bufio.NewReader(conn)
			for _, want := range []string{"POST {} <nil>", "GET  <nil>"} {
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatalf("cut at %d: %v", cut, err)
				}
				if body, _ := io.ReadAll(res.Body); string(body) != want {
					t.Errorf("cut at %d: %q", cut, body)
				}
			}
			if after := time.Since(began); after > time.Second {
				t.Errorf("cut at %d: after %v", cut, after)
			}
			conn.Close()
		}
		time.Sleep(time.Second)
	})
}

// Whoever waits for us to make up our mind waits in vain.
func TestWhatIsNotPlainIsLeftToNetHTTPAtOnce(t *testing.T) {
	for _, sent := range []string{"GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\n\r\n", "GET / HTTP/1.0\r\n\r\n"} {
		inBubble(t, ok, func(t *testing.T, _ *Listener, dial func() net.Conn) {
			conn, began := dial(), time.Now()
			fmt.Fprint(conn, sent)
			if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || res.StatusCode != http.StatusOK || time.Since(began) != 0 {
				t.Errorf("%q: %v, %v after %v", sent, res, err, time.Since(began))
			}
			conn.Close()
		})
	}
}

// A transport may go on reading a body when the handler has returned, and must not
// write what it reads, whatever that is, into memory that is somebody else's.
func TestWhoeverStillReadsABodyEndsWithTheResponse(t *testing.T) {
	var failed error
	var ended time.Time
	inBubble(t, func(w http.ResponseWriter, r *http.Request) {
		go func() { // ends with the response
			_, failed = io.Copy(io.Discard, r.Body)
			ended = time.Now()
		}()
		time.Sleep(time.Minute)
	}, func(t *testing.T, _ *Listener, dial func() net.Conn) {
		conn, began := dial(), time.Now()
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n12")
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || !res.Close {
			t.Fatal(res, err)
		}
		synctest.Wait()
		if failed == nil || ended.Sub(began) != time.Minute {
			t.Errorf("reading ended after %v, %v", ended.Sub(began), failed)
		}
		conn.Close()
	})
}

// The head fills the input buffer to its last byte, or the body breaks off.
func TestAClientIsSeenToLeaveWhateverHeHasSent(t *testing.T) {
	full := "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", firstRead)
	for name, request := range map[string]string{
		"a head that fills the buffer": full[:firstRead-4] + "\r\n\r\n",
		"half a body":                  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n12",
	} {
		t.Run(name, func(t *testing.T) {
			var ended time.Time
			inBubble(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
				ended = time.Now()
			}, func(t *testing.T, _ *Listener, dial func() net.Conn) {
				conn := dial()
				fmt.Fprint(conn, request)
				time.Sleep(time.Hour)
				left := time.Now()
				conn.Close()
				time.Sleep(time.Hour)
				synctest.Wait()
				if after := ended.Sub(left); after < 0 || after > 2*attendPatience {
					t.Errorf("after %v", after)
				}
			})
		})
	}
}

func TestALargeRequestLeavesNoLargeBufferBehind(t *testing.T) {
	inBubble(t, ok, func(t *testing.T, l *Listener, dial func() net.Conn) {
		conn := dial()
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: a\r\nCookie: %s\r\n\r\n", strings.Repeat("x", 10<<10))
		if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if c := only(t, l); len(c.in) != firstRead {
			t.Errorf("%d bytes", len(c.in))
		}
	})
}

func TestABodyMayTakeItsTimeThoughTheListenerIsClosed(t *testing.T) {
	inBubble(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }, func(t *testing.T, l *Listener, dial func() net.Conn) {
		conn := dial()
		synctest.Wait()
		_ = l.Close() // its error is another test's
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1")
		time.Sleep(time.Hour)
		fmt.Fprint(conn, "2")
		if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || !res.Close {
			t.Error(res, err)
		}
	})
}

// Its head was on its way when the listener was closed, and did not say so.
func TestBehindAResponseThatPromisedMoreThereMayBeARequest(t *testing.T) {
	inBubble(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
		time.Sleep(time.Minute)
	}, func(t *testing.T, l *Listener, dial func() net.Conn) {
		conn := dial()
		r := bufio.NewReader(conn)
		res := ask(t, conn, r)
		_ = l.Close()
		_, _ = io.Copy(io.Discard, res.Body)
		if res = ask(t, conn, r); !res.Close {
			t.Error("the connection is said to go on")
		}
		_, _ = io.Copy(io.Discard, res.Body)
	})
}

func TestBehindAResponseThatPromisedMoreNobodyWaitsForLong(t *testing.T) {
	inBubble(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
		time.Sleep(time.Minute)
	}, func(t *testing.T, l *Listener, dial func() net.Conn) {
		conn := dial()
		res := ask(t, conn, bufio.NewReader(conn))
		_ = l.Close()
		_, _ = io.Copy(io.Discard, res.Body)
		if after := closedAfter(t, conn); after != idlePatience {
			t.Errorf("closed after %v", after)
		}
	})
}

func TestAClosedListenerEndsWhatItCannotHandOver(t *testing.T) {
	inBubble(t, ok, func(t *testing.T, l *Listener, dial func() net.Conn) {
		conn := dial()
		synctest.Wait()
		_ = l.Close()
		fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
		if after := closedAfter(t, conn); after != 0 {
			t.Errorf("after %v", after)
		}
		late, ours := net.Pipe() // accepted as it was being closed
		if l.add(newConn(ours, l)) {
			t.Error("a connection was taken")
		}
		if _, err := late.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
}

package plain

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

func text(n int) string { return strings.Repeat("0123456789abcdef", n/16+1)[:n] }

// handlers are what responses are made of.
var handlers = map[string]http.HandlerFunc{
	"nothing":       func(http.ResponseWriter, *http.Request) {},
	"a status":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) },
	"a strange one": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(799) },
	"two":           func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); w.WriteHeader(500) },
	"a short body":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
	"in pieces": func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "a")
		fmt.Fprint(w, "")
		fmt.Fprint(w, "b")
	},
	"a long body":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text(5000)) },
	"a longer one":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text(3000)); fmt.Fprint(w, text(300_000)) },
	"many pieces":   func(w http.ResponseWriter, _ *http.Request) { repeat(700, func() { fmt.Fprint(w, text(7)) }) },
	"just held":     func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text(maxHeld)) },
	"just not held": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text(maxHeld+1)) },
	"a length":      func(w http.ResponseWriter, _ *http.Request) { set(w, "Content-Length", "5"); fmt.Fprint(w, "hello") },
	"a long length": func(w http.ResponseWriter, _ *http.Request) {
		set(w, "Content-Length", "100000")
		fmt.Fprint(w, text(100_000))
	},
	"a length of 0": func(w http.ResponseWriter, _ *http.Request) { set(w, "Content-Length", "0") },
	"too little":    func(w http.ResponseWriter, _ *http.Request) { set(w, "Content-Length", "9"); fmt.Fprint(w, "hello") },
	"too much": func(w http.ResponseWriter, _ *http.Request) {
		set(w, "Content-Length", "3")
		report(w, "hello", http.ErrContentLength)
	},
	"a length alone": func(w http.ResponseWriter, _ *http.Request) {
		set(w, "Content-Length", "7", "Content-Type", "a/b")
		w.WriteHeader(200)
	},
	"a type": func(w http.ResponseWriter, _ *http.Request) { set(w, "Content-Type", "a/b"); fmt.Fprint(w, "x") },
	"no type": func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		fmt.Fprint(w, "<html>")
	},
	"a coding": func(w http.ResponseWriter, _ *http.Request) {
		set(w, "Content-Encoding", "gzip")
		fmt.Fprint(w, "<html>")
	},
	"a date":  func(w http.ResponseWriter, _ *http.Request) { set(w, "Date", "then"); fmt.Fprint(w, "x") },
	"no date": func(w http.ResponseWriter, _ *http.Request) { w.Header()["Date"] = nil; fmt.Fprint(w, "x") },
	"close":   func(w http.ResponseWriter, _ *http.Request) { set(w, "Connection", "close"); fmt.Fprint(w, "x") },
	"keep":    func(w http.ResponseWriter, _ *http.Request) { set(w, "Connection", "keep-alive"); fmt.Fprint(w, "x") },
	"chunked": func(w http.ResponseWriter, _ *http.Request) { set(w, "Transfer-Encoding", "chunked"); flush(w) },
	"204": func(w http.ResponseWriter, _ *http.Request) {
		set(w, "Content-Length", "3", "X", "y")
		w.WriteHeader(204)
	},
	"204 and a body": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(204)
		report(w, "x", http.ErrBodyNotAllowed)
	},
	"304": func(w http.ResponseWriter, _ *http.Request) {
		set(w, "Content-Length", "3", "Etag", `"a"`)
		w.WriteHeader(304)
	},
	"flushed":      func(w http.ResponseWriter, _ *http.Request) { flush(w) },
	"flushed late": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "a"); flush(w); fmt.Fprint(w, "b") },
	"flushed, with a length": func(w http.ResponseWriter, _ *http.Request) {
		set(w, "Content-Length", "2")
		fmt.Fprint(w, "a")
		flush(w)
		fmt.Fprint(w, "b")
	},
	"early hints": func(w http.ResponseWriter, _ *http.Request) {
		set(w, "Link", "</a>", "Content-Length", "1")
		w.WriteHeader(103)
		set(w, "Link", "</b>")
		w.WriteHeader(103)
		fmt.Fprint(w, "x")
	},
	"changed too late": func(w http.ResponseWriter, _ *http.Request) {
		set(w, "X", "1")
		w.WriteHeader(200)
		set(w, "X", "2", "Y", "3")
	},
	"trailers": func(w http.ResponseWriter, _ *http.Request) {
		set(w, "Trailer", "X-A, x-b")
		fmt.Fprint(w, "x")
		set(w, "X-A", "1", "X-B", "2\r\n3", "X-C", "4")
	},
	"trailers unannounced": func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "x")
		flush(w)
		set(w, http.TrailerPrefix+"X-A", "1")
	},
	"broken fields": func(w http.ResponseWriter, _ *http.Request) { set(w, "X", "a\r\nY: b\n", "B c", "d", "Z", " z ") },
	"many fields": func(w http.ResponseWriter, _ *http.Request) {
		for i := range 300 {
			w.Header().Add(fmt.Sprintf("X-%d", i%100), text(i))
		}
	},
	"a panic": func(http.ResponseWriter, *http.Request) { panic("oops") },
	"a panic after a bit": func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "x")
		flush(w)
		panic(http.ErrAbortHandler)
	},
	"a panic before it": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "x"); panic(http.ErrAbortHandler) },
	"an exit":           func(http.ResponseWriter, *http.Request) { runtime.Goexit() },
	"two lengths": func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Length"] = []string{"1", "2"}
		fmt.Fprint(w, "x")
	},
	"an impossible status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(99) },
	"the request":          func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) },
	"the request, closed":  func(w http.ResponseWriter, r *http.Request) { _ = r.Body.Close(); fmt.Fprint(w, "x") },
}

func repeat(n int, f func()) {
	for range n {
		f()
	}
}

func set(w http.ResponseWriter, fields ...string) {
	for i := 0; i < len(fields); i += 2 {
		w.Header().Set(fields[i], fields[i+1])
	}
}

func flush(w http.ResponseWriter) {
	if err := http.NewResponseController(w).Flush(); err != nil {
		panic(err)
	}
}

// report says in the response's log what Write answered, if that is not wanted.
func report(w http.ResponseWriter, body string, want error) {
	if n, err := io.WriteString(w, body); n != 0 || !errors.Is(err, want) {
		panic(fmt.Sprintf("Write answered %d, %v", n, err))
	}
}

// transcript is what a client gets for two requests on one connection.
func transcript(t *testing.T, ours bool, handler http.HandlerFunc, method, body string) (got string, log string) {
	t.Helper()
	var others int
	s := serve(t, ours, func(w http.ResponseWriter, r *http.Request) {
		if ours && !isOurs(w) {
			others++
		}
		handler(w, r)
	})
	conn := dial(t, s.addr)
	r := bufio.NewReader(conn)
	for range 2 {
		fmt.Fprintf(conn, "%s /a HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", method, len(body), body)
		for {
			answer, err := answerOf(r, method)
			got += answer + "\n"
			if err != nil {
				got += "the end\n"
				break
			}
			if !strings.HasPrefix(answer, "1") {
				break
			}
		}
	}
	_ = s.http.Close()
	if others > 0 {
		t.Errorf("%d requests were net/http's", others)
	}
	log, _, _ = strings.Cut(s.log.String(), "goroutine ")
	if _, what, found := strings.Cut(log, "panic serving "); found {
		_, log, _ = strings.Cut(what, ": ") // behind the client's address
	}
	lines := strings.Split(strings.TrimSpace(log), "\n")
	for i, line := range lines {
		lines[i], _, _ = strings.Cut(line, " from github.com") // who called
	}
	return got, strings.Join(lines, "\n")
}

func TestAResponseIsTheSameAsNetHTTPMakesIt(t *testing.T) {
	for name, handler := range handlers {
		for method, body := range map[string]string{"GET": "", "HEAD": "", "POST": "hello"} {
			t.Run(method+", "+name, func(t *testing.T) {
				ours, ourLog := transcript(t, true, handler, method, body)
				theirs, theirLog := transcript(t, false, handler, method, body)
				if ours != theirs {
					t.Errorf("the client got\n%swhere it gets of net/http\n%s", ours, theirs)
				}
				if ourLog != theirLog {
					t.Errorf("logged %q where net/http logs %q", ourLog, theirLog)
				}
			})
		}
	}
}

// net/http says nothing of a HEAD's length then, nor of its end.
func TestALengthThatIsNoneIsLeftOut(t *testing.T) {
	for length, logged := range map[string]string{"x": "invalid Content-Length", "": ""} {
		for method, body := range map[string]string{"GET": `body "hello"`, "HEAD": `body ""`} {
			got, log := transcript(t, true, func(w http.ResponseWriter, _ *http.Request) { set(w, "Content-Length", length); fmt.Fprint(w, "hello") }, method, "")
			if strings.Count(got, "Content-Length:[5]") != 2 || strings.Count(got, body) != 2 || !strings.Contains(log, logged) {
				t.Errorf("%s with %q got %s, logged %s", method, length, got, log)
			}
		}
	}
}

// What a client of Go refuses to read, others may take.
func TestATrailerDoesNotFrameAMessage(t *testing.T) {
	var got [2]string
	for i, ours := range []bool{true, false} {
		s := serve(t, ours, func(w http.ResponseWriter, _ *http.Request) {
			set(w, "Trailer", "X-A, Content-Length, Transfer-Encoding", "Date", "then")
			fmt.Fprint(w, "x")
			set(w, "X-A", "1", "Content-Length", "9", "Transfer-Encoding", "gzip")
		})
		conn := dial(t, s.addr)
		fmt.Fprint(conn, plainGet)
		_ = conn.CloseWrite()
		all, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		got[i] = string(all)
	}
	if !strings.HasSuffix(got[0], "\r\n0\r\nX-A: 1\r\n\r\n") || got[0] != got[1] {
		t.Errorf("the client got %q, of net/http %q", got[0], got[1])
	}
}

// It must not, but nobody else shall suffer.
func TestWhoWritesAfterItsHandlersReturnWritesIntoNothing(t *testing.T) {
	var first http.ResponseWriter
	var errs []error
	got, _ := transcript(t, true, func(w http.ResponseWriter, _ *http.Request) {
		if first == nil {
			first = w
			fmt.Fprint(w, "first")
			return
		}
		fmt.Fprint(w, text(3000))
		first.WriteHeader(500)
		for range 2 {
			_, err := io.WriteString(first, text(3000))
			errs = append(errs, err, http.NewResponseController(first).Flush())
		}
		fmt.Fprint(w, "end")
	}, "GET", "")
	if want := fmt.Sprintf("body %q", text(3000)+"end"); !strings.Contains(got, want) {
		t.Errorf("got %s", got)
	}
	for _, err := range errs {
		if !errors.Is(err, errEnded) {
			t.Error(err)
		}
	}
}

// A body that nobody has read is not taken for a request.
func TestABodyThatWasNotReadEndsTheConnectionOrIsPassedOver(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		kept bool
	}{
		"here already": {"x", true},
		"large":        {strings.Repeat("GET /b HTTP/1.1\r\nHost: a\r\n\r\n", 50_000), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, true, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) })
			conn := dial(t, s.addr)
			go func() { // ends with the connection at the latest
				fmt.Fprintf(conn, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(c.body), c.body)
				if c.kept {
					fmt.Fprint(conn, plainGet)
				}
			}()
			r := bufio.NewReader(conn)
			first, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(first.Body); string(body) != "/a" || err != nil || first.Close == c.kept {
				t.Errorf("%q, %v, closed %v", body, err, first.Close)
			}
			second, err := http.ReadResponse(r, nil)
			if (err == nil) != c.kept {
				t.Errorf("then %v, %v", second, err)
			}
		})
	}
}

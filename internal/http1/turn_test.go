package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

func TestASmallRequestGoesOutInOneWrite(t *testing.T) {
	for name, body := range map[string]io.Reader{"no body": nil, "a small body": strings.NewReader(strings.Repeat("x", 512))} {
		t.Run(name, func(t *testing.T) {
			s, transport := serving(t, answering(okAnswer)), newTransport(t)
			writes := 0
			transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, address)
				return counted{conn, &writes}, err
			}
			mustDo(t, transport, request(t, "POST", s.url, body), "200 OK: ok")
			if writes != 1 {
				t.Errorf("%d writes", writes)
			}
		})
	}
}

type counted struct {
	net.Conn
	writes *int
}

func (c counted) Write(b []byte) (int, error) {
	*c.writes++
	return c.Conn.Write(b)
}

func TestTheHeadGoesOutBeforeALargeOrSlowBody(t *testing.T) {
	for name, length := range map[string]int64{"of a size": 100, "of no size": -1} {
		t.Run(name, func(t *testing.T) {
			arrived := make(chan struct{})
			s, transport := serving(t, func(conn net.Conn, r *bufio.Reader, _ int) {
				request, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				one := make([]byte, 1)
				_, _ = io.ReadFull(request.Body, one)
				close(arrived)
				_, _ = io.Copy(io.Discard, request.Body)
				_, _ = io.WriteString(conn, okAnswer)
			}), newTransport(t)
			body, say := io.Pipe()
			r := request(t, "POST", s.url, body)
			r.ContentLength = length
			go func() { // ends with the body
				_, _ = say.Write([]byte("x"))
				<-arrived
				_, _ = say.Write(make([]byte, 99))
				say.Close()
			}()
			mustDo(t, transport, r, "200 OK: ok")
		})
	}
}

func TestAnEarlyAnswerEndsTheUploadWithTheResponse(t *testing.T) {
	s, transport := serving(t, func(conn net.Conn, r *bufio.Reader, _ int) {
		if _, err := http.ReadRequest(r); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
			_, _ = io.Copy(io.Discard, r) // until it is closed
		}
	}), newTransport(t)
	r, cancel := cancellable(t, request(t, "POST", s.url, unsized("x")))
	body, say := io.Pipe()
	r.Body = body
	defer say.Close()
	mustDo(t, transport, r, "413 Too Large: no")
	cancel(errLeft)
}

// An upstream that answers and hangs up while it is still being written to is
// heard all the same.
func TestAnAnswerIsReadThoughTheUpstreamTakesNoMore(t *testing.T) {
	s, transport := serving(t, func(conn net.Conn, r *bufio.Reader, _ int) {
		if _, err := http.ReadRequest(r); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
			_ = conn.(*net.TCPConn).CloseRead()
			_, _ = io.CopyN(io.Discard, conn, 1)
		}
	}), newTransport(t)
	r := request(t, "POST", s.url, strings.NewReader(strings.Repeat("x", 1<<20)))
	if got, err := do(t, transport, r); err == nil && got != "413 Too Large: no" {
		t.Errorf("got %q", got)
	}
}

func TestABodyThatBreaksOffFailsTheRequest(t *testing.T) {
	for name, length := range map[string]int64{"of a size": 100, "large": 1 << 20, "of no size": -1} {
		t.Run(name, func(t *testing.T) {
			whole := make(chan bool, 1)
			s, transport := serving(t, func(_ net.Conn, r *bufio.Reader, _ int) { whole <- takes(r) }), newTransport(t)
			body, say := io.Pipe()
			r := request(t, "POST", s.url, body)
			r.ContentLength = length
			go func() { // ends when it is read
				_, _ = say.Write([]byte("half"))
				say.CloseWithError(errLeft)
			}()
			if _, err := do(t, transport, r); !errors.Is(err, errLeft) {
				t.Errorf("failed with %v", err)
			}
			if receive(t, whole) {
				t.Error("the upstream took it for a whole request")
			}
		})
	}
}

func TestABodyShorterThanItsLengthFailsTheRequest(t *testing.T) {
	for _, length := range []int64{10, 100_000} {
		s, transport := serving(t, answering(okAnswer)), newTransport(t)
		r := request(t, "POST", s.url, unsized("short"))
		r.ContentLength = length
		if got, err := do(t, transport, r); err == nil {
			t.Errorf("got %q", got)
		}
	}
}

func TestOneWhoLeavesIsNotWaitedFor(t *testing.T) {
	for name, answer := range map[string]string{
		"before the head": "", "in the head": "HTTP/1.1 200", "in the body": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "in chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			arrived, ended := make(chan struct{}), make(chan struct{})
			s, transport := serving(t, func(conn net.Conn, r *bufio.Reader, _ int) {
				takes(r)
				_, _ = io.WriteString(conn, answer)
				close(arrived)
				_, _ = r.ReadByte()
				close(ended)
			}), newTransport(t)
			r, cancel := cancellable(t, request(t, "GET", s.url, nil))
			go func() { // ends once the request is there
				<-arrived
				cancel(errLeft)
			}()
			if got, err := do(t, transport, r); !errors.Is(err, errLeft) {
				t.Errorf("got %q, %v", got, err)
			}
			receive(t, ended)
		})
	}
}

func TestOneWhoHasLeftAlreadySendsNothing(t *testing.T) {
	s, transport := serving(t, answering(okAnswer)), newTransport(t)
	r, cancel := cancellable(t, request(t, "POST", s.url, strings.NewReader("x")))
	cancel(errLeft)
	if _, err := do(t, transport, r); !errors.Is(err, errLeft) {
		t.Error(err)
	}
}

func TestAnUpstreamThatTakesTooLongTimesOut(t *testing.T) {
	for name, body := range map[string]io.Reader{"no body": nil, "a large body": strings.NewReader(strings.Repeat("x", 100_000)), "chunks": unsized("x")} {
		t.Run(name, func(t *testing.T) {
			s, transport := serving(t, func(_ net.Conn, r *bufio.Reader, _ int) { takes(r); _, _ = r.ReadByte() }), newTransport(t)
			transport.ResponseHeaderTimeout = 20 * time.Millisecond
			if _, err := do(t, transport, request(t, "POST", s.url, body)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
		})
	}
}

func TestABodyMayTakeLongerThanItsHead(t *testing.T) {
	read := make(chan struct{})
	s, transport := serving(t, func(conn net.Conn, r *bufio.Reader, _ int) {
		takes(r)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
		<-read
		<-time.After(60 * time.Millisecond) // longer than the head may take
		_, _ = io.WriteString(conn, "ok")
	}), newTransport(t)
	transport.ResponseHeaderTimeout = 50 * time.Millisecond
	res, err := transport.RoundTrip(request(t, "GET", s.url, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	close(read)
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "ok" {
		t.Errorf("got %q, %v", body, err)
	}
}

func TestABodyThatWaitsForA100IsSentOnlyAfterIt(t *testing.T) {
	for name, answer := range map[string]string{"leave": "HTTP/1.1 100 Continue\r\n\r\n", "refusal": "HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno"} {
		t.Run(name, func(t *testing.T) {
			got := make(chan string, 1)
			s, transport := serving(t, func(conn net.Conn, r *bufio.Reader, _ int) {
				request, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				_, _ = io.WriteString(conn, answer)
				body, _ := io.ReadAll(request.Body)
				got <- string(body)
				_, _ = io.WriteString(conn, okAnswer)
			}), newTransport(t)
			r := request(t, "POST", s.url, strings.NewReader("body"))
			r.Header.Set("Expect", "100-continue")
			want, body := "200 OK: ok", "body"
			if name == "refusal" {
				want, body = "417 No: no", ""
			}
			mustDo(t, transport, r, want)
			if sent := receive(t, got); sent != body {
				t.Errorf("the upstream got %q", sent)
			}
		})
	}
}

func TestABodyThatWaitsForA100IsSentWhenNoneComes(t *testing.T) {
	s, transport := serving(t, answering(okAnswer)), newTransport(t)
	transport.ExpectContinueTimeout = time.Millisecond
	r := request(t, "POST", s.url, strings.NewReader("body"))
	r.Header.Set("Expect", "100-continue")
	mustDo(t, transport, r, "200 OK: ok")
}

func TestInterimResponsesAreTold(t *testing.T) {
	s, transport := serving(t, answering("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"+okAnswer)), newTransport(t)
	var f follower
	r := request(t, "GET", s.url, nil)
	r = r.WithContext(context.WithValue(r.Context(), FollowerKey{}, &f))
	mustDo(t, transport, r, "200 OK: ok")
	if len(f.told) != 2 || f.told[0] != "103 </x>" || f.told[1] != "100 " || f.wrote != 1 {
		t.Errorf("told %q, wrote %d", f.told, f.wrote)
	}
}

// follower remembers what it was told.
type follower struct {
	wrote int
	told  []string // interim responses, by status and Link
}

func (f *follower) WroteHeaders() { f.wrote++ }

func (f *follower) Early(status int, h http.Header) error {
	f.told = append(f.told, fmt.Sprint(status, " ", h.Get("Link")))
	return nil
}

func TestASwitchOfProtocolsGivesTheConnectionAway(t *testing.T) {
	s, transport := serving(t, func(conn net.Conn, r *bufio.Reader, _ int) {
		takes(r)
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: own\r\n\r\nhello")
		_, _ = io.Copy(conn, r)
	}), newTransport(t)
	r, cancel := cancellable(t, request(t, "GET", s.url, nil))
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "own")
	res, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	cancel(errLeft) // the tunnel is its owner's to end
	tunnel := res.Body.(io.ReadWriteCloser)
	defer tunnel.Close()
	_, _ = io.WriteString(tunnel, " you")
	if err := tunnel.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(tunnel); err != nil || string(got) != "hello you" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestOverTLSWithHTTP11(t *testing.T) {
	upstream := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto+" "+r.RemoteAddr) }))
	defer upstream.Close()
	transport := newTransport(t)
	transport.TLS = upstream.Client().Transport.(*http.Transport).TLSClientConfig
	u := request(t, "GET", upstream.URL, nil)
	if http2, err := transport.Negotiate(t.Context(), u.URL); http2 || err != nil {
		t.Fatal(http2, err)
	}
	first, err := do(t, transport, u)
	if err != nil || !strings.HasPrefix(first, "200 OK: HTTP/1.1 127.0.0.1:") {
		t.Fatalf("%q, %v", first, err)
	}
	mustDo(t, transport, u, first) // from the same port
	transport.CloseIdleConnections()
}

func TestWhatCouldBeAnotherRequestIsNotSent(t *testing.T) {
	transport := newTransport(t)
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) { t.Error("dialled"); return nil, errLeft }
	for name, change := range map[string]func(*http.Request){
		"a method":       func(r *http.Request) { r.Method = "GET / HTTP/1.1\r\nX:" },
		"a host":         func(r *http.Request) { r.Host = "a\r\nX: y" },
		"a host's path":  func(r *http.Request) { r.Host = "a/b" },
		"a name":         func(r *http.Request) { r.Header["X: y\r\nZ"] = []string{"z"} },
		"an empty name":  func(r *http.Request) { r.Header[""] = []string{"z"} },
		"a value":        func(r *http.Request) { r.Header["X"] = []string{"y\nZ: z"} },
		"a query":        func(r *http.Request) { r.URL.RawQuery = "x HTTP/1.1\r\nX: y" },
		"a query' space": func(r *http.Request) { r.URL.RawQuery = "x HTTP/1.1" },
		"a path":         func(r *http.Request) { r.URL.Opaque = "/x HTTP/1.1" },
		"no host":        func(r *http.Request) { r.URL.Host = "" },
		"another scheme": func(r *http.Request) { r.URL.Scheme = "ftp" },
	} {
		r := request(t, "GET", "http://127.0.0.1:1/", nil)
		change(r)
		if _, err := do(t, transport, r); err == nil || errors.Is(err, errLeft) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package http1

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// FuzzResponse sends any bytes as responses. Whatever they are, nothing panics
// and nobody waits; what is read as a response is one that net/http sees alike,
// and the connection is kept only where not a byte is left on it.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		okAnswer, okAnswer + okAnswer, "HTTP/1.1 103 E\r\nLink: x\r\n\r\n" + okAnswer, "HTTP/1.1 204 N\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nto the end",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n2;x\r\nok\r\n0\r\nA: b\r\n\r\n", "HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\nrest",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\nX: y\r\n z\r\nA : b\r\n\r\nok", "HTTP/1.1 304 N\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 200\nContent-Length: 2\n\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
	} {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			f.Add([]byte(seed), method)
		}
	}
	f.Fuzz(func(t *testing.T, answer []byte, method string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://upstream/", nil)
		if err != nil {
			return
		}
		conn := &scripted{in: bytes.NewReader(answer)}
		transport := &Transport{
			DialContext:         func(context.Context, string, string) (net.Conn, error) { return conn, nil },
			MaxIdleConnsPerHost: 1, MaxResponseHeaderBytes: 4096,
		}
		res, err := transport.RoundTrip(r)
		if err != nil {
			if len(transport.idle.conns) != 0 || !conn.closed {
				t.Fatal("a connection that failed was kept")
			}
			return
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		checkResponse(t, res)
		if s := transport.idle.conns[placeOf(r.URL)]; s != nil && len(s.conns) == 1 {
			if err != nil || conn.in.Len() > 0 && len(answer) < 4096 || res.Close { // more than that is found when it is used next
				t.Fatalf("kept with %d bytes to come, after %v", conn.in.Len(), err)
			}
		} else if !conn.closed {
			t.Fatal("neither kept nor closed")
		}
		if err == nil {
			compare(t, answer, method, res, body)
		}
	})
}

// checkResponse: nothing in it could end a line where it is written next.
func checkResponse(t *testing.T, res *http.Response) {
	if res.StatusCode < 200 || res.StatusCode > 999 {
		t.Fatalf("status %d", res.StatusCode)
	}
	for _, header := range []http.Header{res.Header, res.Trailer} {
		for name, values := range header {
			if !IsToken(name) || strings.ContainsAny(strings.Join(values, ""), "\r\n\x00") {
				t.Fatalf("field %q: %q", name, values)
			}
		}
	}
	if len(res.Header["Content-Length"]) > 1 || res.Header["Transfer-Encoding"] != nil {
		t.Fatalf("framed by %v", res.Header)
	}
}

// compare: what we take for a whole response, net/http takes for the same one.
func compare(t *testing.T, answer []byte, method string, res *http.Response, body []byte) {
	other := &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return &scripted{in: bytes.NewReader(answer)}, nil
		},
		DisableCompression: true, DisableKeepAlives: true, MaxResponseHeaderBytes: 1 << 20,
	}
	r, _ := http.NewRequestWithContext(t.Context(), method, "http://upstream/", nil)
	want, err := other.RoundTrip(r)
	if err != nil {
		return // we need not be stricter in everything
	}
	defer want.Body.Close()
	text, err := io.ReadAll(want.Body)
	if err == nil && (want.StatusCode != res.StatusCode || !bytes.Equal(text, body)) {
		t.Fatalf("got %d %q, net/http has %d %q", res.StatusCode, body, want.StatusCode, text)
	}
}

// scripted is a connection on which everything has been said.
type scripted struct {
	in     *bytes.Reader
	closed bool
}

func (s *scripted) Read(b []byte) (int, error)       { return s.in.Read(b) }
func (s *scripted) Write(b []byte) (int, error)      { return len(b), nil }
func (s *scripted) Close() error                     { s.closed = true; return nil }
func (s *scripted) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *scripted) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

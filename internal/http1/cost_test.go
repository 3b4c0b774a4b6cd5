package http1

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
)

// plainAnswer is what an API might say.
const plainAnswer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Sat, 28 Nov 2026 12:00:00 GMT\r\n" +
	"Server: api\r\nX-Request-Id: 0123456789abcdef\r\nContent-Length: 15\r\n\r\n" + `{"id":"500001"}`

// thrifty answers each request without a body, and takes no memory for it.
func thrifty(conn net.Conn, r *bufio.Reader, _ int) {
	answer := []byte(plainAnswer)
	for {
		for {
			line, err := r.ReadSlice('\n')
			if err != nil {
				return
			}
			if bytes.Equal(line, []byte("\r\n")) {
				break
			}
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// watchable is a context as a server may have it.
type watchable struct {
	context.Context
	by Watcher
}

func (w *watchable) Watch(by Watcher) bool   { w.by = by; return true }
func (w *watchable) Unwatch(by Watcher) bool { return w.by == by }

// plainTrip answers a function that makes a request such as clients make, and
// reads its answer.
func plainTrip(t testing.TB) (trip func()) {
	s, transport := serving(t, thrifty), newTransport(t)
	u, err := url.Parse(s.url + "/contacts/7?expand=owner")
	if err != nil {
		t.Fatal(err)
	}
	r := &http.Request{Method: http.MethodGet, URL: u, Host: "api.example", Header: http.Header{
		"User-Agent": {"client/1.0"}, "Accept": {"application/json"}, "Authorization": {"Bearer 0123456789abcdef"},
		"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Host": {"api.example"}, "X-Forwarded-Proto": {"http"},
	}}
	r = r.WithContext(&watchable{Context: t.Context()})
	b := make([]byte, 512)
	return func() {
		res, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := res.Body.Read(b); err != io.EOF {
			t.Fatal(err)
		}
		res.Body.Close()
	}
}

// BenchmarkRoundTrip is a request and its response on a connection that is kept.
func BenchmarkRoundTrip(b *testing.B) {
	trip := plainTrip(b)
	b.ReportAllocs()
	for b.Loop() {
		trip()
	}
}

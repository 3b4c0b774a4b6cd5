package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// rawUpstream is an upstream made by hand: it keeps the bytes of each
// request's head, and answers with bytes.
type rawUpstream struct {
	url   *url.URL
	heads chan string
}

// serveRaw answers each connection's first request. Where answer is nil, the
// connection is closed without a word.
func serveRaw(t testing.TB, answer func(conn net.Conn)) *rawUpstream {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &rawUpstream{url: &url.URL{Scheme: "http", Host: ln.Addr().String()}, heads: make(chan string, 100)}
	var conns sync.WaitGroup
	conns.Go(func() { // ends when the listener is closed; waited for below
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { u.serve(conn, answer) })
		}
	})
	t.Cleanup(func() { ln.Close(); conns.Wait() })
	return u
}

func (u *rawUpstream) serve(conn net.Conn, answer func(net.Conn)) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(conn)
	var head strings.Builder
	for {
		line, err := r.ReadString('\n')
		head.WriteString(line)
		if err != nil || line == "\r\n" {
			break
		}
	}
	if head.Len() == 0 {
		return // a connection that was only tried
	}
	u.heads <- head.String()
	if answer != nil {
		answer(&bufferedConn{conn, r})
	}
}

// bufferedConn reads on where the head ended.
type bufferedConn struct {
	net.Conn
	r *bufio.Reader
}

func (c *bufferedConn) Read(b []byte) (int, error) { return c.r.Read(b) }

// say answers with fixed bytes.
func say(text string) func(net.Conn) {
	return func(conn net.Conn) { _, _ = io.WriteString(conn, text) }
}

const emptyAnswer = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"

// converse sends bytes and answers all that comes back until the end.
func converse(t testing.TB, addr, request string) string {
	t.Helper()
	conn := dial(t, addr)
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if os.IsTimeout(err) { // a reset is an end too
		t.Fatalf("no end after %q", answer)
	}
	return string(answer)
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn)
}

// headLines answers a head's first line, and the others sorted: their order
// across names means nothing, but within a name it does and is kept.
func headLines(head string, without ...string) []string {
	lines := strings.Split(strings.TrimSpace(head), "\r\n")
	rest := slices.DeleteFunc(lines[1:], func(line string) bool {
		name, _, _ := strings.Cut(line, ":")
		return slices.ContainsFunc(without, func(w string) bool { return strings.EqualFold(w, name) })
	})
	slices.SortStableFunc(rest, func(a, b string) int {
		nameA, _, _ := strings.Cut(a, ":")
		nameB, _, _ := strings.Cut(b, ":")
		return strings.Compare(nameA, nameB)
	})
	return append(lines[:1:1], rest...)
}

// readResponse parses what converse answered.
func readResponse(t testing.TB, text, method string) (*http.Response, string, error) {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text)), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

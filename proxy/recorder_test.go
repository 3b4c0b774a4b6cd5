package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorder is an upstream that takes nothing on trust: it reads requests by the
// letter of RFC 9112, keeps them, and notes whatever another server might read
// otherwise.
type recorder struct {
	url *url.URL

	mu        sync.Mutex
	requests  []string // "POST /contacts {}": method, target, body
	heads     []string
	ambiguous []error
}

// recording answers 201 with JSON to whatever it gets, and keeps its connections.
func recording(t testing.TB) *recorder {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &recorder{url: &url.URL{Scheme: "http", Host: ln.Addr().String()}}
	var conns sync.WaitGroup
	conns.Go(func() { // ends when the listener is closed; waited for below
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { u.serve(conn) })
		}
	})
	t.Cleanup(func() { ln.Close(); conns.Wait() })
	return u
}

func (u *recorder) serve(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	for r := bufio.NewReader(conn); ; {
		if _, err := r.Peek(1); err != nil {
			return // no more requests
		}
		request, head, err := strictRequest(r, func() { _, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n") })
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return // a request that was broken off: nobody acts on it
		}
		u.note(request, head, err)
		if err != nil {
			return
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"id\":7}"); err != nil {
			return
		}
	}
}

func (u *recorder) note(request, head string, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err != nil {
		u.ambiguous = append(u.ambiguous, fmt.Errorf("%w in %q", err, head))
		return
	}
	u.requests, u.heads = append(u.requests, request), append(u.heads, head)
}

// seen answers the requests so far, and fails the test where one was not clear.
func (u *recorder) seen(t testing.TB) []string {
	t.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, err := range u.ambiguous {
		t.Errorf("the upstream got an ambiguous request: %v", err)
	}
	return slices.Clone(u.requests)
}

// strictRequest reads one request, or answers what is not beyond doubt in it.
// It calls goOn where the client expects to be told.
func strictRequest(r *bufio.Reader, goOn func()) (request, head string, err error) {
	lines, head, err := strictHead(r)
	if err != nil {
		return "", head, err
	}
	method, rest, _ := strings.Cut(lines[0], " ")
	target, version, _ := strings.Cut(rest, " ")
	if !isToken(method) || target == "" || strings.ContainsAny(target, " \t") || version != "HTTP/1.1" {
		return "", head, errors.New("not a request line")
	}
	fields, err := strictFields(lines[1:])
	if err != nil {
		return "", head, err
	}
	if len(fields["Host"]) != 1 || fields["Host"][0] == "" {
		return "", head, errors.New("not one Host")
	}
	if fields.Get("Expect") != "" {
		goOn()
	}
	body, err := strictBody(r, fields)
	return method + " " + target + " " + body, head, err
}

// strictHead answers the lines of a head, each of which ends with CRLF.
func strictHead(r *bufio.Reader) (lines []string, head string, err error) {
	for {
		line, err := r.ReadString('\n')
		head += line
		if err != nil {
			return nil, head, io.ErrUnexpectedEOF
		}
		text, found := strings.CutSuffix(line, "\r\n")
		if !found || strings.ContainsAny(text, "\r\n\x00") {
			return nil, head, errors.New("a line that others end elsewhere")
		}
		if text == "" {
			return lines, head, nil
		}
		lines = append(lines, text)
	}
}

func strictFields(lines []string) (http.Header, error) {
	fields := http.Header{}
	for _, line := range lines {
		name, value, found := strings.Cut(line, ":")
		if !found || !isToken(name) || strings.ContainsFunc(value, isControl) {
			return nil, fmt.Errorf("not a field: %q", line)
		}
		fields.Add(name, strings.Trim(value, " \t"))
	}
	return fields, nil
}

// isToken is by RFC 9110 §5.6.2.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
	})
}

func isControl(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

// strictBody reads a body that has one length only.
func strictBody(r *bufio.Reader, fields http.Header) (string, error) {
	lengths, codings := fields["Content-Length"], fields["Transfer-Encoding"]
	switch {
	case len(lengths)+len(codings) > 1:
		return "", errors.New("more than one length")
	case len(codings) == 1 && codings[0] == "chunked":
		return strictChunks(r)
	case len(codings) == 1:
		return "", errors.New("another transfer coding")
	case len(lengths) == 0:
		return "", nil
	}
	n, err := strconv.ParseUint(lengths[0], 10, 31)
	if err != nil || strconv.FormatUint(n, 10) != lengths[0] {
		return "", errors.New("not a length")
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return "", io.ErrUnexpectedEOF
	}
	return string(body), nil
}

// strictChunks answers the chunks' data, and the trailers where there are any.
func strictChunks(r *bufio.Reader) (string, error) {
	var body strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", io.ErrUnexpectedEOF
		}
		size, found := strings.CutSuffix(line, "\r\n")
		n, err := strconv.ParseUint(size, 16, 31)
		if !found || err != nil || strconv.FormatUint(n, 16) != size {
			return "", fmt.Errorf("not a chunk size: %q", line)
		}
		if n == 0 {
			lines, _, err := strictHead(r)
			body.WriteString(strings.Join(append([]string{""}, lines...), "+"))
			return body.String(), err
		}
		chunk := make([]byte, n+2)
		if _, err := io.ReadFull(r, chunk); err != nil {
			return "", io.ErrUnexpectedEOF
		}
		data, found := strings.CutSuffix(string(chunk), "\r\n")
		if !found {
			return "", errors.New("a chunk that does not end where it says")
		}
		body.WriteString(data)
	}
}

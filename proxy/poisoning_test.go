package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// What an upstream's side of a connection may try, or get wrong: that one
// client is given what was meant for another, or what nobody said.

// oddity is what an upstream answers to a POST. It leaves the connection open
// behind it unless it closes is set, and answers "second" to whatever is sent
// on it then, as on all others.
type oddity struct {
	name   string
	answer string
	closes bool
	// want is what the client may see if it sees a whole response at all, as
	// "status body". Empty: it must not.
	want string
	// must says that a refusal would be wrong.
	must bool
	// surplus: more follows than the response is. net/http may use the connection
	// again before it has looked, and take that for the next response: only our
	// own transport keeps the promise (docs/decisions/0090).
	surplus bool
}

const secondAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"

func TestNobodyGetsAnothersResponse(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		ours := strings.HasSuffix(t.Name(), "/direct")
		for _, group := range [][]oddity{oddStatusLines(), oddHeaders(), oddLengths(), oddChunks(), oddEnds(), oddEarly()} {
			for _, o := range group {
				if o.surplus && !ours {
					continue
				}
				t.Run(o.name, func(t *testing.T) { o.try(t) })
			}
		}
	})
}

// upstream answers the first request oddly.
func (o oddity) upstream(t *testing.T) *rawUpstream {
	first := make(chan struct{}, 1)
	first <- struct{}{}
	return serveRaw(t, func(conn net.Conn) {
		answer := secondAnswer
		select {
		case <-first:
			answer = o.answer
		default:
		}
		for r := bufio.NewReader(conn); ; answer = secondAnswer {
			if _, err := io.WriteString(conn, answer); err != nil || o.closes && answer == o.answer {
				return
			}
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
		}
	})
}

func (o oddity) try(t *testing.T) {
	s, p := capturing(t, contacts, o.upstream(t).url, nil)
	conn := dial(t, s.addr)
	client := bufio.NewReader(conn)
	fmt.Fprint(conn, "POST /contacts HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
	res, got, err := readOne(client, http.MethodPost)
	refused := err != nil || res.StatusCode == http.StatusBadGateway
	switch {
	case !refused && got != o.want:
		t.Errorf("the client got %.300q, want %q or a failure", got, o.want)
	case refused && o.must:
		t.Errorf("the client got %.300q, %v; want %q", got, err, o.want)
	}
	if err == nil && !res.Close {
		fmt.Fprint(conn, "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
		if _, got, err := readOne(client, http.MethodGet); got != "200 second" {
			t.Errorf("the next request got %.300q, %v", got, err)
		}
	}
	conn.Close()
	for range 2 {
		if res, body := s.do(t, "GET /another", ""); res.StatusCode != http.StatusOK || body != "second" {
			t.Errorf("another's request got %d %.300q", res.StatusCode, body)
		}
	}
	s.server.Close()
	s.rest(t)
	o.checkEvent(t, p, refused)
	if got := s.log.String(); strings.Contains(got, "panic") {
		t.Error(got)
	}
}

// checkEvent: an event is of what the client saw, or has no data.
func (o oddity) checkEvent(t *testing.T, p *publisher, refused bool) {
	t.Helper()
	for len(p.batches) > 0 {
		for _, e := range <-p.batches {
			if refused && e.Payload != nil || len(e.Payload) > 0 && !strings.HasSuffix(o.want, string(e.Payload)) {
				t.Errorf("published %+v", e)
			}
		}
	}
}

// readOne reads one response as "status body".
func readOne(r *bufio.Reader, method string) (*http.Response, string, error) {
	res, err := http.ReadResponse(r, &http.Request{Method: method})
	for err == nil && res.StatusCode < http.StatusOK {
		res, err = http.ReadResponse(r, &http.Request{Method: method})
	}
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(res.Body)
	return res, fmt.Sprintf("%d %s", res.StatusCode, body), err
}

func ok(lines, body string) string { return "HTTP/1.1 200 OK\r\n" + lines + "\r\n" + body }

func oddStatusLines() []oddity {
	var all []oddity
	for _, line := range []string{
		"", "\r\n", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 abc OK", "HTTP/1.1 +20 OK", "HTTP/1.1 -20 OK", "HTTP/1.1 000 OK",
		"HTTP/1.1 099 OK", "HTTP/1.1 0x2 OK", "HTTP/3 200 OK", "HTTP/1.1\t200 OK", "http/1.1 200 OK", "HTTP/11 200 OK",
		"HTTP 200 OK", "ICY 200 OK", "<html>", "second", " HTTP/1.1 200 OK", "HTTP/1.1 200\x00 OK", "HTTP/1.1 2 0 OK", "HTTP/1.1 200OK",
	} {
		all = append(all, oddity{name: fmt.Sprintf("%q", line), answer: line + "\r\nContent-Length: 3\r\n\r\nodd"})
	}
	for _, line := range []string{"HTTP/2.0 200 OK", "HTTP/0.9 200 OK", "HTTP/1.1  200 OK"} { // clear enough for net/http
		all = append(all, oddity{name: fmt.Sprintf("%q", line), answer: line + "\r\nContent-Length: 3\r\n\r\nodd", want: "200 odd"})
	}
	return append(all,
		oddity{name: "a body without a head", answer: "just text", closes: true},
		oddity{name: "no reason", answer: "HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nodd", want: "200 odd", must: true},
		oddity{name: "an empty reason", answer: "HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\nodd", want: "200 odd", must: true},
		oddity{name: "a reason with control bytes", answer: "HTTP/1.1 200 O\x00K\r\nContent-Length: 3\r\n\r\nodd", want: "200 odd"},
		oddity{name: "lines that end with LF", answer: "HTTP/1.1 200 OK\nContent-Length: 3\n\nodd", want: "200 odd"},
		oddity{name: "a huge reason", answer: "HTTP/1.1 200 " + strings.Repeat("x", 2<<20) + "\r\nContent-Length: 3\r\n\r\nodd"},
		oddity{name: "an unasked 101", answer: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nodd"},
		oddity{name: "a bare 101", answer: "HTTP/1.1 101 Switching Protocols\r\n\r\nodd"},
	)
}

func oddHeaders() []oddity {
	var all []oddity
	for _, line := range []string{"no field", ": x", "X: \x00", "X: \x01", "X: y\rContent-Length: 9", "X\x00: y", "\x01: y", "X: \x7f", " X: y"} {
		all = append(all, oddity{name: fmt.Sprintf("%q", line), answer: ok(line+"\r\nContent-Length: 3\r\n", "odd")})
	}
	for _, line := range []string{"X : y", "X\t: y", "X: y\r\n z", "X(: y", "X: \xff", "Ü: y"} { // left out, or joined, or refused
		all = append(all, oddity{name: fmt.Sprintf("%q", line), answer: ok(line+"\r\nContent-Length: 3\r\n", "odd"), want: "200 odd"})
	}
	return append(all,
		oddity{name: "a huge field", answer: ok("X: "+strings.Repeat("x", 2<<20)+"\r\nContent-Length: 3\r\n", "odd")},
		oddity{name: "too many fields", answer: ok(strings.Repeat("X: y\r\n", 400_000)+"Content-Length: 3\r\n", "odd")},
		oddity{name: "a head that stops", answer: "HTTP/1.1 200 OK\r\nContent-Length: 3", closes: true},
		oddity{name: "a head that stops after a line", answer: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", closes: true},
	)
}

func oddLengths() []oddity {
	var all []oddity
	for _, lines := range []string{
		"Content-Length: -3\r\n", "Content-Length: +3\r\n", "Content-Length: 0x3\r\n", "Content-Length: 3, 3\r\n", "Content-Length: 3,4\r\n", "Content-Length: 3\r\nContent-Length: 4\r\n",
		"Content-Length: 99999999999999999999\r\n", "Content-Length: \r\n", "Content-Length: 3 3\r\n", "Content-Length: three\r\n", "Content-Length: 3.0\r\n",
		"Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: chunked, gzip\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		"Transfer-Encoding: chunked, chunked\r\n", "Transfer-Encoding: xchunked\r\n", "Transfer-Encoding: identity\r\nContent-Length: 3\r\n", "Transfer-Encoding: chunked;x\r\n",
		"Transfer-Encoding: \x0bchunked\r\n", "Transfer-Encoding: \r\nContent-Length: 3\r\n",
	} {
		all = append(all, oddity{name: fmt.Sprintf("%q", lines), answer: ok(lines, "3\r\nodd\r\n0\r\n\r\n")})
	}
	for _, lines := range []string{
		"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 30\r\n", "tRANSFER-eNCODING: CHUNKED\r\nContent-Length: 3\r\n",
	} {
		all = append(all, oddity{name: fmt.Sprintf("%q", lines), answer: ok(lines, "3\r\nodd\r\n0\r\n\r\n"), want: "200 odd"})
	}
	return append(all,
		oddity{name: "the same length twice", answer: ok("Content-Length: 3\r\nContent-Length: 3\r\n", "odd"), want: "200 odd"},
		oddity{name: "a length with zeros", answer: ok("Content-Length: 003\r\n", "odd"), want: "200 odd"},
		oddity{name: "HTTP/1.0 with a coding", answer: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nodd\r\n0\r\n\r\n", closes: true, want: "200 3\r\nodd\r\n0\r\n\r\n"},
		oddity{name: "HTTP/1.0 that keeps the connection without a length", answer: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nodd", closes: true, want: "200 odd", must: true},
		oddity{name: "HTTP/1.0 that keeps the connection", answer: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nodd", want: "200 odd", must: true},
		oddity{name: "a body of 204", answer: "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nodd", want: "204 ", surplus: true},
		oddity{name: "chunks of 204", answer: "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nodd\r\n0\r\n\r\n", want: "204 ", surplus: true},
		oddity{name: "a body of 304", answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\nodd", want: "304 ", surplus: true},
		oddity{name: "a response within a body of 304", answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 42\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nodd", want: "304 ", surplus: true},
	)
}

func oddChunks() []oddity {
	var all []oddity
	for _, body := range []string{
		"-3\r\nodd\r\n0\r\n\r\n", "+3\r\nodd\r\n0\r\n\r\n", "0x3\r\nodd\r\n0\r\n\r\n", "3\r\noddX0\r\n\r\n", "3\r\nodd0\r\n\r\n", "2\r\nodd\r\n0\r\n\r\n", "4\r\nodd\r\n0\r\n\r\n",
		"\r\nodd\r\n0\r\n\r\n", "10000000000000003\r\nodd\r\n0\r\n\r\n", "x\r\nodd\r\n0\r\n\r\n", "3 3\r\nodd\r\n0\r\n\r\n", "3\nodd\n0\n\n", "3;" + strings.Repeat("x", 8192) + "\r\nodd\r\n0\r\n\r\n",
		"3\r\nodd\r\n0\r\nno field\r\n\r\n", "3\r\nodd\r\n0\r\nX: \x00\r\n\r\n", "3\r\nodd\r\n0\r\nX: " + strings.Repeat("x", 2<<20) + "\r\n\r\n",
	} {
		all = append(all, oddity{name: fmt.Sprintf("%.40q", body), answer: ok("Transfer-Encoding: chunked\r\n", body)})
	}
	for _, body := range []string{"3\r\nodd\r\n0\r\n", "3\r\nodd\r\n", "3\r\nodd", "3\r\no", "3\r\n", "3", "", "3\r\nodd\r\n0\r\nX: 1\r\n", "3\r\nodd\r\n0"} {
		all = append(all, oddity{name: fmt.Sprintf("%q and no more", body), answer: ok("Transfer-Encoding: chunked\r\n", body), closes: true})
	}
	return append(all,
		oddity{name: "an extension", answer: ok("Transfer-Encoding: chunked\r\n", "3;a=\"b\"\r\nodd\r\n0;c\r\n\r\n"), want: "200 odd", must: true},
		oddity{name: "sizes with zeros", answer: ok("Transfer-Encoding: chunked\r\n", "003\r\nodd\r\n000\r\n\r\n"), want: "200 odd", must: true},
		oddity{name: "trailers that would frame", answer: ok("Transfer-Encoding: chunked\r\n", "3\r\nodd\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\n\r\n"), want: "200 odd"},
		oddity{name: "trailers announced that would frame", answer: ok("Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n", "3\r\nodd\r\n0\r\nContent-Length: 9\r\n\r\n"), want: "200 odd"},
	)
}

func oddEnds() []oddity {
	another := "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned"
	return []oddity{
		{name: "a response too many", answer: ok("Content-Length: 3\r\n", "odd") + another, want: "200 odd", must: true, surplus: true},
		{name: "a response too many after chunks", answer: ok("Transfer-Encoding: chunked\r\n", "3\r\nodd\r\n0\r\n\r\n") + another, want: "200 odd", must: true, surplus: true},
		{name: "a response too many after none", answer: "HTTP/1.1 204 No Content\r\n\r\n" + another, want: "204 ", must: true, surplus: true},
		{name: "more than the length", answer: ok("Content-Length: 3\r\n", "odd and more"), want: "200 odd", must: true, surplus: true},
		{name: "line ends after the body", answer: ok("Content-Length: 3\r\n", "odd\r\n\r\n"), want: "200 odd", must: true, surplus: true},
		{name: "less than the length", answer: ok("Content-Length: 4\r\n", "odd"), closes: true},
		{name: "no length", answer: ok("", "odd"), closes: true, want: "200 odd", must: true},
		{name: "a close that is announced and not done", answer: ok("Connection: close\r\nContent-Length: 3\r\n", "odd"), want: "200 odd", must: true},
		{name: "a close that is done and not announced", answer: ok("Content-Length: 3\r\n", "odd"), closes: true, want: "200 odd", must: true},
		{name: "a length in Connection", answer: ok("Connection: Content-Length\r\nContent-Length: 3\r\n", "odd"), want: "200 odd", must: true},
	}
}

func oddEarly() []oddity {
	early := "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
	return []oddity{
		{name: "hints", answer: strings.Repeat(early, 3) + ok("Content-Length: 3\r\n", "odd"), want: "200 odd", must: true},
		{name: "100 unasked", answer: "HTTP/1.1 100 Continue\r\n\r\n" + ok("Content-Length: 3\r\n", "odd"), want: "200 odd", must: true},
		{name: "a flood of hints", answer: strings.Repeat(early, 60_000), closes: true},
		{name: "hints and no more", answer: early, closes: true},
		{name: "a huge hint", answer: "HTTP/1.1 103 Early Hints\r\nX: " + strings.Repeat("x", 2<<20) + "\r\n\r\n" + ok("Content-Length: 3\r\n", "odd")},
		{name: "hints with a body", answer: "HTTP/1.1 103 Early Hints\r\nContent-Length: 3\r\n\r\nodd" + ok("Content-Length: 3\r\n", "odd")},
		{name: "hints with a length of nothing", answer: "HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n" + ok("Content-Length: 3\r\n", "odd"), want: "200 odd"},
		{name: "hints with chunks", answer: "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nodd\r\n0\r\n\r\n" + ok("Content-Length: 3\r\n", "odd")},
		{name: "an odd early status", answer: "HTTP/1.1 199 Odd\r\n\r\n" + ok("Content-Length: 3\r\n", "odd"), want: "200 odd"},
	}
}

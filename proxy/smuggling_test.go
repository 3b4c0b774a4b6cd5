package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

// What the clients' side of a connection may try (RFC 9112 §11.2): that the
// proxy and the upstream disagree about where a request ends.

// last follows each attempt. Whoever still reads requests answers it and ends.
const last = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

// attempt is what a client sends, before last.
type attempt struct {
	name string
	sent string
	want []string // the requests that the upstream sees, of which "/last" is one
}

var (
	nothing  []string
	lastOnly = []string{"GET /last "}
)

// create is the request that a rule matches, with header lines and a body.
func create(lines, body string) string {
	return "POST /contacts HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n" + body
}

// smuggled is a body that would be a request of its own, if it were read as one.
const smuggled = "0\r\n\r\nPOST /contacts HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nX: "

func TestNoRequestIsSmuggled(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		for _, group := range [][]attempt{lengths(), codings(), chunks(), lines(), targets(), hosts(), tricks()} {
			for _, a := range group {
				t.Run(a.name, func(t *testing.T) { a.try(t) })
			}
		}
	})
}

// try checks that the upstream sees what it should and no more, that each of
// its answers reaches the client, and that there is an event for each answer to
// a create and for nothing else.
func (a attempt) try(t *testing.T) {
	upstream := recording(t)
	s, p := capturing(t, contacts, upstream.url, nil)
	statuses := statusesOf(t, s.addr, a.sent+last)
	s.server.Close()
	s.rest(t)
	got := upstream.seen(t)
	if !slices.Equal(got, a.want) {
		t.Errorf("the upstream saw %q, want %q; the client %d", got, a.want, statuses)
	}
	answered := 0
	for _, status := range statuses {
		if status == http.StatusCreated {
			answered++
		}
	}
	if answered != len(got) {
		t.Errorf("the client saw %d of %d answers: %d", answered, len(got), statuses)
	}
	creates := 0
	for _, request := range got {
		if strings.HasPrefix(request, "POST /contacts ") {
			creates++
		}
	}
	if len(p.batches) != creates {
		t.Errorf("%d events of %d creates", len(p.batches), creates)
	}
}

// statusesOf sends bytes and answers the statuses of all responses until the
// connection's end, each of which must be whole.
func statusesOf(t *testing.T, addr, sent string) (statuses []int) {
	t.Helper()
	conn := dial(t, addr)
	go func() { _, _ = io.WriteString(conn, sent) }() // ends when it is read, or the connection has ended
	for r := bufio.NewReader(conn); ; {
		if _, err := r.Peek(1); err != nil {
			if os.IsTimeout(err) {
				t.Errorf("no end after %d", statuses)
			}
			return statuses
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Errorf("after %d: %v", statuses, err)
			return statuses
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return statuses // refused in the middle of something, and reset
		}
		if res.StatusCode >= http.StatusOK {
			statuses = append(statuses, res.StatusCode)
		}
	}
}

func lengths() []attempt {
	refused := []string{
		"Content-Length: 2\r\nContent-Length: 3\r\n", "Content-Length: 2, 3\r\n", "Content-Length: 2, 2\r\n", "Content-Length: 2,\r\n",
		"Content-Length: +2\r\n", "Content-Length: -2\r\n", "Content-Length: 0x2\r\n", "Content-Length: 2.0\r\n", "Content-Length: 2 2\r\n",
		"Content-Length: \"2\"\r\n", "Content-Length: 99999999999999999999\r\n", "Content-Length: \r\n", "Content-Length: 2;a\r\n",
		"Content-Length: 2\x0b\r\n", "Content-Length: 2\x00\r\n", "Content-Length : 2\r\n", "Content-Length\t: 2\r\n", " Content-Length: 2\r\n",
		"Content-Length: 1_0\r\n", "Content-Length: ²\r\n", "content-length: 2\r\nContent-Length: 02\r\n",
	}
	var all []attempt
	for _, lines := range refused {
		all = append(all, attempt{fmt.Sprintf("%q", lines), create(lines, "{}"), nothing})
	}
	return append(all,
		attempt{"the same length twice", create("Content-Length: 2\r\nContent-Length: 2\r\n", "{}"), []string{"POST /contacts {}", "GET /last "}},
		attempt{"a length with zeros", create("Content-Length: 002\r\n", "{}"), []string{"POST /contacts {}", "GET /last "}},
		attempt{"a folded length", create("Content-Length:\r\n 2\r\n", "{}"), []string{"POST /contacts {}", "GET /last "}},
		attempt{"a length between tabs", create("Content-Length:\t2\t\r\n", "{}"), []string{"POST /contacts {}", "GET /last "}},
		attempt{"a length of underscores", create("Content_Length: 2\r\n", ""), []string{"POST /contacts ", "GET /last "}},
		attempt{"a length for a GET", "GET /contacts HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", []string{"GET /contacts {}", "GET /last "}},
		attempt{"a length in Connection", create("Connection: Content-Length\r\nContent-Length: 2\r\n", "{}"), []string{"POST /contacts {}", "GET /last "}},
	)
}

func codings() []attempt {
	var all []attempt
	for _, lines := range []string{
		"Transfer-Encoding: xchunked\r\n", "Transfer-Encoding: chunked, chunked\r\n", "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: chunked, gzip\r\n",
		"Transfer-Encoding: identity\r\n", "Transfer-Encoding: identity, chunked\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "Transfer-Encoding: \"chunked\"\r\n", "Transfer-Encoding: chunked;q=1\r\n",
		"Transfer-Encoding: chunked,\r\n", "Transfer-Encoding: ,chunked\r\n", "Transfer-Encoding: \x0bchunked\r\n", "Transfer-Encoding: chunked\x0b\r\n",
		"Transfer-Encoding: \x00chunked\r\n", "Transfer-Encoding : chunked\r\n", "Transfer-Encoding\t: chunked\r\n", " Transfer-Encoding: chunked\r\n",
		"Transfer-Encoding: chun\r\n ked\r\n", "Transfer-Encoding: \r\n", "Transfer-Encoding: cow\r\n", "Transfer-Encoding: \xc4\xb0\r\n",
		"X: y\rTransfer-Encoding: chunked\r\n", "Transfer-Encoding\x00: chunked\r\n", "\x01Transfer-Encoding: chunked\r\n", "Transfer-Encoding;: chunked\r\n",
	} {
		all = append(all, attempt{fmt.Sprintf("%q", lines), create("Content-Length: 5\r\n"+lines, smuggled+"\r\n\r\n"), nothing})
	}
	// RFC 9112 §6.3 lets Transfer-Encoding win, without a Content-Length on the
	// way on. What follows the last chunk is a request, to us and to the
	// upstream alike.
	for _, lines := range []string{
		"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "Content-Length: 5\r\ntRANSFER-eNCODING: CHUNKED\r\n",
		"Transfer-Encoding: \tchunked \r\nContent-Length: 5\r\n", "Content-Length: 5\r\nTransfer-Encoding:chunked\r\nConnection: Transfer-Encoding\r\n",
		"Content-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: Content-Length\r\n", "Content-Length: 5\r\nTransfer-Encoding:\r\n chunked\r\n",
	} {
		all = append(all, attempt{fmt.Sprintf("%q", lines), create(lines, "2\r\n{}\r\n0\r\n\r\n"), []string{"POST /contacts {}", "GET /last "}})
	}
	return append(all,
		attempt{"a coding with an underscore", create("Content-Length: 2\r\nTransfer_Encoding: chunked\r\n", "{}"), []string{"POST /contacts {}", "GET /last "}},
		// HTTP/1.0 knows no codings: the framing is faulty (RFC 9112 §6.1), and
		// nothing that follows is read.
		attempt{"HTTP/1.0 that keeps the connection", "POST /contacts HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
			[]string{"POST /contacts "}},
		attempt{"HTTP/1.0 with both", "POST /contacts HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
			[]string{"POST /contacts {}"}},
	)
}

func chunks() []attempt {
	chunked := "Transfer-Encoding: chunked\r\n"
	var all []attempt
	for _, body := range []string{
		"0x2\r\n{}\r\n0\r\n\r\n", "+2\r\n{}\r\n0\r\n\r\n", "-2\r\n{}\r\n0\r\n\r\n", "2\n{}\r\n0\r\n\r\n", "2\r\n{}\n0\r\n\r\n", "2\r{}\r\n0\r\n\r\n", "\r\n{}\r\n0\r\n\r\n",
		" 2\r\n{}\r\n0\r\n\r\n", "2 2\r\n{}\r\n0\r\n\r\n", "g\r\n{}\r\n0\r\n\r\n", "1ffffffffffffffff\r\n{}\r\n0\r\n\r\n", "10000000000000002\r\n{}\r\n0\r\n\r\n",
		"2\r\n{}0\r\n\r\n", "2\r\n{}X\r\n0\r\n\r\n", "1\r\n{}\r\n0\r\n\r\n", "3\r\n{}\r\n0\r\n\r\n", "2;a\nb\r\n{}\r\n0\r\n\r\n", "2\x00\r\n{}\r\n0\r\n\r\n", "\xef\xbc\x92\r\n{}\r\n0\r\n\r\n",
		"2;" + strings.Repeat("x", 8192) + "\r\n{}\r\n0\r\n\r\n", "2\r\n{}\r\n0\r\nno field\r\n\r\n", "2\r\n{}\r\n0\r\nX: \x00\r\n\r\n",
	} {
		name := fmt.Sprintf("%.40q", body)
		all = append(all, attempt{name, create(chunked, body), nothing})
	}
	for _, body := range []string{"2;a=b\r\n{}\r\n0\r\n\r\n", "2;a=\"\\\"\"\r\n{}\r\n0;b\r\n\r\n", "2 \r\n{}\r\n0\r\n\r\n", "02\r\n{}\r\n000\r\n\r\n", "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"} {
		all = append(all, attempt{fmt.Sprintf("%q", body), create(chunked, body), []string{"POST /contacts {}", "GET /last "}})
	}
	return append(all,
		attempt{"a trailer", create(chunked, "2\r\n{}\r\n0\r\nX-Sum: 1\r\n\r\n"), []string{"POST /contacts {}+X-Sum: 1", "GET /last "}},
		attempt{"a trailer with a space in its name", create(chunked, "2\r\n{}\r\n0\r\nX : 1\r\n\r\n"), []string{"POST /contacts {}", "GET /last "}},
		attempt{"a trailer that announces what it may not", create("Trailer: Content-Length\r\n"+chunked, "2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n"), nothing},
		attempt{"a trailer that would frame", create(chunked, "2\r\n{}\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\nHost: b\r\n\r\n"), []string{"POST /contacts {}", "GET /last "}},
	)
}

package plain

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// piece is what a client sends in one go, and how long it then waits.
type piece struct {
	bytes string
	then  time.Duration
}

// deed is what a handler does with a request.
type deed struct {
	first, then time.Duration // that the handler takes before it reads, and after
	reads       int           // bytes of the body; those of all where it is more
	closes      bool          // the body, after that
	flushes     bool          // a first part of the answer, before it reads: net/http would then take the body away
}

// conversation is a connection's.
type conversation struct {
	requests []string // as the handler is to see them
	deeds    []deed
	pieces   []piece
}

// everything reports whether the handler reads all that the client sends.
func (c conversation) everything() bool {
	return !slices.ContainsFunc(c.deeds, func(d deed) bool { return d.reads < maxBody || d.flushes })
}

const maxBody = 1 << 20

// pauses are shorter than what a client may take for a head, and both shorter and
// longer than what it takes until he is watched.
var pauses = rapid.SampledFrom([]time.Duration{0, 0, 0, time.Millisecond, attendPatience - 1, attendPatience, 3 * attendPatience, time.Second})

func conversations(t *rapid.T) (c conversation) {
	var sent strings.Builder
	for i := range rapid.IntRange(1, 4).Draw(t, "requests") {
		method := rapid.SampledFrom([]string{"GET", "POST", "PUT"}).Draw(t, "method")
		body := ""
		if method != "GET" {
			// What else than a request should a body be that is taken for one?
			body = strings.Repeat("GET /wrong HTTP/1.1\r\nHost: a\r\n\r\n", 300)[:rapid.SampledFrom([]int{0, 1, 31, 500, 4096, 9000}).Draw(t, "body")]
		}
		d := deed{first: pauses.Draw(t, "first"), then: pauses.Draw(t, "then"), reads: maxBody, flushes: rapid.IntRange(0, 5).Draw(t, "flushes") == 0}
		if rapid.IntRange(0, 3).Draw(t, "partly") == 0 {
			d.reads, d.closes = rapid.IntRange(0, len(body)).Draw(t, "reads"), rapid.Bool().Draw(t, "closes")
		}
		c.deeds = append(c.deeds, d)
		c.requests = append(c.requests, fmt.Sprintf("%s /%d %d %q", method, i, len(body), body[:min(d.reads, len(body))]))
		fmt.Fprintf(&sent, "%s /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", method, i, len(body), body)
	}
	for left := sent.String(); left != ""; {
		n := len(left)
		if rapid.Bool().Draw(t, "cut") {
			n = rapid.IntRange(1, len(left)).Draw(t, "piece")
		}
		c.pieces = append(c.pieces, piece{left[:n], pauses.Draw(t, "pause")})
		left = left[n:]
	}
	return c
}

// handler does the conversation's deeds and notes what it sees.
func (c conversation) handler(seen *[]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		i, err := strconv.Atoi(r.URL.Path[1:])
		if err != nil || i >= len(c.deeds) {
			*seen = append(*seen, "nobody sent "+r.URL.Path)
			return
		}
		d := c.deeds[i]
		if d.flushes {
			fmt.Fprint(w, "soon ")
			_ = http.NewResponseController(w).Flush() // nothing is to be done about a client that has left
		}
		time.Sleep(d.first)
		body, err := io.ReadAll(io.LimitReader(r.Body, int64(d.reads)))
		if d.closes {
			_ = r.Body.Close()
		}
		*seen = append(*seen, fmt.Sprintf("%s %s %d %q", r.Method, r.URL.Path, r.ContentLength, body))
		if err != nil {
			*seen = append(*seen, err.Error())
		}
		time.Sleep(d.then)
		fmt.Fprint(w, r.Context().Err())
	}
}

// held is what a conversation comes to.
func (c conversation) held(t *testing.T, ours bool) (seen, answers []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		inner := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: c.handler(&seen), ReadHeaderTimeout: headTime, IdleTimeout: idleTime}
		l := Listen(inner, server)
		ended := make(chan error, 1)
		go func() { // ends with Close below
			if ours {
				ended <- server.Serve(l)
			} else {
				ended <- server.Serve(inner)
			}
		}()
		client, accepted := net.Pipe()
		inner.conns <- stalling{accepted}
		sent := make(chan struct{})
		go func() { // ends with the connection at the latest
			defer close(sent)
			for _, piece := range c.pieces {
				if _, err := io.WriteString(client, piece.bytes); err != nil {
					return // an early answer may have ended it
				}
				time.Sleep(piece.then)
			}
		}()
		answers = read(client, len(c.requests))
		client.Close()
		<-sent
		_ = server.Close() // nobody is left to care
		l.Cut()
		<-ended
	})
	return seen, answers
}

// read answers the bodies of so many responses, or of those that come.
func read(client net.Conn, most int) (answers []string) {
	r := bufio.NewReader(client)
	for range most {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			break
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return append(answers, err.Error())
		}
		answers = append(answers, string(body))
	}
	return answers
}

// However a client's requests are cut up and a handler's time is, the handler sees
// what was sent, as net/http's does: all of it, or the first of it where an answer
// came before its request's end.
func TestRequestsBehindOneAnotherAreSeenAsTheyWereSent(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := conversations(r)
		seen, answers := c.held(t, true)
		theirs, theirAnswers := c.held(t, false)
		if c.everything() && !slices.Equal(theirs, c.requests) {
			r.Fatalf("net/http's handler saw %q where %q was sent", theirs, c.requests)
		}
		if len(seen) > len(c.requests) || !slices.Equal(seen, c.requests[:len(seen)]) {
			r.Fatalf("the handler saw %q where %q was sent", seen, c.requests)
		}
		if len(answers) != len(seen) || slices.ContainsFunc(answers, func(a string) bool { return strings.TrimPrefix(a, "soon ") != "<nil>" }) {
			r.Fatalf("the client got %q for %q", answers, seen)
		}
		if c.everything() && (len(seen) != len(c.requests) || !slices.Equal(answers, theirAnswers)) {
			r.Fatalf("the handler saw %q of %q; the client got %q, of net/http %q", seen, c.requests, answers, theirAnswers)
		}
	})
}

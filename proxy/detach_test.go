package proxy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/events"
)

// leaver is an upstream that keeps a request until told to answer it, and says
// when that request was ended instead.
type leaver struct {
	arrived, answer chan struct{}
	ended           chan bool // whether the request was ended before its answer
}

// contactOfSize is too much for the buffers of a connection that nobody reads.
var contactOfSize = `{"id":7,"text":"` + strings.Repeat("x", 900_000) + `"}`

func newLeaver() *leaver {
	return &leaver{make(chan struct{}, 10), make(chan struct{}), make(chan bool, 10)}
}

func (l *leaver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	l.arrived <- struct{}{}
	select {
	case <-l.answer:
		l.ended <- false
		created(contactOfSize)(w, r)
	case <-r.Context().Done():
		l.ended <- true
	}
}

// leave sends a write and closes the connection once it is at the upstream.
func (l *leaver) leave(t *testing.T, s *stand) {
	t.Helper()
	conn := dial(t, s.addr)
	fmt.Fprint(conn, "POST /contacts HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
	receive(t, l.arrived)
	conn.Close()
}

func TestAClientThatHangsUpDoesNotLoseTheEvent(t *testing.T) {
	overTransports(t, testAClientThatHangsUpDoesNotLoseTheEvent)
}

func testAClientThatHangsUpDoesNotLoseTheEvent(t *testing.T) {
	l := newLeaver()
	s, p := capturing(t, contacts, serve(t, l.ServeHTTP), nil)
	l.leave(t, s)
	eventually(t, s.proxy.metrics.detached, 1)
	close(l.answer)
	if receive(t, l.ended) {
		t.Fatal("the upstream's request was ended")
	}
	if e := p.one(t); e.Resource != "7" || string(e.Payload) != contactOfSize {
		t.Fatalf("published %s of %d bytes", e.Resource, len(e.Payload))
	}
	eventually(t, s.proxy.metrics.detached, 0)
	eventually(t, s.proxy.metrics.budget, 0)
	eventually(t, s.proxy.metrics.requests.WithLabelValues("201", "POST", kindForwarded), 1)
	if log := s.log.String(); !strings.Contains(log, "outcome=client_gone") {
		t.Fatal(log)
	}
}

func TestAClientThatHangsUpOverHTTP2DoesNotLoseTheEvent(t *testing.T) {
	overTransports(t, testAClientThatHangsUpOverHTTP2DoesNotLoseTheEvent)
}

func testAClientThatHangsUpOverHTTP2DoesNotLoseTheEvent(t *testing.T) {
	l := newLeaver()
	s, p := capturing(t, contacts, serve(t, l.ServeHTTP), nil)
	transport := NewTransport(TransportOptions{H2C: true})
	client := newClient(t, transport)
	gone := make(chan error, 1)
	ctx, leave := contextOf(t)
	go func() { // ends when the request is cancelled
		r, _ := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/contacts", strings.NewReader("{}"))
		_, err := client.Do(r)
		gone <- err
	}()
	receive(t, l.arrived)
	leave()
	if receive(t, gone) == nil {
		t.Fatal("the client got an answer")
	}
	eventually(t, s.proxy.metrics.detached, 1)
	close(l.answer)
	if e := p.one(t); e.Resource != "7" {
		t.Fatalf("published %+v", e)
	}
	eventually(t, s.proxy.metrics.detached, 0)
}

func TestADetachedRequestEndsWithItsGrace(t *testing.T) {
	overTransports(t, testADetachedRequestEndsWithItsGrace)
}

func testADetachedRequestEndsWithItsGrace(t *testing.T) {
	l := newLeaver()
	s, p := capturing(t, contacts, serve(t, l.ServeHTTP), func(o *Options) { o.DetachGrace = time.Millisecond })
	l.leave(t, s)
	if !receive(t, l.ended) {
		t.Fatal("answered")
	}
	eventually(t, s.proxy.metrics.outcomeUnknown, 1)
	eventually(t, s.proxy.metrics.detached, 0)
	p.none(t)
}

func TestOverTheMostDetachedRequestsEndWithTheirClients(t *testing.T) {
	overTransports(t, testOverTheMostDetachedRequestsEndWithTheirClients)
}

func testOverTheMostDetachedRequestsEndWithTheirClients(t *testing.T) {
	l := newLeaver()
	s, p := capturing(t, contacts, serve(t, l.ServeHTTP), func(o *Options) { o.MaxDetached, o.DetachGrace = 1, time.Hour })
	l.leave(t, s)
	eventually(t, s.proxy.metrics.detached, 1)
	l.leave(t, s)
	if !receive(t, l.ended) {
		t.Fatal("the second one went on")
	}
	close(l.answer)
	if receive(t, l.ended) {
		t.Fatal("the first one did not")
	}
	p.one(t)
	eventually(t, s.proxy.metrics.detached, 0)
}

func TestOnlyWhatMayBecomeAnEventOutlivesItsClient(t *testing.T) {
	overTransports(t, testOnlyWhatMayBecomeAnEventOutlivesItsClient)
}

func testOnlyWhatMayBecomeAnEventOutlivesItsClient(t *testing.T) {
	for name, rules := range map[string]string{
		"a read":         "rules: [{on: GET /x, emit: x.y}]",
		"a stream":       "rules: [{on: POST /stream, emit: x.y}]",
		"not the status": "rules: [{on: POST /error, emit: x.y}]",
		"too large":      "capture: {max_body: 4096}\nrules: [{on: POST /large, emit: x.y}]",
	} {
		t.Run(name, func(t *testing.T) {
			arrived, ended := make(chan struct{}), make(chan struct{})
			upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				answerFor(w, r.URL.Path)
				close(arrived)
				<-r.Context().Done()
				close(ended)
			})
			s, _ := capturing(t, rules, upstream, func(o *Options) { o.DetachGrace = time.Hour })
			method, path := "POST", map[string]string{"a stream": "/stream", "not the status": "/error", "too large": "/large", "a read": "/x"}[name]
			if name == "a read" {
				method = "GET"
			}
			conn := dial(t, s.addr)
			fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", method, path)
			receive(t, arrived)
			if name != "a read" {
				readUntil(conn, "\r\n\r\n") // the response has begun: what there was to learn is known
			}
			conn.Close()
			receive(t, ended)
		})
	}
}

func TestADetachedRequestEndsOnceItCannotBecomeAnEvent(t *testing.T) {
	overTransports(t, testADetachedRequestEndsOnceItCannotBecomeAnEvent)
}

func testADetachedRequestEndsOnceItCannotBecomeAnEvent(t *testing.T) {
	answer, arrived, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-answer
		answerFor(w, "/stream")
		<-r.Context().Done()
		close(ended)
	})
	s, _ := capturing(t, contacts, upstream, func(o *Options) { o.DetachGrace = time.Hour })
	conn := dial(t, s.addr)
	fmt.Fprint(conn, "POST /contacts HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
	receive(t, arrived)
	conn.Close()
	eventually(t, s.proxy.metrics.detached, 1)
	close(answer)
	receive(t, ended)
}

// answerFor begins a response that goes on for ever.
func answerFor(w http.ResponseWriter, path string) {
	switch path {
	case "/stream":
		w.Header().Set("Content-Type", "text/event-stream")
	case "/error":
		w.WriteHeader(http.StatusConflict)
	case "/large":
		_, _ = io.WriteString(w, strings.Repeat("x", 5000))
	default:
		return
	}
	_ = http.NewResponseController(w).Flush()
}

func TestAClientThatLeavesWhileTheEventIsPublishedDoesNotLoseIt(t *testing.T) {
	overTransports(t, testAClientThatLeavesWhileTheEventIsPublishedDoesNotLoseIt)
}

func testAClientThatLeavesWhileTheEventIsPublishedDoesNotLoseIt(t *testing.T) {
	s, p := capturing(t, contacts, serve(t, created(`{"id":7}`)), nil)
	p.entered, p.release = make(chan struct{}), make(chan struct{})
	conn := dial(t, s.addr)
	fmt.Fprint(conn, "POST /contacts HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
	receive(t, p.entered)
	conn.Close()
	close(p.release)
	if e := p.one(t); e.Resource != "7" {
		t.Fatalf("published %+v", e)
	}
}

func TestAPublisherThatFailsDoesNotHurtTheAPI(t *testing.T) {
	overTransports(t, testAPublisherThatFailsDoesNotHurtTheAPI)
}

func testAPublisherThatFailsDoesNotHurtTheAPI(t *testing.T) {
	for reason, err := range map[string]error{"nowhere": fmt.Errorf("full: %w", events.ErrNowhere), "error": io.ErrClosedPipe} {
		s, p := capturing(t, contacts, serve(t, created(`{"id":7}`)), nil)
		p.err = err
		if res, body := s.post(t, "/contacts"); res.StatusCode != http.StatusCreated || body != `{"id":7}` {
			t.Fatalf("the client got %d %q", res.StatusCode, body)
		}
		eventually(t, s.proxy.metrics.events.WithLabelValues(resultLost, reason), 1)
	}
}

func TestWaitIsForTheEventOfAnHTTP2ClientThatHasLeft(t *testing.T) {
	overTransports(t, testWaitIsForTheEventOfAnHTTP2ClientThatHasLeft)
}

func testWaitIsForTheEventOfAnHTTP2ClientThatHasLeft(t *testing.T) {
	l := newLeaver()
	s, p := capturing(t, contacts, serve(t, l.ServeHTTP), nil)
	transport := NewTransport(TransportOptions{H2C: true})
	client := newClient(t, transport)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		r, _ := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/contacts", strings.NewReader("{}"))
		_, err := client.Do(r)
		left <- err
	}()
	receive(t, l.arrived)
	leave()
	receive(t, left)
	transport.CloseIdleConnections()
	eventually(t, s.proxy.metrics.detached, 1)

	// Its connection has gone, and for net/http nothing is under way.
	if err := s.server.Config.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.proxy.Wait(over); err == nil {
		t.Error("nothing is under way, says Wait, though the upstream has not answered")
	}
	close(l.answer)
	if err := s.proxy.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(p.batches) != 1 {
		t.Errorf("%d batches were published when Wait returned; want 1", len(p.batches))
	}
}

package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Whose connection ends when, and what becomes of the event.

func TestAClientThatLeavesBeforeItsRequestIsWholeMakesNoEvent(t *testing.T) {
	overTransports(t, testAClientThatLeavesBeforeItsRequestIsWholeMakesNoEvent)
}

func testAClientThatLeavesBeforeItsRequestIsWholeMakesNoEvent(t *testing.T) {
	ended := make(chan struct{})
	s, p := capturing(t, contacts, serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		close(ended)
	}), nil)
	conn := dial(t, s.addr)
	fmt.Fprint(conn, "POST /contacts HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
	conn.Close()
	receive(t, ended)
	eventually(t, s.proxy.metrics.requests.WithLabelValues("499", "POST", kindForwarded), 1)
	p.none(t)
}

func TestAClientThatLeavesAfterItsAnswerHasBegunMakesAnEvent(t *testing.T) {
	overTransports(t, testAClientThatLeavesAfterItsAnswerHasBegunMakesAnEvent)
}

func testAClientThatLeavesAfterItsAnswerHasBegunMakesAnEvent(t *testing.T) {
	s, p := capturing(t, contacts, serve(t, created(contactOfSize)), nil)
	conn := dial(t, s.addr)
	fmt.Fprint(conn, "POST /contacts HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if e := p.one(t); e.Resource != "7" || string(e.Payload) != contactOfSize {
		t.Fatalf("published %s of %d bytes", e.Resource, len(e.Payload))
	}
}

func TestAnUpstreamThatDiesBeforeItsHeadersMakesNoEvent(t *testing.T) {
	overTransports(t, testAnUpstreamThatDiesBeforeItsHeadersMakesNoEvent)
}

func testAnUpstreamThatDiesBeforeItsHeadersMakesNoEvent(t *testing.T) {
	upstream := serveRaw(t, say("")) // the request is taken, and then nothing
	s, p := capturing(t, contacts, upstream.url, nil)
	if res, _ := s.do(t, post, "{}"); res.StatusCode != http.StatusBadGateway {
		t.Fatalf("%d", res.StatusCode)
	}
	p.none(t)
	eventually(t, s.proxy.metrics.outcomeUnknown, 1)
}

func TestAnUpgradeIsNeverCaptured(t *testing.T) { overTransports(t, testAnUpgradeIsNeverCaptured) }

func testAnUpgradeIsNeverCaptured(t *testing.T) {
	upstream := serveRaw(t, say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: own\r\n\r\nhello"))
	s, p := capturing(t, `rules: [{on: GET /x, emit: x.y}]`, upstream.url, nil)
	got := converse(t, s.addr, "GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: own\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 101 ") || !strings.HasSuffix(got, "\r\n\r\nhello") {
		t.Fatalf("got %q", got)
	}
	p.none(t)
	if got := counted(t, s.proxy.metrics.events); got != "skipped:upgrade" {
		t.Fatal(got)
	}
}

// ids answers the event ids of one request with an Idempotency-Key.
func ids(t *testing.T, s *stand, p *publisher) []string {
	t.Helper()
	s.do(t, post+"\nIdempotency-Key: k", "{}")
	var all []string
	for _, e := range receive(t, p.batches) {
		all = append(all, e.ID)
	}
	return all
}

func TestRulesOnOneLineHaveEventsOfTheirOwnAndReplaysHaveNot(t *testing.T) {
	overTransports(t, testRulesOnOneLineHaveEventsOfTheirOwnAndReplaysHaveNot)
}

func testRulesOnOneLineHaveEventsOfTheirOwnAndReplaysHaveNot(t *testing.T) {
	const line = `rules: [{on: POST /contacts, emit: a.b}, {on: POST /contacts, emit: a.c}, ` +
		`{on: POST /contacts, emit: a.b, when: {response.body.id: 7}}, {on: "POST /{kind:contacts}", emit: a.b, payload: {}}]`
	s, p := capturing(t, line, serve(t, created(`{"id":7}`)), nil)
	first, replay := ids(t, s, p), ids(t, s, p)
	seen := map[string]bool{}
	for i, id := range first {
		if id != replay[i] {
			t.Errorf("event %d has another id when replayed", i)
		}
		seen[id] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d ids for 4 events", len(seen))
	}
}

func TestItemsOfAReplayHaveTheSameIDs(t *testing.T) {
	overTransports(t, testItemsOfAReplayHaveTheSameIDs)
}

func testItemsOfAReplayHaveTheSameIDs(t *testing.T) {
	s, p := capturing(t, `rules: [{on: POST /contacts, emit: a.b, each: response.body}]`, serve(t, created(`[{"n":1},{"n":1}]`)), nil)
	first, replay := ids(t, s, p), ids(t, s, p)
	if len(first) != 2 || first[0] == first[1] || first[0] != replay[0] || first[1] != replay[1] {
		t.Errorf("%v, replayed %v", first, replay)
	}
}

package proxy

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/events"
)

const (
	fetchingLater = "resources: {contact: {path: /contacts, fetch: later}}"
	fetchingFirst = "resources: {contact: {path: /contacts, fetch: before}}"
)

// slow is an API whose GETs wait until told.
func slow() (a *records, release chan struct{}) {
	a, release = newRecords(oneContact()), make(chan struct{})
	a.get = func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
			answering(http.StatusOK, asJSON, `{"n":1}`)(w, r)
		case <-r.Context().Done():
		}
	}
	return a, release
}

func TestAFetchBehindTheResponseDoesNotHoldIt(t *testing.T) {
	a, release := slow()
	s, p := capturing(t, fetchingLater, serve(t, a.ServeHTTP), func(o *Options) { o.FetchTimeout = patience })
	s.do(t, put, "{}")
	receive(t, a.gets)
	p.none(t)
	close(release)
	if got := showEvent(p.one(t)); got != `contact.update 42/7 {"n":1}` {
		t.Error(got)
	}
	s.rest(t)
	eventually(t, s.proxy.metrics.events.WithLabelValues(resultPublished, ""), 1)
}

func TestOverTheMostLaterOnesAResponseWaits(t *testing.T) {
	a, release := slow()
	s, p := capturing(t, fetchingLater, serve(t, a.ServeHTTP), func(o *Options) { o.FetchTimeout, o.MaxLater = patience, 1 })
	s.do(t, put, "{}")
	receive(t, a.gets)
	second := make(chan int, 1)
	go func() { // ends with the response
		res, err := s.client.Post(s.url+"/contacts", "application/json", nil)
		if err != nil {
			second <- 0
			return
		}
		res.Body.Close()
		second <- res.StatusCode
	}()
	receive(t, a.gets)
	select {
	case status := <-second:
		t.Fatalf("the second client has %d already", status)
	default:
	}
	close(release)
	if status := receive(t, second); status != http.StatusCreated {
		t.Fatal(status)
	}
	p.one(t)
	p.one(t)
	eventually(t, s.proxy.metrics.fetches.WithLabelValues(fetchAfter, "ok"), 1)
}

func TestOverTheBudgetALaterFetchDoesNotHoldOnToBodies(t *testing.T) {
	a, release := slow()
	close(release)
	s, p := capturing(t, "capture: {max_body: 4096, budget: 8192}\n"+fetchingLater, serve(t, a.ServeHTTP), nil)
	for range 20 {
		s.do(t, put, `{"x":1}`)
		p.one(t)
	}
	s.rest(t)
	eventually(t, s.proxy.metrics.budget, 0)
}

func TestRulesThatFetchLaterLeaveTheOthersOnTime(t *testing.T) {
	a, release := slow()
	s, p := capturing(t, `rules: [{on: "PUT /contacts/{id}", emit: a.b}, {on: "PUT /contacts/{id}", emit: a.c, fetch: later}]`, serve(t, a.ServeHTTP),
		func(o *Options) { o.FetchTimeout = patience })
	s.do(t, put, "{}")
	if got := s.outcomeOf(t, p); got != "a.b 42/7 omitted:no_content" {
		t.Error(got)
	}
	close(release)
	if got := showEvent(p.one(t)); got != `a.c 42/7 {"n":1}` {
		t.Error(got)
	}
}

func TestALaterEventThatGoesNowhereIsCounted(t *testing.T) {
	a, release := slow()
	close(release)
	s, p := capturing(t, fetchingLater, serve(t, a.ServeHTTP), nil)
	p.err = events.ErrNowhere
	if res, _ := s.do(t, put, "{}"); res.StatusCode != http.StatusNoContent {
		t.Fatal(res.StatusCode)
	}
	s.rest(t)
	eventually(t, s.proxy.metrics.events.WithLabelValues(resultLost, "nowhere"), 1)
}

func TestARequestWaitsForWhatWasBeforeItButNotForLong(t *testing.T) {
	a, release := slow()
	defer close(release)
	s, p := capturing(t, fetchingFirst, serve(t, a.ServeHTTP), func(o *Options) { o.FetchTimeout = 20 * time.Millisecond })
	if res, _ := s.do(t, del, ""); res.StatusCode != http.StatusNoContent {
		t.Fatal(res.StatusCode)
	}
	if got := s.outcomeOf(t, p); got != "contact.delete 42/7 omitted:fetch_failed" {
		t.Error(got)
	}
	eventually(t, s.proxy.metrics.fetches.WithLabelValues(fetchBefore, "failed"), 1)
}

func TestAFetchBeforeLeavesTheRequestsBodyWhole(t *testing.T) {
	a := newRecords(oneContact())
	sent := `{"x":"` + contactOfSize + `"}`
	got := make(chan int, 1)
	s, _ := capturing(t, fetchingFirst, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			body, _ := io.ReadAll(r.Body)
			got <- len(body)
		}
		a.ServeHTTP(w, r)
	}), nil)
	s.do(t, put, sent)
	if n := receive(t, got); n != len(sent) {
		t.Errorf("%d bytes of %d", n, len(sent))
	}
}

func TestAClientThatLeavesDoesNotLoseWhatIsFetched(t *testing.T) {
	a, release := slow()
	s, p := capturing(t, "resources: {contact: {path: /contacts, fetch: after}}", serve(t, a.ServeHTTP), func(o *Options) { o.FetchTimeout = patience })
	conn := dial(t, s.addr)
	_, _ = io.WriteString(conn, "PUT /contacts/7 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
	receive(t, a.gets)
	conn.Close()
	eventually(t, s.proxy.metrics.detached, 1)
	close(release)
	if got := showEvent(p.one(t)); got != `contact.update 42/7 {"n":1}` {
		t.Error(got)
	}
	eventually(t, s.proxy.metrics.detached, 0)
}

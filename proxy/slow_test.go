package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/rules"
)

// halting answers a part of a body, and the rest, with a trailer, once told to.
func halting(goOn <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, `{"id":7,`)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-goOn:
			_, _ = io.WriteString(w, `"name":"Ada"}`)
			w.Header().Set("X-Sum", "1")
		case <-r.Context().Done():
		}
	}
}

// postNamed posts to what the named rules match, and leaves the body to be read.
func (s *stand) postNamed(t *testing.T) *http.Response {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/7", strings.NewReader("{}"))
	res, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

func TestAResponseThatComesToAHaltStreamsOnWithItsEventPublished(t *testing.T) {
	overTransports(t, testAResponseThatComesToAHaltStreamsOnWithItsEventPublished)
}

func testAResponseThatComesToAHaltStreamsOnWithItsEventPublished(t *testing.T) {
	goOn := make(chan struct{})
	s, p := capturing(t, named, serve(t, halting(goOn)), func(o *Options) { o.HoldStall = time.Millisecond })
	res := s.postNamed(t)
	if e := p.one(t); e.Omitted != omittedSlow || e.Resource != "7" {
		t.Errorf("published %+v; want it without data, for being slow", e)
	}
	first := make([]byte, len(`{"id":7,`))
	if _, err := io.ReadFull(res.Body, first); err != nil || string(first) != `{"id":7,` {
		t.Fatalf("the client got %q, %v while the upstream halts", first, err)
	}
	close(goOn)
	rest, err := io.ReadAll(res.Body)
	if err != nil || string(rest) != `"name":"Ada"}` || res.Trailer.Get("X-Sum") != "1" {
		t.Errorf("then it got %q with trailers %v, %v", rest, res.Trailer, err)
	}
	eventually(t, s.proxy.metrics.budget, 0)
}

func TestAResponseThatNeverStopsIsNotHeldForever(t *testing.T) {
	overTransports(t, testAResponseThatNeverStopsIsNotHeldForever)
}

func testAResponseThatNeverStopsIsNotHeldForever(t *testing.T) {
	dripping := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, " ")
			_ = http.NewResponseController(w).Flush()
		}
	})
	s, p := capturing(t, "capture: {max_body: 64MiB}\n"+named, dripping,
		func(o *Options) { o.HoldStall, o.HoldTime = time.Minute, 20*time.Millisecond })
	res := s.postNamed(t)
	if e := p.one(t); e.Omitted != omittedSlow {
		t.Errorf("published %+v; want it without data, for being slow", e)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, 4096)); err != nil {
		t.Error(err)
	}
}

func TestAClientThatLeavesAHaltingResponseLeavesNothingBehind(t *testing.T) {
	overTransports(t, testAClientThatLeavesAHaltingResponseLeavesNothingBehind)
}

func testAClientThatLeavesAHaltingResponseLeavesNothingBehind(t *testing.T) {
	s, p := capturing(t, named, serve(t, halting(nil)), func(o *Options) { o.HoldStall = time.Millisecond })
	res := s.postNamed(t)
	p.one(t)
	res.Body.Close()
	if err := s.proxy.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, s.proxy.metrics.budget, 0)
}

const loginAndContacts = "resources: {contact: /contacts}\nrules: [{on: POST /login, emit: user.login, when: {request.body.kind: person}}]\n"

func TestStrangersWithLargeClaimsTakeNobodysBudget(t *testing.T) {
	overTransports(t, testStrangersWithLargeClaimsTakeNobodysBudget)
}

func testStrangersWithLargeClaimsTakeNobodysBudget(t *testing.T) {
	upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			created(`{"id":7}`)(w, r)
		}
	})
	s, p := capturing(t, loginAndContacts, upstream, nil)
	claims := rules.DefaultBudget / rules.DefaultMaxBody
	for range claims {
		fmt.Fprintf(dial(t, s.addr), "POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n{", rules.DefaultMaxBody)
	}
	eventually(t, s.proxy.metrics.budget, float64(claims*firstRead))
	if res, _ := s.post(t, "/contacts"); res.StatusCode != http.StatusCreated {
		t.Fatal(res.Status)
	}
	if e := p.one(t); string(e.Payload) != `{"id":7}` {
		t.Errorf("published %+v", e)
	}
}

func TestRequestsGetHalfTheBudgetAtMost(t *testing.T) {
	s, p := capturing(t, loginAndContacts, serve(t, created(`{"id":7}`)), nil)
	c := s.proxy.capturing(&exchange{inbound: mustRequest(t, "/login"), path: "/login", ruling: s.proxy.ruling.Load()})
	defer c.end()
	requests := c.newRequestLease()
	defer requests.release()
	if requests.grow(rules.DefaultBudget/2 + 1) {
		t.Error("requests got more than half of it")
	}
	if !requests.grow(rules.DefaultBudget / 2) {
		t.Fatal("requests did not get half of it")
	}
	s.post(t, "/contacts")
	if e := p.one(t); string(e.Payload) != `{"id":7}` {
		t.Errorf("with requests at their limit, a response's event is %+v", e)
	}
}

func mustRequest(t *testing.T, path string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

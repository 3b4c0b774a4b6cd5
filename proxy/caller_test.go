package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/identity"
	"github.com/hookproxy/hookproxy/rules"
)

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}

// whoami makes an identity that asks the upstream.
func whoami(t *testing.T, upstream http.HandlerFunc) Identifier {
	t.Helper()
	transport := transportUnderTest(TransportOptions{})
	t.Cleanup(transport.CloseIdleConnections)
	chain, err := identity.New(identity.Options{
		Upstream: serve(t, upstream), Transport: transport, Entries: []identity.Entry{{Kind: identity.KindWhoami, Get: "/me", User: "id"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

// answererFunc stands in for an identity that misbehaves.
type answererFunc func(ctx context.Context) (identity.Caller, error)

func (f answererFunc) Answer(ctx context.Context) (identity.Caller, error) { return f(ctx) }

func (answererFunc) Known() (identity.Caller, error, bool) { return identity.Caller{}, nil, false }

func (answererFunc) Forget() {}

func (s *stand) postAs(t *testing.T, token string) {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/contacts", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := s.client.Do(r)
	if err != nil || res.StatusCode != http.StatusCreated {
		t.Fatalf("%v, %v", res, err)
	}
	res.Body.Close()
}

func TestTheCallerIsAskedForWhileTheRequestIsForwarded(t *testing.T) {
	asked, arrived := make(chan struct{}), make(chan struct{})
	chain := whoami(t, func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-arrived
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"id":"42"}`))
	})
	upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
		<-asked
		close(arrived)
		created(`{"id":7}`)(w, r)
	})
	s, p := capturing(t, contacts, upstream, func(o *Options) { o.Identity, o.CallerPatience = chain, time.Minute })
	s.postAs(t, "t")
	if e := p.one(t); e.User != "42" || e.Parked != "" {
		t.Fatalf("published %+v", e)
	}
}

func TestEventsOfACallerThatCannotBeFoundOutAreParked(t *testing.T) {
	enough := make(chan struct{})
	forever := func(http.ResponseWriter, *http.Request) { <-enough }
	broken := func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusInternalServerError) }
	refusing := func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusUnauthorized) }
	for name, c := range map[string]struct {
		whoami http.HandlerFunc
		token  string
		parked string
	}{
		"slow":     {forever, "t", parkedIdentityUnavailable},
		"broken":   {broken, "t", parkedIdentityUnavailable},
		"refused":  {refusing, "t", rules.ParkedUserUnknown},
		"stranger": {broken, "", rules.ParkedUserUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			s, p := capturing(t, contacts, serve(t, created(`{"id":7}`)), func(o *Options) {
				o.Identity, o.CallerPatience = whoami(t, c.whoami), time.Minute
				if name == "slow" {
					o.CallerPatience = time.Millisecond
					t.Cleanup(func() { close(enough) })
				}
			})
			s.postAs(t, c.token)
			if e := p.one(t); e.Parked != c.parked || e.User != "" || string(e.Payload) != `{"id":7}` {
				t.Fatalf("published %+v", e)
			}
			eventually(t, s.proxy.metrics.events.WithLabelValues(resultParked, c.parked), 1)
		})
	}
}

func TestNobodyWaitsForACallerWhereNoEventArises(t *testing.T) {
	enough := make(chan struct{})
	const whenWon = `rules: [{on: "POST /contacts", emit: deal.won, when: {response.body.stage: won}}]`
	s, p := capturing(t, whenWon, serve(t, created(`{"id":7,"stage":"open"}`)), func(o *Options) {
		o.Identity = whoami(t, func(http.ResponseWriter, *http.Request) { <-enough })
		o.CallerPatience = 100 * patience // longer than the test
	})
	t.Cleanup(func() { close(enough) }) // before the server that it keeps is closed
	s.postAs(t, "t")
	p.none(t)
}

func TestTwoCallersWithOneIdempotencyKeyHaveTwoEvents(t *testing.T) {
	names := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":%q}`, r.Header.Get("Authorization"))
	}
	const owned = `rules: [{on: "PATCH /deals/{id}", emit: deal.update, user: response.body.owner}]`
	s, p := capturing(t, owned, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"owner":"acme"}`)
	}), func(o *Options) { o.Identity, o.CallerPatience = whoami(t, names), time.Minute })
	send := func(who string) string {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPatch, s.url+"/deals/7", nil)
		r.Header.Set("Authorization", who)
		r.Header.Set("Idempotency-Key", "1")
		res, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		e := p.one(t)
		if e.User != "acme" {
			t.Fatalf("published %+v", e)
		}
		return e.ID
	}
	alice, again, bob := send("alice"), send("alice"), send("bob")
	if alice != again {
		t.Error("a replay has an id of its own")
	}
	if alice == bob {
		t.Error("another caller's write is taken for a replay")
	}
}

func TestParkedReplaysOfStrangersAreNotTakenForOneEvent(t *testing.T) {
	s, p := capturing(t, contacts, serve(t, created(`{"id":7}`)), func(o *Options) { o.Identity = nil })
	send := func() string {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/contacts", nil)
		r.Header.Set("Idempotency-Key", "1")
		res, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return p.one(t).ID
	}
	if send() == send() {
		t.Fatal("two strangers with the same key have one event")
	}
}

func TestPanicsOnTheWayToAnEventLeaveTheResponseAlone(t *testing.T) {
	for where, breakIt := range map[string]func(*Proxy){
		"match": func(p *Proxy) {
			p.ruling.Load().match = func(*exchange) (matcher, rules.CaptureSettings) { panic("match") }
		},
		"derive": func(p *Proxy) {
			p.ruling.Load().match = func(*exchange) (matcher, rules.CaptureSettings) { return panicking{}, rules.CaptureSettings{} }
		},
		"identity": func(p *Proxy) {
			p.ruling.Load().ask = func(*http.Request) answerer {
				return answererFunc(func(context.Context) (identity.Caller, error) { panic(errors.New("identity")) })
			}
		},
	} {
		t.Run(where, func(t *testing.T) {
			s, p := capturing(t, contacts, serve(t, created(`{"id":7}`)), nil)
			breakIt(s.proxy)
			if res, body := s.post(t, "/contacts"); res.StatusCode != http.StatusCreated || body != `{"id":7}` {
				t.Fatalf("the client got %d %q", res.StatusCode, body)
			}
			eventually(t, s.proxy.metrics.panics.WithLabelValues(where), 1)
			switch where {
			case "derive":
				eventually(t, s.proxy.metrics.events.WithLabelValues(resultLost, "panic"), 1)
			case "identity":
				if e := p.one(t); e.Parked != parkedIdentityUnavailable {
					t.Fatalf("published %+v", e)
				}
			}
		})
	}
}

// panicking is a match with a bug.
type panicking struct{}

func (panicking) WantsStatus(int) bool                      { return true }
func (panicking) NeedsRequestBody() bool                    { return true }
func (panicking) NeedsCaller() bool                         { return true }
func (panicking) Strict(int) bool                           { return false }
func (panicking) FetchBefore(*rules.Exchange) []rules.Fetch { return nil }
func (panicking) FetchAfter(*rules.Exchange) []rules.Fetch  { return nil }
func (panicking) Credentials() []string                     { return nil }
func (panicking) Parameters() []string                      { return nil }
func (p panicking) Split() (now, later matcher)             { return p, nil }
func (panicking) Derive(*rules.Exchange) []rules.Result     { panic("derive") }

func TestA401OfTheUpstreamMakesIdentityForgetTheCaller(t *testing.T) {
	asked := make(chan struct{}, 10)
	chain := whoami(t, func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"id":"42"}`))
	})
	upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/private" { // which no rule matches
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		created(`{"id":7}`)(w, r)
	})
	s, p := capturing(t, contacts, upstream, func(o *Options) { o.Identity, o.CallerPatience = chain, time.Minute })
	get := func(token string) {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/private", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := s.client.Do(r)
		if err != nil || res.StatusCode != http.StatusUnauthorized {
			t.Fatalf("%v, %v", res, err)
		}
		res.Body.Close()
	}
	for _, lookups := range []int{1, 1} {
		s.postAs(t, "t")
		if p.one(t); len(asked) != lookups {
			t.Fatalf("%d lookups, want %d", len(asked), lookups)
		}
	}
	get("another")
	s.postAs(t, "t")
	if p.one(t); len(asked) != 1 {
		t.Fatalf("another's 401 made it forget")
	}
	get("t")
	s.postAs(t, "t")
	if p.one(t); len(asked) != 2 {
		t.Fatalf("%d lookups after a 401, want 2", len(asked))
	}
}

package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/identity"
	"github.com/hookproxy/hookproxy/rules"
)

// release is one call of a Releaser.
type release struct {
	event events.Event
	user  string
}

// releaser remembers what was released; err answers the error of each call.
type releaser struct {
	released chan release
	err      func(attempt int) error
	attempts int
}

func newReleaser() *releaser {
	return &releaser{released: make(chan release, 100), err: func(int) error { return nil }}
}

func (r *releaser) Release(_ context.Context, e events.Event, user string) error {
	r.attempts++
	if err := r.err(r.attempts); err != nil {
		return err
	}
	r.released <- release{e, user}
	return nil
}

func TestAnothersEventIsNotReleasedToTheCaller(t *testing.T) {
	silent := make(chan struct{})
	chain := whoami(t, func(http.ResponseWriter, *http.Request) { <-silent })
	freed := newReleaser()
	// The rule names another owner, and the answer does not say who that is.
	const owned = `rules: [{on: POST /contacts, emit: contact.create, user: response.body.owner_id}]`
	s, p := capturing(t, owned, serve(t, created(`{"id":7}`)), func(o *Options) {
		o.Identity, o.CallerPatience, o.Releaser = chain, time.Millisecond, freed
	})
	t.Cleanup(func() { close(silent) }) // before the server that it keeps is closed
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/contacts", nil)
	r.Header.Set("Authorization", "Bearer t")
	r.Header.Set("Idempotency-Key", "k") // for which the caller is asked for
	res, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if e := p.one(t); e.Parked != rules.ParkedUserUnknown {
		t.Errorf("published %+v; want it parked as nobody's, not as the caller's", e)
	}
	if n := s.proxy.late.waiting.Load(); n != 0 {
		t.Errorf("%d exchanges wait for their caller", n)
	}
}

func TestAnEventParkedForASlowIdentityIsReleasedOnceItAnswers(t *testing.T) {
	answer := make(chan struct{})
	chain := whoami(t, func(w http.ResponseWriter, _ *http.Request) {
		<-answer
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"id":"42"}`))
	})
	freed := newReleaser()
	s, p := capturing(t, contacts, serve(t, created(`{"id":7}`)), func(o *Options) {
		o.Identity, o.CallerPatience, o.Releaser = chain, time.Millisecond, freed
	})
	s.postAs(t, "t") // answered, while identity is still silent
	parked := p.one(t)
	if parked.Parked != parkedIdentityUnavailable || parked.User != "" {
		t.Fatalf("published %+v", parked)
	}
	close(answer)
	got := receive(t, freed.released)
	if got.user != "42" || got.event.ID != parked.ID || got.event.Parked != parked.Parked {
		t.Errorf("released %+v to %q", got.event, got.user)
	}
	eventually(t, s.proxy.metrics.late.WithLabelValues(lateReleased), 1)
	eventually(t, s.proxy.metrics.lateWaiting, 0)
}

func TestWhatIsNotParkedForIdentityIsNotAskedAboutAgain(t *testing.T) {
	asked := make(chan struct{}, 10)
	chain := whoami(t, func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		w.WriteHeader(http.StatusUnauthorized)
	})
	freed := newReleaser()
	s, p := capturing(t, contacts, serve(t, created(`{"id":7}`)), func(o *Options) {
		o.Identity, o.CallerPatience, o.Releaser = chain, time.Minute, freed
	})
	s.postAs(t, "t")
	if e := p.one(t); e.Parked != rules.ParkedUserUnknown {
		t.Fatalf("published %+v", e)
	}
	if len(asked) != 1 || s.proxy.late.waiting.Load() != 0 {
		t.Errorf("%d lookups, %d waiting", len(asked), s.proxy.late.waiting.Load())
	}
}

// lateProxy is a proxy without sockets, in a bubble whose time a test moves.
func lateProxy(t *testing.T, change func(*Options)) (*Proxy, *releaser) {
	t.Helper()
	freed := newReleaser()
	o := Options{Upstream: parse(t, "http://api.example"), Releaser: freed}
	if change != nil {
		change(&o)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p, freed
}

// outcomes reads the counters that are not zero.
func outcomes(t *testing.T, p *Proxy) string {
	t.Helper()
	text := ""
	for _, outcome := range []string{lateReleased, lateRefused, lateGivenUp, lateFull, lateNotParked} {
		if n := countOf(t, p.metrics.late.WithLabelValues(outcome)); n != 0 {
			text += fmt.Sprintf("%s=%v ", outcome, n)
		}
	}
	return text
}

func unavailable() (identity.Caller, error) { return identity.Caller{}, identity.ErrUnavailable }

func TestALateCallerIsAskedForUntilThereIsAnAnswerOrNoPatience(t *testing.T) {
	parked := []events.Event{{ID: "1", Parked: parkedIdentityUnavailable}, {ID: "2", Parked: "resource_unknown", User: "7"}}
	broken := errors.New("Redis is away")
	for name, test := range map[string]struct {
		answers  int // how many say "unavailable" first
		last     error
		release  func(int) error
		took     time.Duration
		outcomes string
	}{
		"at once":         {answers: 0, took: 0, outcomes: "released=1 "},
		"the third time":  {answers: 2, took: 3 * time.Second, outcomes: "released=1 "},
		"refused":         {answers: 1, last: identity.ErrUnauthenticated, took: time.Second, outcomes: "refused=1 "},
		"never":           {answers: 1000, took: 30 * time.Second, outcomes: "given_up=1 "},
		"in the spool":    {release: func(int) error { return events.ErrNotParked }, outcomes: "not_parked=1 "},
		"Redis in pieces": {release: func(n int) error { return map[int]error{1: broken, 2: broken}[n] }, took: 3 * time.Second, outcomes: "released=1 "},
		"Redis away":      {release: func(int) error { return broken }, took: 30 * time.Second, outcomes: "given_up=1 "},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, freed := lateProxy(t, nil)
				if test.release != nil {
					freed.err = test.release
				}
				calls := 0
				q := &question{pending: true, answerer: answererFunc(func(context.Context) (identity.Caller, error) {
					if calls++; calls <= test.answers {
						return unavailable()
					}
					return identity.Caller{User: "42"}, test.last
				})}
				start := time.Now()
				p.askLater(q, parked)
				p.asking.Wait()
				if took := time.Since(start); took != test.took || outcomes(t, p) != test.outcomes {
					t.Errorf("after %s: %s; want %s after %s", took, outcomes(t, p), test.outcomes, test.took)
				}
				if len(freed.released) == 1 {
					if got := <-freed.released; got.event.ID != "1" || got.user != "42" {
						t.Errorf("released %+v", got)
					}
				}
				_ = p.Wait(context.Background())
			})
		})
	}
}

func TestAnIdentityThatFailedAtOnceIsNotAskedAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := lateProxy(t, nil)
		start, first := time.Now(), time.Duration(-1)
		p.askLater(&question{answerer: answererFunc(func(context.Context) (identity.Caller, error) {
			first = time.Since(start)
			return identity.Caller{User: "42"}, nil
		})}, []events.Event{{ID: "1", Parked: parkedIdentityUnavailable}})
		p.asking.Wait()
		if first != firstLatePause {
			t.Errorf("it was asked after %s", first)
		}
		_ = p.Wait(context.Background())
	})
}

func TestTheNumberAndSizeOfLateCallersIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := lateProxy(t, func(o *Options) { o.MaxLate = 3 })
		q := &question{pending: true, answerer: answererFunc(func(ctx context.Context) (identity.Caller, error) {
			<-ctx.Done()
			return unavailable()
		})}
		for range 5 {
			p.askLater(q, []events.Event{{Parked: parkedIdentityUnavailable}})
		}
		if got := outcomes(t, p); got != "full=2 " {
			t.Errorf("outcomes: %s", got)
		}
		p.asking.Wait()
		huge := make([]byte, maxLateBytes)
		p.askLater(q, []events.Event{{Parked: parkedIdentityUnavailable, Payload: huge}})
		p.askLater(q, []events.Event{{Parked: parkedIdentityUnavailable, Payload: huge[:1]}})
		_ = p.Wait(context.Background()) // gives up at once
		if got := outcomes(t, p); got != "given_up=4 full=3 " {
			t.Errorf("outcomes: %s", got)
		}
		if p.late.waiting.Load() != 0 || p.late.bytes.Load() != 0 {
			t.Errorf("%d with %d bytes are left", p.late.waiting.Load(), p.late.bytes.Load())
		}
	})
}

func TestWithoutAReleaserWhatIsParkedStaysParked(t *testing.T) {
	p, _ := lateProxy(t, func(o *Options) { o.Releaser = nil })
	p.askLater(&question{}, []events.Event{{Parked: parkedIdentityUnavailable}})
	if p.late.waiting.Load() != 0 || outcomes(t, p) != "" {
		t.Error("it is asked about")
	}
	_ = p.Wait(context.Background())
}

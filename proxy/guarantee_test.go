package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/events"
)

const strictly = `
rules:
  - {on: POST /strict, emit: a.strict, guarantee: strict}
  - {on: POST /strict, emit: a.too, guarantee: available}
  - {on: POST /available, emit: a.b}
  - {on: POST /accepted, emit: a.c, guarantee: strict, status: 202}
  - {on: POST /observed, emit: a.d, guarantee: strict, mode: observe}
`

func TestAStrictRulesClientHearsOfNoSuccessWhoseEventIsNowhere(t *testing.T) {
	for _, err := range []error{events.ErrNowhere, errors.New("broken")} {
		s, p := capturing(t, strictly, serve(t, created(`{"id":7}`)), nil)
		p.err = err
		for path, want := range map[string]int{"/strict": 503, "/available": 201, "/accepted": 201, "/observed": 201, "/unmatched": 201} {
			res, body := s.do(t, "POST "+path, "{}")
			if res.StatusCode != want {
				t.Fatalf("%s: %d %s", path, res.StatusCode, body)
			}
			if want != http.StatusServiceUnavailable {
				continue
			}
			var got problem
			if err := json.Unmarshal([]byte(body), &got); err != nil || got.Status != want || got.UpstreamStatus != 201 || !strings.Contains(got.Detail, "has carried out this request") {
				t.Errorf("%s, %v", body, err)
			}
			if h := res.Header; h.Get("Retry-After") != "5" || h.Get("Content-Type") != "application/problem+json" {
				t.Errorf("header %v", h)
			}
		}
		eventually(t, s.proxy.metrics.budget, 0)
		if log := s.log.String(); !strings.Contains(log, "status=503") || !strings.Contains(log, "outcome=not_safe") || !strings.Contains(log, "result=lost") {
			t.Error(log)
		}
	}
}

func TestOnlyTheLossOfAStrictRulesOwnEventIsAnError(t *testing.T) {
	for place, want := range []int{http.StatusServiceUnavailable, http.StatusCreated} {
		s, p := capturing(t, strictly, serve(t, created(`{"id":7}`)), nil)
		p.err = &events.LostError{Lost: []int{place}, Err: events.ErrNowhere}
		if res, body := s.do(t, "POST /strict", "{}"); res.StatusCode != want {
			t.Errorf("with event %d lost: %d %s; want %d", place, res.StatusCode, body, want)
		}
		if got := counted(t, s.proxy.metrics.events); got != "lost:nowhere published:" {
			t.Errorf("counted as %q; want one lost and one published", got)
		}
		if log := s.log.String(); !strings.Contains(log, "result=lost") {
			t.Error(log)
		}
	}
}

func TestAStrictRulesClientHearsOfASuccessWhoseEventIsSafe(t *testing.T) {
	s, p := capturing(t, strictly, serve(t, created(`{"id":7}`)), nil)
	if res, body := s.do(t, "POST /strict", "{}"); res.StatusCode != http.StatusCreated || body != `{"id":7}` {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	if batch := receive(t, p.batches); len(batch) != 2 {
		t.Fatalf("%+v", batch)
	}
}

func TestAStrictRuleMeansTheRealPublisher(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close() // nobody is there now
	o := &redis.UniversalOptions{Addrs: []string{ln.Addr().String()}, Protocol: 2}
	events.PublishOptions(o)
	client := redis.NewUniversalClient(o)
	t.Cleanup(func() { client.Close() })
	s, _ := capturing(t, strictly, serve(t, created(`{"id":7}`)), func(o *Options) {
		o.Publisher = events.NewPublisher(events.Options{Client: client})
	})
	for path, want := range map[string]int{"/strict": 503, "/available": 201} {
		if res, _ := s.do(t, "POST "+path, "{}"); res.StatusCode != want {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}

// failing has a bug too.
type failing struct{ nowhere }

func (failing) Publish(context.Context, []events.Event) error { panic("publish") }

func TestABugLosesAnEventButNotAGuarantee(t *testing.T) {
	s, _ := capturing(t, strictly, serve(t, created(`{"id":7}`)), func(o *Options) { o.Publisher = failing{} })
	for path, want := range map[string]int{"/strict": 503, "/available": 201, "/accepted": 201} {
		if res, _ := s.do(t, "POST "+path, "{}"); res.StatusCode != want {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}

func TestObservedRulesAreCountedAndLoggedAndNothingElse(t *testing.T) {
	for name, source := range map[string]string{
		"the file":  "mode: observe\n" + contacts,
		"all of it": "mode: observe\nresources: {contact: {path: /contacts, mode: publish}}",
		"a rule":    "resources: {contact: {path: /contacts, mode: observe}}",
	} {
		t.Run(name, func(t *testing.T) {
			s, p := capturing(t, source, serve(t, created(`{"id":7,"name":"Ann"}`)), nil)
			if res, body := s.do(t, post, "{}"); res.StatusCode != http.StatusCreated || body != `{"id":7,"name":"Ann"}` {
				t.Fatalf("%d %s", res.StatusCode, body)
			}
			p.none(t)
			if got := counted(t, s.proxy.metrics.events); got != "observed:" {
				t.Error(got)
			}
			log := s.log.String()
			if !strings.Contains(log, "event=contact.create rule=rules.yaml:") || !strings.Contains(log, "events=[contact.create] result=observed") || strings.Contains(log, "Ann") {
				t.Error(log)
			}
		})
	}
}

func TestAnObservedRuleStandsBesideTheOneThatIsLive(t *testing.T) {
	s, p := capturing(t, `rules: [{on: POST /contacts, emit: a.b}, {on: POST /contacts, emit: a.b, mode: observe, payload: response.body.data}]`,
		serve(t, created(`{"id":7}`)), nil)
	s.do(t, post, "{}")
	if got := s.outcomeOf(t, p); got != `a.b 42/7 {"id":7}` {
		t.Error(got)
	}
	if got := counted(t, s.proxy.metrics.events); got != "observed:missing published:" {
		t.Error(got)
	}
}

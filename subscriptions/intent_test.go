package subscriptions

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

// fakeTarget answers handshakes and tests as a target would: 200, and the secret
// where it echoes. How the real ones are asked, delivery's own tests show.
type fakeTarget struct {
	mu      sync.Mutex
	echo    bool
	status  int    // 0: 200
	class   string // of an answer that is none
	secrets []string
	asked   []Subscription
	tests   []TestEvent
	hold    chan struct{} // where not nil, an answer waits for it
}

func (f *fakeTarget) Handshake(_ context.Context, sub Subscription, secret string) Reply {
	f.mu.Lock()
	f.secrets, f.asked = append(f.secrets, secret), append(f.asked, sub)
	echo := f.echo
	f.mu.Unlock()
	reply := f.reply()
	if echo {
		reply.Header.Set("X-Hook-Secret", secret)
	}
	return reply
}

func (f *fakeTarget) Test(_ context.Context, sub Subscription, test TestEvent) Reply {
	f.mu.Lock()
	f.asked, f.tests = append(f.asked, sub), append(f.tests, test)
	f.mu.Unlock()
	return f.reply()
}

func (f *fakeTarget) reply() Reply {
	if f.hold != nil {
		<-f.hold
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	reply := Reply{Status: f.status, Class: f.class, Took: 3 * time.Millisecond, Header: http.Header{"Content-Type": {"text/plain"}}, Body: "theirs"}
	if f.status == 0 && f.class == "" {
		reply.Status = http.StatusOK
	}
	return reply
}

func (f *fakeTarget) set(echo bool, status int, class string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.echo, f.status, f.class = echo, status, class
}

func (f *fakeTarget) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.secrets)
}

func (f *fakeTarget) last() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.secrets[len(f.secrets)-1]
}

func asking(f *fakeTarget, exempt ...string) func(*HandlerOptions) {
	return func(o *HandlerOptions) { o.Intent, o.IntentExempt, o.Prober = IntentHandshake, exempt, f }
}

const wish = `{"event":"contact.create","target_url":"https://hooks.example/a"}`

func (r *rig) read(t *testing.T, id string) (got resource) {
	t.Helper()
	r.send(t, "ann", "GET", base+id, "").want(t, 200).into(t, &got)
	return got
}

// found tells whether an event of ann's would find a subscription.
func (r *rig) found(t *testing.T, id string) bool {
	t.Helper()
	return r.redis.Client.SIsMember(t.Context(), lane0().Subscribers("contact.create", "ann"), id).Val()
}

func TestATargetThatSendsTheSecretBackIsActiveAtOnce(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		target := &fakeTarget{echo: true}
		r := newRig(t, s, asking(target))
		made := r.subscribe(t, "ann")
		if made.State != StateActive || !made.Active || made.ConfirmBy != nil || made.Secret == target.last() || !r.found(t, made.ID) {
			t.Errorf("made %+v", made)
		}
		if target.asked[0].ID != made.ID || target.asked[0].TargetURL != made.TargetURL {
			t.Errorf("asked about %+v", target.asked[0])
		}
		// The same wish again, or the same key, asks nobody.
		r.send(t, "ann", "POST", base, wish).want(t, 200)
		keyed := r.send(t, "ann", "POST", base, `{"event":"deal.won",`+good+`}`, "Idempotency-Key", "k").want(t, 201)
		again := r.send(t, "ann", "POST", base, `{"event":"deal.won",`+good+`}`, "Idempotency-Key", "k").want(t, 200)
		if target.count() != 2 || target.secrets[0] == target.secrets[1] || keyed.header.Get("Location") != again.header.Get("Location") {
			t.Errorf("asked %d times, with %q", target.count(), target.secrets)
		}
		paused := r.send(t, "ann", "POST", base, `{"event":"contact.update","active":false,`+good+`}`).want(t, 201)
		if !strings.Contains(paused.body, `"state":"paused"`) {
			t.Errorf("made %s", paused.body)
		}
	})
}

func TestATargetThatDoesNotIsPendingUntilItConfirms(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		target := &fakeTarget{}
		r := newRig(t, s, asking(target))
		made := r.subscribe(t, "ann")
		if made.State != StatePending || made.Active || made.ConfirmBy == nil || r.found(t, made.ID) {
			t.Errorf("made %+v", made)
		}
		if raw := hash(t, s.Client, made.ID); strings.Contains(fmt.Sprint(raw), target.last()) {
			t.Errorf("the secret is kept as it is: %v", raw)
		}
		path := base + made.ID
		r.send(t, "ann", "POST", path+"/confirm", "").wantProblem(t, 422, "invalid", "X-Hook-Secret")
		r.send(t, "ann", "POST", path+"/confirm", "", "X-Hook-Secret", "wrong").wantProblem(t, 403, "wrong-hook-secret")
		r.send(t, "ann", "POST", path+"/confirm", "", "X-Hook-Secret", made.Secret).wantProblem(t, 403, "wrong-hook-secret")
		r.send(t, "bob", "POST", path+"/confirm", "", "X-Hook-Secret", target.last()).wantProblem(t, 404, "not-found")
		r.send(t, "ann", "PATCH", path, `{"description":"x"}`, "X-Hook-Secret", "wrong").wantProblem(t, 403, "wrong-hook-secret")
		if got := r.read(t, made.ID); got.State != StatePending || got.Description != "" {
			t.Fatalf("after refusals it is %+v", got)
		}
		r.send(t, "ann", "POST", path+"/confirm", "", "X-Hook-Secret", target.last()).want(t, 200)
		if got := r.read(t, made.ID); got.State != StateActive || got.ConfirmBy != nil || !r.found(t, made.ID) {
			t.Errorf("once confirmed it is %+v", got)
		}
		if ttl := s.Client.PTTL(t.Context(), lane0().Subscription(made.ID)).Val(); ttl > 0 {
			t.Errorf("it still ends in %s", ttl)
		}
		r.send(t, "ann", "POST", path+"/confirm", "", "X-Hook-Secret", target.last()).want(t, 200) // a lost answer
		r.send(t, "ann", "PATCH", path, `{"active":false}`, "X-Hook-Secret", "whatever").want(t, 200)
	})
}

// REST Hooks: any request to the subscription may carry the secret.
func TestAnyRequestMayConfirm(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		target := &fakeTarget{}
		r := newRig(t, s, asking(target))
		for i, call := range [][2]string{
			{"GET", ""}, {"PATCH", `{"description":"x"}`}, {"PUT", `{"active":true}`}, {"POST /rotate-secret", ""}, {"POST /test", ""},
		} {
			made := r.send(t, "ann", "POST", base, `{"event":"contact.create","target_url":"https://hooks.example/`+string(rune('a'+i))+`"}`).want(t, 201)
			var sub resource
			made.into(t, &sub)
			method, suffix, _ := strings.Cut(call[0], " ")
			r.send(t, "ann", method, base+sub.ID+suffix, call[1], "X-Hook-Secret", target.last(),
				"If-Match", made.header.Get("ETag")).want(t, 200)
			if got := r.read(t, sub.ID); got.State != StateActive {
				t.Errorf("after %q it is %+v", call, got)
			}
		}
		// A precondition that does not hold refuses the whole request.
		sub := r.subscribe(t, "bob")
		r.send(t, "bob", "GET", base+sub.ID, "", "X-Hook-Secret", target.last(), "If-Match", `"x"`).wantProblem(t, 412, "precondition-failed")
		got := r.send(t, "bob", "GET", base+sub.ID, "").want(t, 200)
		if !strings.Contains(got.body, StatePending) {
			t.Errorf("it is %s", got.body)
		}
	})
}

func TestATargetThatRefusesLeavesNothing(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		target := &fakeTarget{echo: true, status: 404, class: "http_4xx"}
		r := newRig(t, s, asking(target))
		refused := r.send(t, "ann", "POST", base, wish, "Idempotency-Key", "k")
		p := refused.wantProblem(t, 422, "target-refused")
		if p.Target == nil || *p.Target != (asked{404, "http_4xx", 3}) || strings.Contains(refused.body, "theirs") || strings.Contains(refused.body, target.last()) {
			t.Errorf("it answers %s", refused.body)
		}
		target.set(false, 0, "address_refused")
		r.send(t, "ann", "POST", base, wish, "Idempotency-Key", "k").wantProblem(t, 422, "target-refused")
		if keys := r.keys(t); len(keys) != 1 || !strings.Contains(keys[0], "rate:probe:ann") {
			t.Errorf("it leaves %q", keys)
		}
		target.set(true, 0, "")
		r.send(t, "ann", "POST", base, wish, "Idempotency-Key", "k").want(t, 201)
	})
}

func TestAPendingSubscriptionEndsAfterADay(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		target := &fakeTarget{}
		r := newRig(t, s, asking(target))
		made := r.subscribe(t, "ann")
		by, err := time.Parse(time.RFC3339, *made.ConfirmBy)
		ends := s.Client.PTTL(t.Context(), lane0().Subscription(made.ID)).Val()
		if err != nil || time.Until(by) < 23*time.Hour || time.Until(by) > 24*time.Hour || ends < 23*time.Hour || ends > 24*time.Hour {
			t.Errorf("it is to be confirmed by %s, and ends in %s", *made.ConfirmBy, ends)
		}
		var sooner resource
		expires := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		r.send(t, "ann", "POST", base, `{"event":"deal.won","expiration_date":"`+expires+`",`+good+`}`).want(t, 201).into(t, &sooner)
		if ends := s.Client.PTTL(t.Context(), lane0().Subscription(sooner.ID)).Val(); ends > time.Hour {
			t.Errorf("the one with a date of its own ends in %s", ends)
		}
		r.offset.Store((25 * time.Hour).Milliseconds())
		r.send(t, "ann", "GET", base, "").want(t, 200) // takes from the sets what has ended
		r.send(t, "ann", "GET", base+made.ID, "").wantProblem(t, 404, "not-found")
		if left := s.Client.SCard(t.Context(), lane0().Subscriptions("ann")).Val(); left != 0 {
			t.Errorf("%d are left", left)
		}
	})
}

func TestTheSameWishAsksAPendingTargetAgain(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		target := &fakeTarget{}
		r := newRig(t, s, asking(target))
		made := r.subscribe(t, "ann")
		first := target.last()
		r.send(t, "ann", "POST", base, wish).want(t, 200)
		r.send(t, "ann", "POST", base+made.ID+"/confirm", "", "X-Hook-Secret", first).wantProblem(t, 403, "wrong-hook-secret")
		target.set(false, 500, "http_5xx")
		r.send(t, "ann", "POST", base, wish).wantProblem(t, 422, "target-refused")
		if got := r.read(t, made.ID); got.State != StatePending {
			t.Errorf("it is %+v", got)
		}
		target.set(true, 0, "")
		r.send(t, "ann", "POST", base, wish).want(t, 200)
		if got := r.read(t, made.ID); got.State != StateActive || !r.found(t, made.ID) {
			t.Errorf("it is %+v", got)
		}
	})
}

func TestAnotherTargetIsAskedAgain(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		target := &fakeTarget{echo: true}
		r := newRig(t, s, asking(target))
		made := r.subscribe(t, "ann")
		path := base + made.ID
		change := func(url, active string) string {
			return `{"target_url":"https://hooks.example/` + url + `"` + active + `}`
		}

		r.send(t, "ann", "PATCH", path, change("b", "")).want(t, 200)
		target.set(true, 500, "http_5xx")
		r.send(t, "ann", "PATCH", path, change("c", "")).wantProblem(t, 422, "target-refused")
		r.send(t, "ann", "PUT", path, `{"event":"contact.create","target_url":"https://hooks.example/c"}`).wantProblem(t, 422, "target-refused")
		if got := r.read(t, made.ID); got.State != StateActive || got.TargetURL != "https://hooks.example/b" {
			t.Errorf("after refusals it is %+v", got)
		}
		asked := target.count()
		r.send(t, "ann", "PATCH", path, `{"description":"x"}`).want(t, 200)
		if target.count() != asked {
			t.Error("a change of something else asked the target")
		}
		// A new one that keeps quiet: what there was keeps its events, and does not end.
		target.set(false, 0, "")
		r.send(t, "ann", "PATCH", path, change("d", "")).want(t, 200)
		got := r.read(t, made.ID)
		ttl := s.Client.PTTL(t.Context(), lane0().Subscription(made.ID)).Val()
		if got.State != StatePending || got.ConfirmBy != nil || ttl > 0 || !r.found(t, made.ID) {
			t.Errorf("it is %+v and ends in %s", got, ttl)
		}
		r.send(t, "ann", "PUT", path, `{"active":true}`).want(t, 200)
		if got := r.read(t, made.ID); got.State != StatePending {
			t.Errorf("its owner made it %+v", got)
		}
		r.send(t, "ann", "POST", path+"/confirm", "", "X-Hook-Secret", target.last()).want(t, 200)
		if got := r.read(t, made.ID); got.State != StateActive || got.TargetURL != "https://hooks.example/d" {
			t.Errorf("once confirmed it is %+v", got)
		}
	})
}

// What a subscription was before it became pending, it is again.
func TestConfirmingRestoresWhatItsOwnerWanted(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		for reason, want := range map[string]string{"": "", InactiveByOwner: InactiveByOwner, InactiveByFailure: InactiveByFailure, InactiveByOperator: InactiveByOperator} {
			target := &fakeTarget{echo: true}
			r := newRig(t, s, asking(target))
			made := r.subscribe(t, "ann")
			path := base + made.ID
			if reason != "" {
				failing(t, s.Client, made.ID, "active", "0", "inactive_reason", reason, "failing_since", "1")
			}
			target.set(false, 0, "")
			r.send(t, "ann", "PATCH", path, `{"target_url":"https://hooks.example/other"}`).want(t, 200)
			// Another one yet, which answers at once, ends the wait as well.
			target.set(true, 0, "")
			r.send(t, "ann", "PATCH", path, `{"target_url":"https://hooks.example/third"}`).want(t, 200)
			if got := r.read(t, made.ID); got.StateReason != want {
				t.Errorf("%q became %+v", reason, got)
			}
			r.send(t, "ann", "DELETE", path, "").want(t, 204)
		}
	})
}

func TestExemptedHostsAreNotAsked(t *testing.T) {
	target := &fakeTarget{status: 500, class: "http_5xx"}
	r := newRig(t, redistest.Mini(t), asking(target, "hooks.zapier.com", "*.make.com"))
	for url, asked := range map[string]bool{
		"https://hooks.zapier.com/a": false, "https://HOOKS.Zapier.com./b": false, "https://eu1.make.com": false, "https://a.b.make.com:8443": false,
		"https://make.com": true, "https://xmake.com": true, "https://zapier.com": true, "https://hooks.zapier.com.evil.example": true,
		"https://evil.example/hooks.zapier.com": true,
	} {
		status := 201
		if asked {
			status = 422
		}
		r.send(t, "ann", "POST", base, `{"event":"contact.create","target_url":"`+url+`"}`).want(t, status)
	}
}

func TestHandshakesAreBoundedInRate(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		target := &fakeTarget{status: 500, class: "http_5xx"}
		r := newRig(t, s, asking(target))
		for range probesPerUser {
			r.send(t, "ann", "POST", base, wish).want(t, 422)
		}
		limited := r.send(t, "ann", "POST", base, wish)
		limited.wantProblem(t, 429, "too-many-requests")
		if after := limited.header.Get("Retry-After"); after == "" || after == "0" || len(after) > 2 || target.count() != probesPerUser {
			t.Errorf("Retry-After is %q after %d handshakes", after, target.count())
		}
		r.send(t, "bob", "POST", base, wish).want(t, 422)
	})
}

func TestNoUserHasMoreThanAFewHandshakesAtOnce(t *testing.T) {
	target := &fakeTarget{echo: true, hold: make(chan struct{})}
	r := newRig(t, redistest.Mini(t), asking(target))
	var all sync.WaitGroup
	for i := range 2 * probesAtOnce {
		all.Go(func() {
			r.send(t, "ann", "POST", base, `{"event":"contact.create","target_url":"https://hooks.example/`+string(rune('a'+i))+`"}`).want(t, 201)
		})
	}
	await(t, func() bool { return target.count() == probesAtOnce })
	all.Go(func() { r.send(t, "bob", "POST", base, wish).want(t, 201) })
	await(t, func() bool { return target.count() == probesAtOnce+1 }) // ann's do not keep bob
	close(target.hold)
	all.Wait()
	if target.count() != 2*probesAtOnce+1 {
		t.Errorf("%d were asked", target.count())
	}
}

// await asks until something holds that nobody tells of.
func await(t *testing.T, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("it never came to hold")
		}
	}
}

package subscriptions

import (
	"maps"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

func trying(f *fakeTarget) func(*HandlerOptions) { return func(o *HandlerOptions) { o.Prober = f } }

func TestATestAnswersWhatTheTargetDid(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		target := &fakeTarget{status: 410, class: "gone"}
		r := newRig(t, s, trying(target))
		made := r.subscribe(t, "ann")
		before := hash(t, s.Client, made.ID)
		var got tested
		r.send(t, "ann", "POST", base+made.ID+"/test", "").want(t, 200).into(t, &got)
		if got.Event != "hook.test" || got.Status != 410 || got.Class != "gone" || got.Duration != 3 || got.Response == nil ||
			got.Response.Body != "theirs" || got.Response.Headers["content-type"] != "text/plain" {
			t.Errorf("it answers %+v", got)
		}
		if sent := target.tests[0]; sent.ID != got.EventID || !strings.HasPrefix(sent.ID, "test-") || sent.Omitted != "" || len(sent.Data) == 0 {
			t.Errorf("it sent %+v", sent)
		}
		if after := hash(t, s.Client, made.ID); !maps.Equal(before, after) {
			t.Errorf("it changed %v into %v", before, after)
		}
		// What cannot be reached answers as well.
		target.set(false, 0, "connect")
		r.send(t, "ann", "POST", base+made.ID+"/test", `{}`).want(t, 200).into(t, &got)
		if got.Status != 0 || got.Class != "connect" {
			t.Errorf("it answers %+v", got)
		}
		// A paused one may be tested: that is how its owner finds out.
		r.send(t, "ann", "PUT", base+made.ID, `{"active":false}`).want(t, 200)
		r.send(t, "ann", "POST", base+made.ID+"/test", "").want(t, 200)
	})
}

func TestATestNamesAnEventThatTheSubscriptionGets(t *testing.T) {
	target := &fakeTarget{}
	r := newRig(t, redistest.Mini(t), trying(target))
	made := r.send(t, "ann", "POST", base, `{"event":"contact.*",`+good+`}`).want(t, 201)
	var sub resource
	made.into(t, &sub)
	r.send(t, "ann", "POST", base+sub.ID+"/test", `{"event":"contact.update"}`).want(t, 200)
	if sent := target.tests[0]; sent.Name != "contact.update" || sent.Omitted != "no_sample" || sent.Data != nil {
		t.Errorf("it sent %+v", sent)
	}
	for _, body := range []string{`{"event":"deal.won"}`, `{"event":"contact.*"}`, `{"event":"*"}`, `{"event":"contact.nope"}`, `{"event":""}`, `{"event":1}`} {
		r.send(t, "ann", "POST", base+sub.ID+"/test", body).wantProblem(t, 422, "invalid", "event")
	}
	r.send(t, "ann", "POST", base+sub.ID+"/test", `{"url":"x"}`).wantProblem(t, 422, "invalid", "url")
	r.send(t, "ann", "POST", base+sub.ID+"/test", "", "If-Match", `"x"`).wantProblem(t, 412, "precondition-failed")
	if len(target.tests) != 1 {
		t.Errorf("%d were sent", len(target.tests))
	}
}

func TestATestIsSignedByBothSecretsWhileTheyOverlap(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		target := &fakeTarget{}
		r := newRig(t, s, trying(target))
		made := r.subscribe(t, "ann")
		r.send(t, "ann", "POST", base+made.ID+"/rotate-secret", "").want(t, 200)
		r.send(t, "ann", "POST", base+made.ID+"/test", "").want(t, 200)
		if got := target.asked[0]; got.PreviousSecret != made.Secret || got.Secret == made.Secret || got.Secret == "" {
			t.Errorf("sent with %q and %q; it was made with %q", got.Secret, got.PreviousSecret, made.Secret)
		}
		r.send(t, "ann", "POST", base+made.ID+"/rotate-secret", `{"overlap_seconds":0}`).want(t, 200)
		r.send(t, "ann", "POST", base+made.ID+"/test", "").want(t, 200)
		if got := target.asked[1]; got.PreviousSecret != "" {
			t.Errorf("sent with the secret before, %q", got.PreviousSecret)
		}
	})
}

func TestAPendingTargetIsSentNoTests(t *testing.T) {
	target := &fakeTarget{}
	r := newRig(t, redistest.Mini(t), asking(target))
	made := r.subscribe(t, "ann")
	r.send(t, "ann", "POST", base+made.ID+"/test", "").wantProblem(t, 409, "unconfirmed")
	if len(target.tests) > 0 {
		t.Error("one was sent")
	}
}

func TestTestsAreBoundedInRate(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		target := &fakeTarget{}
		r := newRig(t, s, trying(target))
		path := base + r.subscribe(t, "ann").ID + "/test"
		for range testsEach {
			r.send(t, "ann", "POST", path, "").want(t, 200)
		}
		limited := r.send(t, "ann", "POST", path, "")
		limited.wantProblem(t, 429, "too-many-requests")
		if limited.header.Get("Retry-After") == "" || len(target.tests) != testsEach {
			t.Errorf("%d were sent; Retry-After is %q", len(target.tests), limited.header.Get("Retry-After"))
		}
		// A user's tests and handshakes count together.
		for i := range probesPerUser/testsEach - 1 {
			var sub resource
			r.send(t, "ann", "POST", base, `{"event":"contact.create","target_url":"https://b.example/`+string(rune('a'+i))+`"}`).want(t, 201).into(t, &sub)
			for range testsEach {
				r.send(t, "ann", "POST", base+sub.ID+"/test", "").want(t, 200)
			}
		}
		var sub resource
		r.send(t, "ann", "POST", base, `{"event":"deal.won","target_url":"https://b.example/"}`).want(t, 201).into(t, &sub)
		r.send(t, "ann", "POST", base+sub.ID+"/test", "").wantProblem(t, 429, "too-many-requests")
	})
}

package subscriptions

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

func TestAPatchChangesWhatItNamesAndNothingElse(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		var want resource
		r.send(t, "ann", "POST", base, `{"event":"contact.create","target_url":"https://hooks.example/a","format":"raw",
			"description":"mine","metadata":{"a":"1","b":"2"},"expiration_date":"2099-01-01T01:00:00+01:00"}`).want(t, 201).into(t, &want)
		want.Secret = ""
		patch := func(body string, change func()) {
			t.Helper()
			change()
			var got resource
			r.send(t, "ann", "PATCH", base+want.ID, body, "Content-Type", "application/merge-patch+json").want(t, 200).into(t, &got)
			got.UpdatedAt, got.StateSince = want.UpdatedAt, want.StateSince
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", body, diff)
			}
			r.send(t, "ann", "GET", base+want.ID, "").want(t, 200).into(t, &got)
			got.UpdatedAt, got.StateSince = want.UpdatedAt, want.StateSince
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, read again (-want +got):\n%s", body, diff)
			}
		}
		if *want.ExpirationDate != "2099-01-01T00:00:00.000Z" {
			t.Errorf("it ends at %s", *want.ExpirationDate)
		}
		patch(`{}`, func() {})
		patch(`{"active":false}`, func() { want.Active, want.State, want.StateReason = false, StatePaused, InactiveByOwner })
		patch(`{"metadata":{"a":null,"c":"3","d":null}}`, func() { want.Metadata = map[string]string{"b": "2", "c": "3"} })
		patch(`{"events":["deal.won","contact.*"]}`, func() { want.Event, want.Events = "", []string{"contact.*", "deal.won"} })
		patch(`{"event":"*"}`, func() { want.Event, want.Events = "*", []string{"*"} })
		patch(`{"event":null,"events":["deal.won"]}`, func() { want.Event, want.Events = "deal.won", []string{"deal.won"} })
		patch(`{"expiration_date":null,"description":null,"metadata":null,"format":null,"active":null}`, func() {
			want.ExpirationDate, want.Description, want.Metadata, want.Format, want.Active = nil, "", map[string]string{}, FormatRESTHooks, true
			want.State, want.StateReason = StateActive, ""
		})
		for body, field := range map[string]string{
			`{"target_url":null}`: "target_url", `{"event":null}`: "event", `{"x":null}`: "x", `{"id":null}`: "id", `{"user":"bob"}`: "user",
			`{"metadata":{"a":{"b":null}}}`: "metadata", `{"metadata":{"a":"1","a":"2"}}`: "metadata.a", `{"active":"true"}`: "active",
		} {
			r.send(t, "ann", "PATCH", base+want.ID, body).wantProblem(t, 422, "invalid", field)
		}
		patch(`{}`, func() {})
	})
}

func TestAPatchOfAnotherTypeIsToldTheRightOne(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	got := r.send(t, "ann", "PATCH", base+r.subscribe(t, "ann").ID, `[]`, "Content-Type", "text/plain")
	got.wantProblem(t, 415, "unsupported-media-type")
	if accepts := got.header.Get("Accept-Patch"); accepts != "application/merge-patch+json" {
		t.Errorf("Accept-Patch is %q", accepts)
	}
}

func TestAPutOfTheSwitchAloneTurnsItOnAndOff(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	want := r.subscribe(t, "ann")
	for _, active := range []bool{false, true} {
		var got resource
		r.send(t, "ann", "PUT", base+want.ID, fmt.Sprintf(`{"active":%t}`, active)).want(t, 200).into(t, &got)
		if got.Active != active || got.TargetURL != want.TargetURL || got.Event != want.Event {
			t.Errorf("turned to %t, it is %+v", active, got)
		}
	}
}

func TestPatchesAtTheSameTimeAreAllKept(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		id := r.subscribe(t, "ann").ID
		var clients sync.WaitGroup
		for i := range 4 { // with more, some may be told to come again
			clients.Go(func() {
				r.send(t, "ann", "PATCH", base+id, fmt.Sprintf(`{"metadata":{"k%d":"v"}}`, i)).want(t, 200)
			})
		}
		clients.Wait()
		var got resource
		r.send(t, "ann", "GET", base+id, "").into(t, &got)
		if len(got.Metadata) != 4 {
			t.Errorf("only %v is left", got.Metadata)
		}
	})
}

func TestAConditionalChangeIsMadeOfThatStateAlone(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		path := base + r.subscribe(t, "ann").ID
		old := r.send(t, "ann", "GET", path, "").want(t, 200).header.Get("ETag")
		body := `{"event":"deal.won",` + good + `}`
		r.offset.Store(10)
		fresh := r.send(t, "ann", "PUT", path, body, "If-Match", `"x", `+old).want(t, 200).header.Get("ETag")
		if fresh == old || !strings.HasPrefix(fresh, `"`) {
			t.Errorf("the ETag was %s and is %s", old, fresh)
		}
		if got := r.send(t, "ann", "GET", path, "").header.Get("ETag"); got != fresh {
			t.Errorf("GET has the ETag %s, PUT had %s", got, fresh)
		}
		for _, call := range [][2]string{{"GET", ""}, {"PUT", body}, {"PUT", `{"active":false}`}, {"PATCH", `{}`}, {"DELETE", ""}} {
			for _, stale := range []string{old, "W/" + fresh, `""`, ""} {
				r.send(t, "ann", call[0], path, call[1], "If-Match", stale).wantProblem(t, 412, "precondition-failed")
			}
			if call[0] != "GET" {
				r.send(t, "ann", call[0], path, call[1], "If-None-Match", "*").wantProblem(t, 412, "precondition-failed")
			}
		}
		for _, none := range []string{fresh, "W/" + fresh, "*", `"a", ` + fresh} {
			if got := r.send(t, "ann", "GET", path, "", "If-None-Match", none).want(t, 304); got.body != "" || got.header.Get("ETag") != fresh {
				t.Errorf("If-None-Match %s: %+v", none, got)
			}
		}
		r.send(t, "ann", "GET", path, "", "If-None-Match", old).want(t, 200)
		r.send(t, "ann", "PATCH", path, `{}`, "If-Match", "*").want(t, 200)
		last := r.send(t, "ann", "GET", path, "").header.Get("ETag")
		r.send(t, "ann", "DELETE", path, "", "If-Match", last).want(t, 204)
		r.send(t, "ann", "PATCH", path, `{}`, "If-Match", "*").wantProblem(t, 404, "not-found")
	})
}

// What delivery writes when it gives a target up counts as a change too.
func TestTheETagChangesWhenDeliveryDisables(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	id := r.subscribe(t, "ann").ID
	before := r.send(t, "ann", "GET", base+id, "").header.Get("ETag")
	failing(t, r.redis.Client, id, "active", "0", "inactive_reason", InactiveByFailure)
	r.send(t, "ann", "DELETE", base+id, "", "If-Match", before).wantProblem(t, http.StatusPreconditionFailed, "precondition-failed")
}

func TestGoAndLuaMakeTheSameETag(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		store := NewStore(StoreOptions{Client: s.Client})
		sub := wanted("deal.won")
		sub.Description, sub.Metadata = "ü\n\x00 \"", map[string]string{"k": "v\n"}
		sub = mustCreate(t, store, "ann\x01", sub)
		got, err := newScript("return etag(load(ARGV[1]))").Run(t.Context(), s.Client, lane0(), sub.ID).Text()
		if err != nil || got != sub.ETag {
			t.Errorf("Lua made %s, %v; Go %s", got, err, sub.ETag)
		}
	})
}

package subscriptions

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

func TestTheWholeLifeOfASubscription(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		made := r.send(t, "ann", "POST", base, `{"event":"contact.create","target_url":"https://hooks.example/a?x=<1>&y=2"}`).want(t, 201)
		var created map[string]any
		made.into(t, &created)
		id, _ := created["id"].(string)
		if got := made.header.Get("Location"); got != base+id+"/" {
			t.Errorf("Location is %q", got)
		}
		if secret, _ := created["secret"].(string); !strings.HasPrefix(secret, "whsec_") || len(secret) != len("whsec_")+44 {
			t.Errorf("the secret is %q", secret)
		}
		delete(created, "secret")
		want := map[string]any{
			"id": id, "user": "ann", "event": "contact.create", "events": []any{"contact.create"}, "format": "resthooks", "active": true,
			"target_url": "https://hooks.example/a?x=<1>&y=2", "created_at": created["created_at"], "updated_at": created["created_at"],
			"state": "active", "state_reason": "", "state_since": created["created_at"],
			"description": "", "metadata": map[string]any{}, "expiration_date": nil, "previous_secret_until": nil,
			"signature": "v1", "headers": map[string]any{}, "ordered": false, "order_key": nil, "max_rate": nil, "debounce": nil, "batch": nil, "skinny": false, "last_attempt": nil, "confirm_by": nil,
		}
		if diff := cmp.Diff(want, created); diff != "" {
			t.Errorf("the answer to POST (-want +got):\n%s", diff)
		}
		var got map[string]any
		r.send(t, "ann", "GET", base+id+"/", "").want(t, 200).into(t, &got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the answer to GET (-want +got):\n%s", diff)
		}

		r.offset.Store(5000)
		update := `{"event":"deal.won","target_url":"http://other.example:8080/b","format":"raw","active":false}`
		var updated map[string]any
		r.send(t, "ann", "PUT", base+id+"/", update).want(t, 200).into(t, &updated)
		want["event"], want["events"] = "deal.won", []any{"deal.won"}
		want["target_url"], want["format"], want["active"] = "http://other.example:8080/b", "raw", false
		if updated["updated_at"] == want["updated_at"] {
			t.Error("updated_at did not move")
		}
		want["updated_at"] = updated["updated_at"]
		want["state"], want["state_reason"], want["state_since"] = "paused", "owner", updated["updated_at"]
		if diff := cmp.Diff(want, updated); diff != "" {
			t.Errorf("the answer to PUT (-want +got):\n%s", diff)
		}
		var list []map[string]any
		r.send(t, "ann", "GET", base, "").want(t, 200).into(t, &list)
		if diff := cmp.Diff([]map[string]any{want}, list); diff != "" {
			t.Errorf("the list (-want +got):\n%s", diff)
		}

		if gone := r.send(t, "ann", "DELETE", base+id+"/", "").want(t, 204); gone.body != "" {
			t.Errorf("the answer to DELETE has the body %q", gone.body)
		}
		r.send(t, "ann", "GET", base+id+"/", "").wantProblem(t, 404, "not-found")
		r.send(t, "ann", "DELETE", base+id+"/", "").wantProblem(t, 404, "not-found")
		if empty := r.send(t, "ann", "GET", base, "").want(t, 200); empty.body != "[]\n" {
			t.Errorf("the empty list is %q", empty.body)
		}
	})
}

func TestBothPathsAreServedWithAndWithoutTheSlash(t *testing.T) {
	s := redistest.Mini(t)
	for _, own := range []string{"/hooks/subs", "/hooks/subs/"} {
		r := newRig(t, s, func(o *HandlerOptions) { o.Path, o.EventsPath = own, strings.Replace(own, "subs", "events", 1) })
		for _, slash := range []string{"", "/"} {
			made := r.send(t, "ann", "POST", "/hooks/subs"+slash, `{"event":"deal.won","target_url":"https://a.example"}`).want(t, 201)
			location := made.header.Get("Location")
			if !strings.HasPrefix(location, "/hooks/subs/0-") || !strings.HasSuffix(location, "/") {
				t.Errorf("Location is %q", location)
			}
			item := strings.TrimSuffix(location, "/") + slash
			r.send(t, "ann", "GET", item, "").want(t, 200)
			r.send(t, "ann", "GET", strings.Replace(item, "-", "%2D", 1), "").want(t, 200)
			r.send(t, "ann", "PUT", item, `{"event":"deal.won","target_url":"https://b.example"}`).want(t, 200)
			r.send(t, "ann", "GET", "/hooks/subs"+slash, "").want(t, 200)
			r.send(t, "ann", "DELETE", item, "").want(t, 204)
			var events []map[string]any
			r.send(t, "ann", "GET", "/hooks/events"+slash, "").want(t, 200).into(t, &events)
			var want []map[string]any
			for _, name := range knownEvents {
				want = append(want, map[string]any{"event": name, "description": "", "routes": []any{}})
			}
			if diff := cmp.Diff(want, events); diff != "" {
				t.Errorf("the events (-want +got):\n%s", diff)
			}
		}
		for _, path := range []string{"/hooks/subs//", "/hooks//subs", "/hooks/subs/a/b", "/hooks/subs/..", "/hooks/subs/x/../", "/api/v1/subscription/", "/"} {
			r.send(t, "ann", "GET", path, "").wantProblem(t, 404, "not-found")
		}
	}
}

func TestNothingOfAnotherAccountCanBeReadChangedOrDeduced(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		anns, bobs := r.subscribe(t, "ann"), r.subscribe(t, "bob")
		missing := anns.ID[:len(anns.ID)-4] + "0000"
		body := `{"event":"deal.won","target_url":"https://evil.example/"}`
		for _, call := range []struct{ method, body string }{
			{"GET", ""}, {"HEAD", ""}, {"PUT", body}, {"PUT", `{`}, {"PUT", `{"event":1}`}, {"PUT", `{"id":"` + bobs.ID + `"}`}, {"DELETE", ""}, {"POST", body},
			{"PUT", `{"active":false}`}, {"PATCH", body}, {"PATCH", `{`}, {"PATCH", `{"active":1}`}, {"PATCH", `{}`},
		} {
			theirs := r.send(t, "ann", call.method, base+bobs.ID+"/", call.body)
			none := r.send(t, "ann", call.method, base+missing+"/", call.body)
			theirs.header.Del("Date")
			none.header.Del("Date")
			if diff := cmp.Diff(none, theirs, cmp.AllowUnexported(answer{})); diff != "" {
				t.Errorf("%s %s tells a stranger's id from none (-none +theirs):\n%s", call.method, call.body, diff)
			}
			if theirs.status < 400 || strings.Contains(theirs.body, "bob") {
				t.Errorf("%s %s answered %d: %s", call.method, call.body, theirs.status, theirs.body)
			}
		}
		for user, own := range map[string]resource{"ann": anns, "bob": bobs} {
			own.Secret = ""
			var list []resource
			r.send(t, user, "GET", base, "").want(t, 200).into(t, &list)
			if diff := cmp.Diff([]resource{own}, list); diff != "" {
				t.Errorf("the list of %s (-want +got):\n%s", user, diff)
			}
		}
	})
}

func TestIdsThatNobodyHasAreAllNotFound(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	id := r.subscribe(t, "ann").ID
	for _, odd := range []string{
		strings.ToUpper(id), "1" + id[1:], "00" + id[1:], "+" + id, "-" + id, id + "x", id[2:], "0", "0-", "%00", "%zz"[:1] + "25",
		"0-*", id + "%20", "%2F" + id, strings.Repeat("9", 5000), "0:{x}", "events", id + "%2F", "9999999999999999999" + id[1:],
	} {
		for _, method := range []string{"GET", "DELETE"} {
			r.send(t, "ann", method, base+odd, "").wantProblem(t, 404, "not-found")
		}
	}
	r.send(t, "ann", "GET", base+id, "").want(t, 200)
}

func TestWhatWasReadCanBeSentBack(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		made := r.subscribe(t, "ann")
		path := base + made.ID + "/"
		put := func(sub resource) answer {
			t.Helper()
			body, err := json.Marshal(sub)
			if err != nil {
				t.Fatal(err)
			}
			return r.send(t, "ann", "PUT", path, string(body))
		}
		r.offset.Store(1000)
		made.Active = false
		put(made).want(t, 200) // with the secret, as the POST answered it
		put(made).want(t, 200) // once more, though updated_at has moved
		for field, change := range map[string]func(*resource){
			"id":         func(s *resource) { s.ID += "x" },
			"user":       func(s *resource) { s.User = "bob" },
			"secret":     func(s *resource) { s.Secret = "whsec_" },
			"created_at": func(s *resource) { s.CreatedAt = s.CreatedAt[:19] + "Z" + s.CreatedAt[23:] },
		} {
			other := made
			change(&other)
			put(other).wantProblem(t, 422, "invalid", field)
		}
		r.send(t, "ann", "PUT", path, `{"active":false,"format":"raw"}`).wantProblem(t, 422, "invalid", "event", "target_url")
		var back resource
		r.send(t, "ann", "PUT", path, `{"event":"deal.won","target_url":"https://a.example"}`).want(t, 200).into(t, &back)
		if !back.Active || back.Format != FormatRESTHooks {
			t.Errorf("what was left out is not the default: %+v", back)
		}
	})
}

// An owner can still pause a subscription that could not be made today.
func TestWhatDoesNotChangeIsNotCheckedAgain(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	sub, _, err := r.store.Create(t.Context(), "ann", Subscription{
		Events: []string{"gone.away"}, Format: FormatRaw, TargetURL: "http://10.0.0.1/", Active: true,
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	path := base + sub.ID
	r.send(t, "ann", "PUT", path, `{"event":"gone.away","target_url":"http://10.0.0.1/","active":false}`).want(t, 200)
	r.send(t, "ann", "PUT", path, `{"event":"gone.by","target_url":"http://10.0.0.2/"}`).wantProblem(t, 422, "invalid", "event", "target_url")
}

func TestHeadAnswersAsGetWithoutABody(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	made := r.subscribe(t, "ann")
	for _, path := range []string{base, base + made.ID, "/api/v1/event/"} {
		if got := r.send(t, "ann", http.MethodHead, path, "").want(t, 200); got.body != "" || got.header.Get("Content-Length") == "0" {
			t.Errorf("HEAD %s: %+v", path, got)
		}
	}
}

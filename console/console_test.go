package console

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/internal/problem"
	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/hookproxy/hookproxy/subscriptions"
)

func TestAnOperatorSeesPausesResumesAndDeletesSubscriptions(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		var ids []string
		for u := range 5 {
			ids = append(ids, r.subscribe(fmt.Sprint("user-", u)))
		}
		all := list[subscription](r, "subscriptions?limit=2")
		if len(all) != 5 || all[0].ID != ids[0] || all[0].Target != r.target.URL || all[0].User != "user-0" || all[0].Queue != nil {
			t.Errorf("listed are %+v", all)
		}
		for filter, want := range map[string]int{"user=user-3": 1, "event=contact.create": 5, "event=deal.won": 0, "host=127.0.0.1": 5, "state=paused": 0} {
			if got := list[subscription](r, "subscriptions?"+filter); len(got) != want {
				t.Errorf("of %s there are %d, want %d", filter, len(got), want)
			}
		}
		var shown subscription
		r.want(200, "POST", "subscriptions/"+ids[0]+"/pause", "").into(r, &shown)
		if shown.State != subscriptions.StatePaused || shown.StateReason != subscriptions.InactiveByOperator || shown.Queue == nil {
			t.Errorf("paused is %+v", shown)
		}
		r.publish("e1", "user-0", "")
		r.deliver()
		until(r, "queues/"+ids[0], func(q queue) bool { return q.Waiting == 1 && q.State == subscriptions.StatePaused })
		r.fails.Store(false)
		r.want(200, "POST", "subscriptions/"+ids[0]+"/resume", "{}")
		r.arrive(1)
		until(r, "subscriptions/"+ids[0], func(s subscription) bool {
			return s.Queue.Waiting+s.Queue.InFlight == 0 && s.State == subscriptions.StateActive
		})
		attempts := list[subscriptions.Attempt](r, "subscriptions/"+ids[0]+"/attempts?outcome=delivered")
		if len(attempts) != 1 || attempts[0].EventID != "e1" {
			t.Errorf("the attempts are %+v", attempts)
		}
		r.want(204, "DELETE", "subscriptions/"+ids[0], "")
		for _, call := range [][2]string{{"GET", ""}, {"DELETE", ""}, {"POST", "/pause"}, {"POST", "/resume"}, {"GET", "/attempts"}, {"GET", "/missed"}} {
			if a := r.want(404, call[0], "subscriptions/"+ids[0]+call[1], ""); a.problem() != "not-found" {
				t.Errorf("%v: %s", call, a.body)
			}
		}
	})
}

func TestAnOperatorFindsAndRedeliversDeadLetters(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		ids := r.bury(3, 4)
		letters := list[deadLetter](r, "dead?limit=5")
		if len(letters) != 12 || letters[0].Sequence != 1 || letters[0].User == "" || letters[0].Data != nil {
			t.Fatalf("%d dead letters, the first %+v", len(letters), letters[0])
		}
		if !slices.IsSortedFunc(letters, func(a, b deadLetter) int {
			return cmp.Or(strings.Compare(a.Subscription, b.Subscription), cmp.Compare(a.Sequence, b.Sequence))
		}) {
			t.Error("they are in no order")
		}
		for filter, want := range map[string]int{
			"subscription=" + ids[1]: 4, "user=user-2": 4, "user=nobody": 0, "event=contact.*": 12, "event=deal.won": 0, "host=127.0.0.1": 12, "subscription=0-x": 0,
		} {
			if got := list[deadLetter](r, "dead?"+filter); len(got) != want {
				t.Errorf("of %s there are %d, want %d", filter, len(got), want)
			}
		}
		var one deadLetter
		r.want(200, "GET", "dead/"+ids[0]+"/e0-2", "").into(r, &one)
		if string(one.Data) != `{"n":"e0-2"}` || one.State != subscriptions.MissedDead {
			t.Errorf("the dead letter is %+v", one)
		}
		r.want(204, "DELETE", "dead/"+ids[0]+"/e0-2", "")
		r.want(404, "GET", "dead/"+ids[0]+"/e0-2", "")
		r.want(404, "DELETE", "dead/"+ids[0]+"/e0-2", "")

		r.fails.Store(false)
		var answer begun
		made := r.want(202, "POST", "redeliveries", `{"subscription":"`+ids[0]+`","event":"e0-1"}`)
		made.into(r, &answer)
		if got := made.header.Get("Location"); got != Path+"redeliveries/"+answer.Items[0].ID || !answer.Items[0].Operator {
			t.Errorf("made is %+v at %s", answer, got)
		}
		if got := r.arrive(1); !got[`{"n":"e0-1"}`] {
			t.Errorf("arrived is %v", got)
		}
		r.want(202, "POST", "redeliveries", `{"user":"user-1","missed":true}`).into(r, &answer)
		if len(answer.Items) != 1 || answer.Items[0].Subscription != ids[1] || len(r.arrive(4)) != 4 {
			t.Errorf("for a user: %+v", answer)
		}
		until(r, "redeliveries/"+answer.Items[0].ID, func(j subscriptions.Redelivery) bool {
			return j.State == subscriptions.RedeliveryDone && j.Total == 4 && j.Done == 4
		})
		r.want(202, "POST", "redeliveries", `{"all":true,"from":"2020-01-01T00:00:00Z"}`).into(r, &answer)
		if len(answer.Items) != 2 || len(r.arrive(6)) != 6 {
			t.Errorf("for all: %+v", answer)
		}
		until(r, "dead", func(p page[deadLetter]) bool { return len(p.Items) == 0 })
		if jobs := list[subscriptions.Redelivery](r, "redeliveries?limit=2"); len(jobs) != 4 || jobs[3].Event != "e0-1" {
			t.Errorf("the redeliveries are %+v", jobs)
		}
	})
}

func TestAScheduledRedeliveryCanBeCancelled(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		id := r.bury(1, 2)[0]
		at := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		var answer begun
		r.want(202, "POST", "redeliveries", `{"subscription":"`+id+`","missed":true,"at":"`+at+`"}`).into(r, &answer)
		job := answer.Items[0]
		if job.State != subscriptions.RedeliveryScheduled || job.StartsAt.Format(time.RFC3339) != at || job.Total != 2 {
			t.Errorf("scheduled is %+v", job)
		}
		r.want(200, "POST", "redeliveries/"+job.ID+"/cancel", "").into(r, &job)
		if job.State != subscriptions.RedeliveryCancelled {
			t.Errorf("cancelled is %+v", job)
		}
		r.want(404, "POST", "redeliveries/0-none/cancel", "")
		if got := list[subscriptions.Redelivery](r, "redeliveries?state=cancelled&subscription="+id); len(got) != 1 {
			t.Errorf("cancelled are %+v", got)
		}
		if dead := list[deadLetter](r, "dead"); len(dead) != 2 {
			t.Errorf("%d dead letters are left", len(dead))
		}
	})
}

func TestAnOperatorPurgesAQueue(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		id := r.bury(1, 3)[0]
		r.want(200, "POST", "subscriptions/"+id+"/pause", "")
		r.publish("later", "user-0", "")
		until(r, "queues/"+id, func(q queue) bool { return q.Waiting == 1 })
		if missed := list[subscriptions.Missed](r, "subscriptions/"+id+"/missed?limit=2"); len(missed) != 4 || missed[3].Reason != "paused" {
			t.Errorf("missed are %+v", missed)
		}
		for kind, want := range map[string]int64{"waiting": 1, "dead": 3} {
			var got purged
			r.want(200, "POST", "queues/"+id+"/purge", `{"kind":"`+kind+`"}`).into(r, &got)
			if got.Dropped != want || got.More {
				t.Errorf("purging %s: %+v", kind, got)
			}
		}
		if q := list[queue](r, "queues?user=user-0"); len(q) != 1 || q[0].Waiting+q[0].Dead != 0 || q[0].Sequence != 4 {
			t.Errorf("the queues are %+v", q)
		}
	})
}

func TestAnOperatorAssignsAndDeletesParkedEvents(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		r.fails.Store(false)
		r.subscribe("42")
		for i := range 5 {
			r.publish(fmt.Sprint("p", i), "", "user_unknown")
		}
		s.Client.LPush(t.Context(), "hookproxy:{0}:parked", "nonsense")
		all := list[parked](r, "parked?limit=4")
		if len(all) != 6 || all[0].Name != "p0" || all[0].Reason != "user_unknown" || all[0].Data != nil || all[5].Reason != reasonUnreadable {
			t.Fatalf("parked are %+v", all)
		}
		for filter, want := range map[string]int{"reason=user_unknown": 5, "reason=unreadable": 1, "event=contact.create": 5, "event=x": 0} {
			if got := list[parked](r, "parked?"+filter); len(got) != want {
				t.Errorf("of %s there are %d, want %d", filter, len(got), want)
			}
		}
		var shown parked
		r.want(200, "GET", "parked/p1", "").into(r, &shown)
		if string(shown.Data) != `{"n":"p1"}` || shown.Rule != "rules.yaml:3" {
			t.Errorf("shown is %+v", shown)
		}
		r.want(200, "GET", "parked/"+all[5].Name, "").into(r, &shown)
		if shown.Raw != "bm9uc2Vuc2U=" {
			t.Errorf("what cannot be read is %+v", shown)
		}
		r.deliver()
		r.want(204, "POST", "parked/p1/assign", `{"user":"42"}`)
		if got := r.arrive(1); !got[`{"n":"p1"}`] {
			t.Errorf("arrived is %v", got)
		}
		r.want(204, "DELETE", "parked/p2", "")
		r.want(204, "DELETE", "parked/"+all[5].Name, "")
		for _, gone := range []string{"p1", "p2", all[5].Name, "p9"} {
			for _, call := range [][3]string{{"GET", "", ""}, {"DELETE", "", ""}, {"POST", "/assign", `{"user":"42"}`}} {
				r.want(404, call[0], "parked/"+gone+call[1], call[2])
			}
		}
		s.Client.LPush(t.Context(), "hookproxy:{0}:parked", "nonsense")
		if a := r.want(409, "POST", "parked/"+all[5].Name+"/assign", `{"user":"42"}`); a.problem() != "not-assignable" {
			t.Errorf("assigning nonsense: %s", a.body)
		}
	})
}

func TestWhatCannotBeAskedIsRefusedFieldByField(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	id := r.subscribe("ann")
	for path, field := range map[string]string{
		"subscriptions?limit=0": "limit", "subscriptions?limit=x": "limit", "subscriptions?user=": "user", "subscriptions?usr=ann": "usr",
		"subscriptions?state=on": "state", "dead?cursor=x": "cursor", "dead?cursor=" + url.QueryEscape(id+".x"): "cursor", "parked?cursor=x": "cursor",
		"redeliveries?state=x": "state", "subscriptions/" + id + "/attempts?cursor=x": "cursor", "subscriptions/" + id + "/attempts?outcome=x": "outcome",
		"subscriptions/" + id + "/missed?cursor=-1": "cursor", "subscriptions/" + id + "/missed?data=x": "data",
		"queues?limit=1&limit=2": "limit",
	} {
		wantFields(r, r.want(422, "GET", path, ""), field)
	}
	for _, call := range [][3]string{
		{"redeliveries", `{}`, "subscription missed"}, {"redeliveries", `{"subscription":"x","all":true,"missed":true}`, "subscription"},
		{"redeliveries", `{"all":true,"event":"e"}`, "event"}, {"redeliveries", `{"all":true,"missed":true,"to":"2026-01-01T00:00:00Z"}`, "to"},
		{"redeliveries", `{"all":true,"missed":true,"at":"2999-01-01T00:00:00Z"}`, "at"}, {"queues/" + id + "/purge", `{}`, "kind"},
		{"queues/" + id + "/purge", `{"kind":"all"}`, "kind"}, {"parked/x/assign", `{}`, "user"},
	} {
		wantFields(r, r.want(422, "POST", call[0], call[1]), strings.Fields(call[2])...)
	}
	for _, body := range []string{`{`, `[]`, `{"user":1}`, `{"x":1}`, `{"user":"a"} {}`, "\xff"} {
		if a := r.want(400, "POST", "parked/x/assign", body); a.problem() != "malformed" {
			t.Errorf("%q: %s", body, a.body)
		}
	}
	r.want(413, "POST", "parked/x/assign", `{"user":"`+strings.Repeat("a", maxBody)+`"}`)
	if a := r.want(422, "POST", "redeliveries", `{"subscription":"`+id+`","event":"e"}`); a.problem() != "not-kept" {
		t.Errorf("what is not kept: %s", a.body)
	}
	r.want(404, "POST", "redeliveries", `{"subscription":"0-x","missed":true}`)
	r.want(404, "GET", "nothing", "")
	if a := r.want(405, "POST", "queues", ""); a.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("Allow is %s", a.header.Get("Allow"))
	}
}

func wantFields(r *rig, a answer, fields ...string) {
	r.Helper()
	var p problem.Problem
	a.into(r, &p)
	var got []string
	for _, one := range p.Errors {
		got = append(got, one.Name)
	}
	if !slices.Equal(got, fields) || p.Type != "urn:hookproxy:problem:invalid" {
		r.Errorf("the fields at fault are %q, want %q: %s", got, fields, a.body)
	}
}

func TestWithoutRedisEverythingAnswersThatItIsAway(t *testing.T) {
	s := redistest.Mini(t)
	// A client that does not go on dialling behind the test's back.
	s.Client = redis.NewClient(&redis.Options{Addr: s.Addr, Protocol: 2, MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = s.Client.Close() })
	r := newRig(t, s)
	id := r.subscribe("ann")
	s.Stop(t)
	for _, path := range []string{
		"subscriptions", "subscriptions/" + id, "queues", "dead", "parked", "parked/x", "redeliveries", "redeliveries/0-x", "dead/" + id + "/e",
	} {
		if a := r.want(503, "GET", path, ""); a.problem() != "store-unavailable" || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %s", path, a.body)
		}
	}
}

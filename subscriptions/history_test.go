package subscriptions

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

// fakeHistory answers for any subscription that it is asked about, whosever: what
// keeps strangers out is the handler. What delivery really answers is its own
// tests, and the program's.
type fakeHistory struct {
	calls []string
	err   error
	more  bool
	asked any // the last query
}

func (f *fakeHistory) called(what, subscription string, asked any) {
	f.calls, f.asked = append(f.calls, what+" "+subscription), asked
}

func (f *fakeHistory) Attempts(_ context.Context, subscription string, q AttemptQuery) ([]Attempt, bool, error) {
	f.called("attempts", subscription, q)
	return []Attempt{
		{Cursor: "1-0", At: when, EventID: "e2", Event: "contact.create", Sequence: 2, Attempt: 1, Outcome: AttemptRetry, Status: 500, DurationMS: 3, Error: "http_5xx", Response: "no <such> column"},
		{Cursor: "0-9", At: when, EventID: "e1", Event: "contact.create", Sequence: 1, Attempt: 1, Outcome: AttemptDelivered, Status: 200},
	}, f.more, f.err
}

func (f *fakeHistory) Missed(_ context.Context, subscription string, q MissedQuery) (MissedPage, error) {
	f.called("missed", subscription, q)
	next := int64(0)
	if f.more {
		next = 9
	}
	return MissedPage{Resting: true, Next: next, List: []Missed{
		{Sequence: 3, EventID: "e3", Event: "deal.won", State: MissedDead, Attempts: 9, OccurredAt: when, GivenUpAt: when, Data: json.RawMessage(`{"n":12345678901234567890,"t":"<a>"}`)},
		{Sequence: 5, EventID: "e5", Event: "deal.won", State: MissedRetrying, Attempts: 1, OccurredAt: when, NextAttemptAt: when},
		{Sequence: 7, EventID: "e7", Event: "deal.won", State: MissedInFlight, OccurredAt: when},
		{Sequence: 9, EventID: "e9", Event: "deal.won", State: MissedWaiting, OccurredAt: when, DataOmitted: "too_large"},
	}}, f.err
}

func (f *fakeHistory) Acknowledge(_ context.Context, subscription string, through int64) (int64, bool, error) {
	f.called("acknowledge", subscription, through)
	return 4, f.more, f.err
}

func (f *fakeHistory) Redeliver(_ context.Context, subscription string, wanted Redelivery) (Redelivery, error) {
	f.called("redeliver", subscription, wanted)
	wanted.ID, wanted.Subscription, wanted.State, wanted.CreatedAt, wanted.StartsAt, wanted.Total = "0-job", subscription, RedeliveryScheduled, when, when, 7
	return wanted, f.err
}

func (f *fakeHistory) Redelivery(_ context.Context, subscription, id string) (Redelivery, error) {
	f.called("redelivery", subscription, id)
	return Redelivery{ID: id, Subscription: subscription, Missed: true, State: RedeliveryRunning, CreatedAt: when, StartsAt: when, Total: 7, Done: 3, Failed: 1}, f.err
}

var when = time.Date(2026, 1, 31, 12, 0, 0, 123e6, time.UTC)

func TestTheHistoryIsAsDescribed(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	router, err := gorillamux.NewRouter(described(t, r, base))
	if err != nil {
		t.Fatal(err)
	}
	c, plain := checked{r, router}, "application/json"
	path := base + r.subscribe(t, "ann").ID + "/"
	for _, more := range []bool{false, true} {
		r.history.more = more
		c.send(t, "GET", path+"deliveries?outcome=retry&event=deal.won&limit=2&cursor=1-0", "", "", 200)
		c.send(t, "GET", path+"missed?after=0&data=true&limit=4", "", "", 200)
		c.send(t, "POST", path+"missed/ack", `{"through":9}`, plain, 200)
	}
	for _, body := range []string{`{"missed":true}`, `{"event":"e3"}`, `{"from":"2026-01-01T00:00:00Z","to":"2026-01-02T00:00:00Z"}`, `{"from":"2026-01-01T00:00:00Z"}`} {
		made := c.send(t, "POST", path+"redeliver", body, plain, 202)
		if got := made.header.Get("Location"); got != path+"redeliveries/0-job" {
			t.Errorf("Location is %s", got)
		}
		c.send(t, "GET", made.header.Get("Location"), "", "", 200)
	}
}

func TestMissedEventsSayWhyAndKeepTheirDataAsItIs(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	path := base + r.subscribe(t, "ann").ID
	read := func() (reasons []string) {
		got := r.send(t, "ann", "GET", path+"/missed", "").want(t, 200)
		if !strings.Contains(got.body, `"data":{"n":12345678901234567890,"t":"<a>"}`) {
			t.Errorf("the data is not as it was: %s", got.body)
		}
		var list []Missed
		got.into(t, &list)
		for _, m := range list {
			reasons = append(reasons, cmp.Or(m.Reason, "-"))
		}
		return reasons
	}
	if got := strings.Join(read(), " "); got != "given_up resting - resting" {
		t.Errorf("while it rests: %s", got)
	}
	r.send(t, "ann", "PATCH", path, `{"active":false}`).want(t, 200)
	if got := strings.Join(read(), " "); got != "given_up paused - paused" {
		t.Errorf("while paused: %s", got)
	}
}

func TestPagesOfTheHistoryLeadOn(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	path := base + r.subscribe(t, "ann").ID
	r.history.more = true
	for from, next := range map[string]string{
		"/deliveries?outcome=dead&limit=2": "/deliveries?cursor=0-9&limit=2&outcome=dead", "/missed?data=false": "/missed?after=9&data=false",
	} {
		if got := r.send(t, "ann", "GET", path+from, "").want(t, 200).header.Get("Link"); got != "<"+path+next+`>; rel="next"` {
			t.Errorf("%s leads to %s", from, got)
		}
	}
	if want := (MissedQuery{Limit: maxPage}); r.history.asked != any(want) && r.history.asked != any(AttemptQuery{Outcome: "dead", Limit: 2}) {
		t.Errorf("asked for %+v", r.history.asked)
	}
}

func TestWhatCannotBeAskedOfTheHistoryIsRefusedFieldByField(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	path := base + r.subscribe(t, "ann").ID
	for query, field := range map[string]string{
		"/deliveries?outcome=failed": "outcome", "/deliveries?event=": "event", "/deliveries?cursor=x": "cursor", "/deliveries?cursor=1-0&cursor=2-0": "cursor",
		"/deliveries?limit=0": "limit", "/missed?after=-1": "after", "/missed?after=9007199254740992": "after", "/missed?data=1": "data", "/missed?limit=101": "limit",
	} {
		r.send(t, "ann", "GET", path+query, "").wantProblem(t, 422, "invalid", field)
	}
	for body, fields := range map[string]string{
		`{}`: "", `{"missed":true,"event":"e1"}`: "", `{"missed":false}`: "missed", `{"event":""}`: "event", `{"event":1}`: "event", `{"to":"2026-01-01T00:00:00Z"}`: "",
		`{"missed":true,"to":"2026-01-01T00:00:00Z"}`: "to", `{"from":"2026-01-02T00:00:00Z","to":"2026-01-01T00:00:00Z"}`: "to", `{"from":"yesterday"}`: "from",
		`{"missed":true,"at":"2026-01-01T00:00:00Z"}`: "at", `{"missed":true,"user":"bob"}`: "user",
	} {
		r.send(t, "ann", "POST", path+"/redeliver", body).wantProblem(t, 422, "invalid", fields)
	}
	for _, body := range []string{`{}`, `{"through":-1}`, `{"through":"3"}`, `{"through":1.5}`} {
		r.send(t, "ann", "POST", path+"/missed/ack", body).wantProblem(t, 422, "invalid", "through")
	}
	if len(r.history.calls) > 0 {
		t.Errorf("the history was asked nevertheless: %v", r.history.calls)
	}
}

func TestWhatTheHistoryRefusesIsAProblemOfItsOwn(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	path := base + r.subscribe(t, "ann").ID
	for err, want := range map[error]string{
		ErrNotKept: "422 not-kept", ErrNotFound: "404 not-found", fmt.Errorf("%w: at most 10", ErrTooManyRedeliveries): "429 too-many-redeliveries",
		unavailable("redeliver", context.DeadlineExceeded): "503 store-unavailable",
	} {
		r.history.err = err
		var status int
		var name string
		_, _ = fmt.Sscan(want, &status, &name)
		r.send(t, "ann", "POST", path+"/redeliver", `{"missed":true}`).wantProblem(t, status, name)
		if name != "not-kept" {
			r.send(t, "ann", "GET", path+"/redeliveries/0-x", "").wantProblem(t, status, name)
		}
	}
}

// What an id of another's answers is in TestAStrangersIdAnswersAsOneThatNobodyHas;
// this is that nothing was asked on its behalf.
func TestNothingIsAskedOfTheHistoryForAStranger(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	path := base + r.subscribe(t, "bob").ID
	for _, call := range [][3]string{
		{"GET", "/deliveries", ""}, {"GET", "/missed", ""}, {"POST", "/missed/ack", `{"through":1}`}, {"POST", "/redeliver", `{"missed":true}`},
		{"GET", "/redeliveries/0-job", ""}, {"GET", "/redeliveries/" + url.PathEscape("0-job/../x"), ""},
	} {
		r.send(t, "ann", call[0], path+call[1], call[2]).wantProblem(t, 404, "not-found")
		r.send(t, "", call[0], path+call[1], call[2]).wantProblem(t, 401, "unauthenticated")
	}
	if len(r.history.calls) > 0 {
		t.Errorf("it was asked %v", r.history.calls)
	}
}

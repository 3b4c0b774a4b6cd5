package subscriptions

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

// shown answers the options in an answer, as JSON.
func (a answer) options(t testing.TB) string {
	t.Helper()
	var shown struct {
		Ordered  bool            `json:"ordered"`
		OrderKey json.RawMessage `json:"order_key"`
		MaxRate  json.RawMessage `json:"max_rate"`
		Debounce json.RawMessage `json:"debounce"`
		Batch    json.RawMessage `json:"batch"`
		Skinny   bool            `json:"skinny"`
	}
	a.into(t, &shown)
	return fmt.Sprintf("%t %s %s %s %s %t", shown.Ordered, shown.OrderKey, shown.MaxRate, shown.Debounce, shown.Batch, shown.Skinny)
}

const plain = "false null null null null false"

func TestOptionsAreSetShownChangedAndTakenBack(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		made := r.send(t, "ann", "POST", base, `{"event":"deal.won",`+good+`,"order_key":"resource","max_rate":2.5,"debounce":"90s",
			"batch":{"max":100,"within":"1500ms"},"skinny":true}`).want(t, 201)
		if got, want := made.options(t), `true "resource" 2.5 "1m30s" {"max":100,"within":"1.5s"} true`; got != want {
			t.Errorf("created with %s, want %s", got, want)
		}
		var sub resource
		made.into(t, &sub)
		stored := s.Client.HMGet(t.Context(), lane0().Subscription(sub.ID), "ordered", "max_rate", "debounce", "batch_max", "batch_within", "skinny").Val()
		if got := fmt.Sprint(stored); got != "[resource 2.5 90000 100 1500 1]" {
			t.Errorf("kept as %s", got)
		}
		path := base + sub.ID + "/"
		whole := r.send(t, "ann", "GET", path, "").want(t, 200)
		if again := r.send(t, "ann", "PUT", path, whole.body).want(t, 200); again.options(t) != whole.options(t) {
			t.Errorf("what was read, put back, became %s", again.options(t))
		}
		for _, step := range []struct{ patch, want string }{
			{`{"batch":{"max":50},"debounce":null}`, `true "resource" 2.5 null {"max":50,"within":"1.5s"} true`},
			{`{"order_key":null}`, `true null 2.5 null {"max":50,"within":"1.5s"} true`},
			{`{"order_key":"resource","batch":null}`, `true "resource" 2.5 null null true`},
			{`{"ordered":false,"skinny":null,"max_rate":null}`, plain},
			{`{"order_key":"resource"}`, `true "resource" null null null false`},
			{`{"batch":{"max":2,"within":"1h0m0s"}}`, ""},
			{`{"batch":{"max":2,"within":"1m0s"}}`, `true "resource" null null {"max":2,"within":"1m"} false`},
		} {
			answer := r.send(t, "ann", "PATCH", path, step.patch)
			if step.want == "" {
				answer.wantProblem(t, 422, "invalid", "batch.within")
			} else if got := answer.want(t, 200).options(t); got != step.want {
				t.Errorf("%s made %s, want %s", step.patch, got, step.want)
			}
		}
		if bare := r.send(t, "ann", "PUT", path, `{"event":"deal.won",`+good+`}`).want(t, 200); bare.options(t) != plain {
			t.Errorf("a replacement without options has %s", bare.options(t))
		}
	})
}

func TestOptionsBeyondTheirBoundsAreRefusedByName(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	for options, want := range map[string][]string{
		`"ordered":1`:                                       {"ordered"},
		`"order_key":"user"`:                                {"order_key"},
		`"order_key":""`:                                    {"order_key"},
		`"ordered":false,"order_key":"resource"`:            {"order_key"},
		`"max_rate":0`:                                      {"max_rate"},
		`"max_rate":-1`:                                     {"max_rate"},
		`"max_rate":1e300`:                                  {"max_rate"},
		`"max_rate":"2"`:                                    {"max_rate"},
		`"debounce":15`:                                     {"debounce"},
		`"debounce":"-1s"`:                                  {"debounce"},
		`"debounce":"0s"`:                                   {"debounce"},
		`"debounce":"15"`:                                   {"debounce"},
		`"debounce":"100us"`:                                {"debounce"},
		`"debounce":"61m"`:                                  {"debounce"},
		`"batch":100`:                                       {"batch"},
		`"batch":{}`:                                        {"batch.max", "batch.within"},
		`"batch":{"max":10}`:                                {"batch.within"},
		`"batch":{"max":1,"within":"1s"}`:                   {"batch.max"},
		`"batch":{"max":1001,"within":"1s"}`:                {"batch.max"},
		`"batch":{"max":1.5,"within":"1s"}`:                 {"batch.max"},
		`"batch":{"max":10,"within":"0s","bytes":1}`:        {"batch.bytes", "batch.within"},
		`"batch":{"max":10,"max":11,"within":"1s"}`:         {"batch"},
		`"batch":{"max":1000000000000,"within":"10000h"}`:   {"batch.max"},
		`"skinny":"yes"`:                                    {"skinny"},
		`"max_rate":null,"debounce":null,"order_key":false`: {"order_key"},
	} {
		r.send(t, "ann", "POST", base, `{"event":"deal.won",`+good+`,`+options+`}`).wantProblem(t, 422, "invalid", want...)
	}
}

func TestRulesMayForbidOptionsAndLowerTheirLimits(t *testing.T) {
	free := newRig(t, redistest.Mini(t))
	bound := newRig(t, free.redis, func(o *HandlerOptions) {
		o.Limits = Limits{MaxRate: 5, Debounce: time.Second, Batch: -1, NoOrder: true, NoSkinny: true}
	})
	const all = `"ordered":true,"max_rate":50,"debounce":"1m","batch":{"max":10,"within":"1s"},"skinny":true`
	body := `{"event":"deal.won",` + good + `,` + all + `}`
	bound.send(t, "ann", "POST", base, body).wantProblem(t, 422, "invalid", "ordered", "skinny", "max_rate", "debounce", "batch")
	made := free.send(t, "ann", "POST", base, body).want(t, 201)
	var sub resource
	made.into(t, &sub)
	// What was allowed when it was set stays, until it is changed.
	if kept := bound.send(t, "ann", "PATCH", base+sub.ID, `{"active":false}`).want(t, 200); kept.options(t) != made.options(t) {
		t.Errorf("a patch of something else made %s of %s", kept.options(t), made.options(t))
	}
	bound.send(t, "ann", "PATCH", base+sub.ID, `{"max_rate":49,"batch":{"max":9}}`).wantProblem(t, 422, "invalid", "max_rate", "batch")
	bound.send(t, "ann", "PATCH", base+sub.ID, `{"max_rate":4,"batch":null,"ordered":false}`).want(t, 200)
	doc := described(t, bound, base)
	fields := doc.Components.Schemas["NewSubscription"].Value.Properties
	if fields["ordered"] != nil || fields["batch"] != nil || fields["skinny"] != nil || *fields["max_rate"].Value.Max != 5 {
		t.Error("the description offers options that are not allowed")
	}
}

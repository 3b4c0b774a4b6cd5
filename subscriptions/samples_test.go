package subscriptions

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

const eventsBase = "/api/v1/event/"

func described3(o *HandlerOptions) {
	o.Samples = 3
	o.Describe = func(event string) EventDetail {
		if event != "contact.create" {
			return EventDetail{}
		}
		return EventDetail{
			Description: "A contact was added.", Routes: []Route{{"POST", "/contacts"}},
			Example: json.RawMessage(`{"id":7,"html":"<b>"}`),
			Schema:  json.RawMessage(`{"type":"object","required":["id"],"properties":{"id":{"type":["integer","string"]},"n":{"const":1}},"$defs":{"x":{"enum":[1,null]}}}`),
		}
	}
}

func TestEventsAreListedWithWhatThereIsToSay(t *testing.T) {
	r := newRig(t, redistest.Mini(t), described3)
	got := r.send(t, "ann", "GET", eventsBase, "").want(t, 200)
	want := `[{"event":"contact.create","description":"A contact was added.","routes":[{"method":"POST","path":"/contacts"}],"example":{"id":7,"html":"<b>"},` +
		`"schema":{"type":"object","required":["id"],"properties":{"id":{"type":["integer","string"]},"n":{"const":1}},"$defs":{"x":{"enum":[1,null]}}}},` +
		`{"event":"contact.update","description":"","routes":[]},{"event":"deal.won","description":"","routes":[]}]`
	if strings.TrimSpace(got.body) != want {
		t.Errorf("listed %s", got.body)
	}
	hook := described(t, r, base).Webhooks["contact.create"].Post
	media := hook.RequestBody.Value.Content["application/json"]
	if hook.Description != "A contact was added." || media.Example == nil {
		t.Errorf("the webhook is %+v", hook)
	}
	// The description's own schema tells a delivery from what is none.
	for body, ok := range map[string]bool{
		`{"hook":{"id":"x","event":"contact.create","target":"y"},"data":{"id":1}}`: true,
		`{"hook":{"id":"x","event":"contact.create","target":"y"},"data":null}`:     true,
		`{"id":1}`: true, `{"id":true}`: false, `"text"`: false,
	} {
		var value any
		if err := json.Unmarshal([]byte(body), &value); err != nil {
			t.Fatal(err)
		}
		if err := media.Schema.Value.VisitJSON(value); (err == nil) != ok {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// keptSample puts an event where dispatch does.
func keptSample(t *testing.T, s *redistest.Server, event, user, element string) {
	t.Helper()
	if err := s.Client.LPush(t.Context(), lane0().Samples(event, user), element).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestSamplesAreTheCallersLatestEventsOrTheExample(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s, described3)
		wantSamples := func(user, event, want string) {
			t.Helper()
			for _, slash := range []string{"", "/"} {
				if got := r.send(t, user, "GET", eventsBase+event+"/sample"+slash, "").want(t, 200); strings.TrimSpace(got.body) != want {
					t.Errorf("%s's %s are %s, want %s", user, event, got.body, want)
				}
			}
		}
		wantSamples("ann", "contact.create", `[{"id":7,"html":"<b>"}]`)
		wantSamples("ann", "deal.won", `[]`)
		// Having asked, ann has them kept, and nobody else has.
		if most, ttl := s.Client.Get(t.Context(), lane0().Sampling("ann")).Val(), s.Client.TTL(t.Context(), lane0().Sampling("ann")).Val(); most != "3" || ttl <= 0 {
			t.Errorf("%q are kept for %s", most, ttl)
		}
		if keys := r.keys(t); len(keys) != 1 {
			t.Errorf("asking wrote %q", keys)
		}
		keptSample(t, s, "contact.create", "ann", `{"id":"e1"}`+"\n"+`{"id": 12345678901234567890, "html":"<b>"}`)
		keptSample(t, s, "contact.create", "ann", `{"id":"e2"}`+"\n"+` {"name":"x"} `)
		keptSample(t, s, "contact.create", "ann", `{"id":"e3"}`+"\n"+`{}`)
		wantSamples("ann", "contact.create", `[{"id":"e3"},{"id":"e2","name":"x"},{"id":12345678901234567890,"html":"<b>"}]`)
		// What no list of objects can hold is left out.
		for _, odd := range []string{`{"id":"e4"}` + "\n" + `[1]`, `{"id":"e5"}` + "\n" + `null`, `{"id":"e6"}`, "damaged", `{"id":"e7"}` + "\n" + `{"id":null}`} {
			keptSample(t, s, "deal.won", "ann", odd)
		}
		wantSamples("ann", "deal.won", `[]`)
		// Ann's are nobody else's, whatever their names are made of.
		for _, user := range []string{"bob", "an", "ann:", "create:ann", "*"} {
			wantSamples(user, "contact.create", `[{"id":7,"html":"<b>"}]`)
			wantSamples(user, "contact.update", `[]`)
		}
		for _, name := range []string{"contact.nope", "*", "contact.*", "contact.create:ann", "%00", "contact.create%2Fsample"} {
			r.send(t, "ann", "GET", eventsBase+name+"/sample", "").wantProblem(t, 404, "not-found")
		}
		r.send(t, "", "GET", eventsBase+"contact.create/sample", "").wantProblem(t, 401, "unauthenticated")
		r.send(t, "ann", "POST", eventsBase+"contact.create/sample", "").wantProblem(t, 405, "method-not-allowed")
	})
}

func TestATestOfANamedEventCarriesASample(t *testing.T) {
	s := redistest.Mini(t)
	target := &fakeTarget{}
	r := newRig(t, s, described3, trying(target))
	made := r.subscribe(t, "ann")
	r.send(t, "ann", "POST", base+made.ID+"/test", `{"event":"contact.create"}`).want(t, 200)
	keptSample(t, s, "contact.create", "ann", `{"id":"e1"}`+"\n"+`{"id":1}`)
	keptSample(t, s, "contact.create", "bob", `{"id":"e1"}`+"\n"+`{"id":"bobs"}`)
	r.send(t, "ann", "POST", base+made.ID+"/test", `{"event":"contact.create"}`).want(t, 200)
	if string(target.tests[0].Data) != `{"id":7,"html":"<b>"}` || string(target.tests[1].Data) != `{"id":1}` {
		t.Errorf("sent %+v", target.tests)
	}
}

func TestSamplesCanBeTurnedOff(t *testing.T) {
	r := newRig(t, redistest.Mini(t), described3, func(o *HandlerOptions) { o.Samples = 0 })
	keptSample(t, r.redis, "contact.create", "ann", `{"id":"e1"}`+"\n"+`{"id":1}`)
	if got := r.send(t, "ann", "GET", eventsBase+"contact.create/sample", "").want(t, 200); !strings.Contains(got.body, `"id":7`) {
		t.Errorf("answered %s", got.body)
	}
	if keys := r.keys(t); len(keys) != 1 {
		t.Errorf("asking wrote %q", keys)
	}
}

package subscriptions

import (
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

func TestBadEventsAndNotesAreRefused(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	for body, want := range map[string][]string{
		`{"events":"contact.create",` + good + `}`:                                   {"events"},
		`{"events":[],` + good + `}`:                                                 {"events"},
		`{"events":["deal.won",1],` + good + `}`:                                     {"events"},
		`{"events":["deal.won","deal.won"],` + good + `}`:                            {"events"},
		`{"events":["deal.won","nope.*"],` + good + `}`:                              {"events"},
		`{"event":"deal.*.x",` + good + `}`:                                          {"event"},
		`{"event":"deal.won.*",` + good + `}`:                                        {"event"},
		`{"event":".*",` + good + `}`:                                                {"event"},
		`{"event":"deal.won","events":["contact.create"],` + good + `}`:              {"events"},
		`{"event":"deal.won",` + good + `,"description":1}`:                          {"description"},
		`{"event":"deal.won",` + good + `,"metadata":{"a":1}}`:                       {"metadata"},
		`{"event":"deal.won",` + good + `,"metadata":{"a":"1","a":"2"}}`:             {"metadata"},
		`{"event":"deal.won",` + good + `,"metadata":{"":"1"}}`:                      {"metadata"},
		`{"event":"deal.won",` + good + `,"metadata":["a"]}`:                         {"metadata"},
		`{"event":"deal.won",` + good + `,"expiration_date":"2001-01-01T00:00:00Z"}`: {"expiration_date"},
		`{"event":"deal.won",` + good + `,"expiration_date":"2099-01-01"}`:           {"expiration_date"},
		`{"event":"deal.won",` + good + `,"expiration_date":4070908800}`:             {"expiration_date"},
	} {
		r.send(t, "ann", "POST", base, body).wantProblem(t, 422, "invalid", want...)
	}
	for field, value := range map[string]string{
		"description": `"` + strings.Repeat("ü", 501) + `"`,
		"metadata":    `{"` + strings.Repeat("k", 41) + `":""}`,
		"events":      `["deal.won"` + strings.Repeat(`,"contact.create"`, 100) + `]`,
	} {
		r.send(t, "ann", "POST", base, `{"event":"deal.won",`+good+`,"`+field+`":`+value+`}`).wantProblem(t, 422, "invalid", field)
	}
	if keys := r.keys(t); len(keys) != 0 {
		t.Errorf("bad bodies left %q in Redis", keys)
	}
}

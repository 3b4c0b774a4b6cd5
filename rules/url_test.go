package rules

import (
	"encoding/json"
	"strings"
	"testing"
)

// A subscriber who has asked for skinny deliveries gets by the event's URL what
// payload: thin would have told it.
func TestAnEventKnowsTheURLThatThinWouldTell(t *testing.T) {
	thin, whole := parsed(t, `
rules:
  - {on: POST /contacts, emit: contact.create, payload: thin}
  - {on: "PUT /contacts/{id}", emit: contact.update, payload: thin}
  - {on: POST /imports, emit: contact.create, each: response.body, payload: thin}
resources:
  deal: {path: /deals, payload: thin}
`), parsed(t, `
rules:
  - {on: POST /contacts, emit: contact.create}
  - {on: "PUT /contacts/{id}", emit: contact.update}
  - {on: POST /imports, emit: contact.create, each: response.body}
resources:
  deal: /deals
`)
	for want, x := range map[string]*Exchange{
		"/contacts/17":      answer(201, js, `{"id":17}`, located("/contacts/17")),
		"/contacts/7":       answer(200, js, `{"id":7}`, put),
		"/deals/a%2Fb":      answer(201, js, `{"id":"a/b"}`, to("POST", "/deals")),
		"":                  answer(200, js, `[{"id":1}]`, to("POST", "/imports")),
		"/deals/it%20is%3F": answer(200, js, `{}`, to("PUT", "/deals/it%20is%3F")),
	} {
		got, told := whole.Match(x.Method, x.Path).Derive(x)[0].Event, thin.Match(x.Method, x.Path).Derive(x)[0].Event
		var body struct{ URL string }
		if err := json.Unmarshal(told.Payload, &body); err != nil || got.URL != want || body.URL != want {
			t.Errorf("%s %s: the URL is %q, thin tells %s, want %q", x.Method, x.Path, got.URL, told.Payload, want)
		}
	}
	long := answer(201, js, `{"id":7}`, located("/"+strings.Repeat("x", 3000)+"/7"))
	if ev := whole.Match(long.Method, long.Path).Derive(long)[0].Event; ev.URL != "" || ev.Resource == "" {
		t.Errorf("a path of 3000 bytes became a URL of %d", len(ev.URL))
	}
}

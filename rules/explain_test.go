package rules

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

const explained = `
resources:
  contact: /contacts
rules:
  - {on: "PATCH /deals/{id:[0-9]+}", emit: deal.won, when: {response.body.stage: won}}
  - {on: "POST /{kind:lead|task}/new", emit: thing.new}
  - {on: "PUT /v2/{name:.+}/manifests/{ref}", emit: image.push}
  - {on: "POST /imports", emit: contact.import, each: response.body.items, when: {item.state: {not: [old, gone]}}}
`

func TestExplainPutsTheNearestMissFirstAndSaysWhatDiffers(t *testing.T) {
	file := parsed(t, explained)
	for _, c := range []struct {
		method, path string
		status       int
		rule, why    string
	}{
		{"POST", "/contacts", 201, "POST /contacts", ""},
		{"POST", "/contacts", 202, "POST /contacts", "the status is 202; the rule wants 200, 201, 203, 204 or 205"},
		{"POST", "/api/contacts", 0, "POST /contacts", "the request has /api before the rule's path; matching: {mount: /api} would"},
		{"POST", "/contact", 0, "POST /contacts", `segment 1 is "contact"; the rule has "contacts" there`},
		{"POST", "/Contacts", 0, "POST /contacts", "ignore_case: true"},
		{"POST", "/contacts.json", 0, "POST /contacts", "format_suffixes: [.json]"},
		{"PATCH", "/contacts", 0, "POST /contacts", "the method is PATCH; the rule has POST"},
		{"POST", "/contacts/7", 0, "PUT /contacts/{id}", "the method is POST; the rule has PUT"},
		{"PATCH", "/deals/x7", 0, "PATCH /deals/{id:[0-9]+}", `segment 2 is "x7", which does not match {id:[0-9]+}`},
		{"POST", "/deal/new", 0, "POST /{kind:lead|task}/new", `segment 1 is "deal"; the rule has lead or task there`},
		{"PUT", "/v2/a/b/manifest/c", 0, "PUT /v2/{name:.+}/manifests/{ref}", `the rest of the path is "a/b/manifest/c"`},
		{"PATCH", "/deals/7/", 200, "PATCH /deals/{id:[0-9]+}", ""},
	} {
		first := file.Explain(c.method, c.path, c.status)[0]
		if got := first.Rule.Method + " " + first.Rule.Path; got != c.rule {
			t.Errorf("%s %s: nearest is %s, want %s (%v)", c.method, c.path, got, c.rule, first.Why)
		}
		if why := strings.Join(first.Why, "; "); (c.why == "") != (why == "") || !strings.Contains(why, c.why) {
			t.Errorf("%s %s: %q, want %q", c.method, c.path, why, c.why)
		}
	}
}

func TestExplainAgreesWithMatch(t *testing.T) {
	file := parsed(t, explained)
	for _, path := range []string{"/contacts", "/contacts/7", "/deals/7", "/deals/x", "/lead/new", "/v2/a/b/manifests/c", "/", "/v2", "/%63ontacts/", "/a/../contacts"} {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
			var matched []*Rule
			if m := file.Match(method, path); m != nil {
				matched = m.Rules()
			}
			for _, one := range file.Explain(method, path, 0) {
				if (len(one.Why) == 0) != slices.Contains(matched, one.Rule) {
					t.Errorf("%s %s: %s says %q", method, path, one.Rule.Path, one.Why)
				}
			}
		}
	}
}

func TestExplainShowsTheConditions(t *testing.T) {
	got := parsed(t, explained).Explain("POST", "/imports", 200)[0]
	if want := []string{"item.state: {not: [old, gone]}"}; !slices.Equal(got.When, want) {
		t.Errorf("%q, want %q", got.When, want)
	}
}

func TestWhySaysWhatStoodWhereTheRuleLooked(t *testing.T) {
	file := parsed(t, explained)
	json := http.Header{"Content-Type": {"application/json"}}
	for _, c := range []struct {
		method, path, body string
		status             int
		header             http.Header
		want               string
	}{
		{"PATCH", "/deals/7", `{"stage":"open"}`, 200, json, `when does not hold: response.body.stage: won, where response.body.stage is "open"`},
		{"PATCH", "/deals/7", `{}`, 200, json, "is missing"},
		{"PATCH", "/deals/7", `{}`, 202, json, "the status is 202; the rule wants 200"},
		{"POST", "/imports", `{"items":[{"state":"gone"}]}`, 200, json, `where item.state is "gone"`},
		{"POST", "/imports", `{"items":[]}`, 200, json, "each: response.body.items is no list, or an empty one"},
		{"POST", "/contacts", `<html>`, 200, http.Header{"Content-Type": {"text/html"}}, "a page came (text/html)"},
		{"POST", "/contacts", ``, 200, http.Header{"Content-Type": {"text/event-stream"}}, "never captured: event_stream"},
	} {
		x := &Exchange{Method: c.method, Path: c.path, Status: c.status, ResponseHeader: c.header, ResponseBody: []byte(c.body)}
		result := file.Match(c.method, c.path).Derive(x)[0]
		if why := file.Why(x, result); !strings.Contains(why, c.want) {
			t.Errorf("%s %s: %q, want %q", c.method, c.path, why, c.want)
		}
	}
}

func TestMaskReplacesTheValuesOfSecretLikeKeysAndNothingElse(t *testing.T) {
	for raw, want := range map[string]string{
		`{ "id": 7, "token" : {"a":[1]} , "list":[{"Password":"x"},{"n":1.0}]}`: `{ "id": 7, "token" : "redacted" , "list":[{"Password":"redacted"},{"n":1.0}]}`,
		"\xef\xbb\xbf" + `{"secret":null}`:                                      "\xef\xbb\xbf" + `{"secret":"redacted"}`,
		`[]`:                                                                    `[]`,
		`7`:                                                                     `7`,
	} {
		if got, ok := Mask([]byte(raw)); !ok || string(got) != want {
			t.Errorf("%s became %s, %t", raw, got, ok)
		}
	}
	for _, raw := range []string{``, `{"token":"x"`, `token=x`, strings.Repeat("[", 1001) + strings.Repeat("]", 1001)} {
		if got, ok := Mask([]byte(raw)); ok {
			t.Errorf("%.20s became %.20s", raw, got)
		}
	}
}

func TestOfAMaskedBodyRulesMakeTheSameEvent(t *testing.T) {
	file := parsed(t, "resources: {contact: /contacts}")
	raw := []byte(`{"id":7,"token":"t","a":{"secret":[1,2],"b":1},"password":"p"}`)
	masked, _ := Mask(raw)
	event := func(body []byte) Result {
		x := &Exchange{Method: "POST", Path: "/contacts", Status: 201, ResponseHeader: http.Header{}, ResponseBody: body, Caller: "1"}
		return file.Match("POST", "/contacts").Derive(x)[0]
	}
	a, b := event(raw).Event, event(masked).Event
	if string(a.Payload) != string(b.Payload) || !slices.Equal(a.Redacted, b.Redacted) || len(a.Redacted) != 3 {
		t.Errorf("%s %q, and masked %s %q", a.Payload, a.Redacted, b.Payload, b.Redacted)
	}
}

// FuzzMask: of any JSON, masking makes JSON in which nothing is left to mask.
func FuzzMask(f *testing.F) {
	f.Add([]byte(`{"a":[{"token" : {"b":"}"}},1,{"Pass\u0077ord":"\""}],"secret":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		masked, ok := Mask(raw)
		if !ok {
			return
		}
		again, ok := Mask(masked)
		if !ok || string(again) != string(masked) {
			t.Fatalf("%q became %q and then %q, %t", raw, masked, again, ok)
		}
	})
}

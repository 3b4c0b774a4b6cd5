package rules

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/events"
)

// answer is an exchange in short: POST /contacts by the user 42, unless fn
// changes it.
func answer(status int, contentType, body string, fns ...func(*Exchange)) *Exchange {
	x := &Exchange{
		Method: "POST", Path: "/contacts", Status: status, Caller: "42",
		RequestHeader: http.Header{}, ResponseHeader: http.Header{},
	}
	if contentType != "" {
		x.ResponseHeader.Set("Content-Type", contentType)
	}
	if body != "" {
		x.ResponseBody = []byte(body)
	}
	for _, fn := range fns {
		fn(x)
	}
	return x
}

func to(method, path string) func(*Exchange) {
	return func(x *Exchange) { x.Method, x.Path = method, path }
}

func located(location string) func(*Exchange) {
	return func(x *Exchange) { x.ResponseHeader.Set("Location", location) }
}

func omitted(reason string) func(*Exchange) {
	return func(x *Exchange) { x.ResponseOmitted, x.ResponseBody = reason, nil }
}

func asked(contentType, body string) func(*Exchange) {
	return func(x *Exchange) {
		x.RequestHeader.Set("Content-Type", contentType)
		x.RequestBody = []byte(body)
	}
}

// shown answers what matters of each result: "skipped:reason", or
// "name user/resource payload" with what is missing and why.
func shown(file *File, x *Exchange) string {
	m := file.Match(x.Method, x.Path)
	if m == nil {
		return "no match"
	}
	var all []string
	for _, r := range m.Derive(x) {
		if r.Skipped != "" {
			all = append(all, "skipped:"+r.Skipped)
			continue
		}
		all = append(all, showEvent(r.Event))
	}
	return strings.Join(all, "; ")
}

func showEvent(ev events.Event) string {
	s := fmt.Sprintf("%s %s/%s %s", ev.Name, ev.User, ev.Resource, ev.Payload)
	if ev.Omitted != "" {
		s = strings.TrimSuffix(s, " ") + " omitted:" + ev.Omitted
	}
	if ev.Parked != "" {
		s = strings.TrimSuffix(s, " ") + " parked:" + ev.Parked
	}
	return s
}

const js = "application/json"

var (
	put = to("PUT", "/contacts/7")
	del = to("DELETE", "/contacts/7")
)

// answers are the cases of an answer, and what becomes of each.
var answers = []struct {
	name string
	x    *Exchange
	want string
}{
	{"200", answer(200, js, `{"id":1}`), `contact.create 42/1 {"id":1}`},
	{"201", answer(201, js, `{"id":"a<b"}`), `contact.create 42/a<b {"id":"a<b"}`},
	{"203", answer(203, js, `{"id":1}`), `contact.create 42/1 {"id":1}`},
	{"whitespace stays", answer(201, js, "\n{ \"id\" : 1 }\n"), "contact.create 42/1 \n{ \"id\" : 1 }\n"},
	{"big numbers stay", answer(201, js, `{"id":12345678901234567890123}`), `contact.create 42/12345678901234567890123 {"id":12345678901234567890123}`},
	{"no media type", answer(201, "", `{"id":1}`), `contact.create 42/1 {"id":1}`},
	{"suffix +json", answer(201, "application/vnd.api+json; version=2", `{"id":1}`), `contact.create 42/1 {"id":1}`},
	{"JSON called text", answer(200, "text/html; charset=UTF-8", `{"id":1}`), `contact.create 42/1 {"id":1}`},
	{"a byte order mark", answer(201, js, "\ufeff{\"id\":1}"), `contact.create 42/1 {"id":1}`},
	{"no id inside", answer(201, js, `[]`), `contact.create 42/ []`},

	{"204", answer(204, "", "", put), `contact.update 42/7 omitted:no_content`},
	{"205", answer(205, "", "", put), `contact.update 42/7 omitted:no_content`},
	{"204 with an impossible body", answer(204, js, `{"id":9}`, put), `contact.update 42/7 omitted:no_content`},
	{"200 without a body", answer(200, js, "", put), `contact.update 42/7 omitted:no_content`},
	{"204 about nothing known", answer(204, "", ""), `contact.create 42/ omitted:no_content parked:resource_unknown`},
	{"201 with Location", answer(201, "", "", located("/contacts/17")), `contact.create 42/17 omitted:no_content`},
	{"201 with an absolute Location", answer(201, "", "", located("http://internal:80/v1/contacts/a%2Fb/?x=1#y")), `contact.create 42/a/b omitted:no_content`},
	{"DELETE 204", answer(204, "", "", del), `contact.delete 42/7 {"id":"7"}`},
	{"DELETE 200 with a body", answer(200, js, `{"id":9}`, del), `contact.delete 42/7 {"id":"7"}`},
	{"DELETE 200 with a page", answer(200, "text/html", `<p>`, del), `contact.delete 42/7 {"id":"7"}`},
	{"DELETE too large", answer(200, js, ``, del, omitted("too_large")), `contact.delete 42/7 {"id":"7"}`},

	{"too large, known", answer(200, js, "", put, omitted("too_large")), `contact.update 42/7 omitted:too_large`},
	{"truncated, unknown", answer(201, js, "", omitted("truncated")), `contact.create 42/ omitted:truncated parked:resource_unknown`},
	{"truncated, Location", answer(201, js, "", omitted("truncated"), located("/c/3")), `contact.create 42/3 omitted:truncated`},
	{"broken JSON", answer(200, js, `{"id":1`, put), `contact.update 42/7 omitted:not_json`},
	{"trailing garbage", answer(200, js, `{"id":1}x`, put), `contact.update 42/7 omitted:not_json`},
	{"two values", answer(200, js, `{"id":1}{"id":2}`, put), `contact.update 42/7 omitted:not_json`},
	{"plain text", answer(200, "text/plain", `7`, put), `contact.update 42/7 omitted:not_json`},
	{"UTF-16", answer(200, js, "\xff\xfe{\x00}\x00", put), `contact.update 42/7 omitted:encoding`},
	{"invalid UTF-8", answer(200, js, "{\"a\":\"\xff\"}", put), `contact.update 42/7 omitted:encoding`},
	{"too deep", answer(200, js, strings.Repeat("[", 1<<20), put), `contact.update 42/7 omitted:too_deep`},

	{"a page", answer(200, "text/html", "<html>"), "skipped:not_json"},
	{"a page too large", answer(200, "text/html", "", omitted("too_large")), "skipped:not_json"},
	{"a page after creating", answer(201, "text/html", "<html>", located("/contacts/5")), `contact.create 42/5 omitted:not_json`},
	{"202", answer(202, js, `{"id":1}`), "skipped:status"},
	{"206", answer(206, js, `{"id":1}`), "skipped:status"},
	{"207", answer(207, js, `{"id":1}`), "skipped:status"},
	{"302", answer(302, js, `{"id":1}`), "skipped:status"},
	{"404", answer(404, js, `{"id":1}`), "skipped:status"},
	{"500", answer(500, js, `{"id":1}`), "skipped:status"},
	{"events", answer(200, "text/event-stream", "data: 1"), "skipped:event_stream"},
	{"gRPC", answer(200, "application/grpc+proto", "x"), "skipped:grpc"},
	{"multipart", answer(200, "multipart/mixed; boundary=x", "x"), "skipped:multipart"},
	{"nobody known", answer(201, js, `{"id":1}`, func(x *Exchange) { x.Caller = "" }), `contact.create /1 {"id":1} parked:user_unknown`},
}

func TestEachCaseOfAnAnswerHasItsEvent(t *testing.T) {
	file := parsed(t, "resources: {contact: /contacts}")
	for _, c := range answers {
		t.Run(c.name, func(t *testing.T) {
			if got := shown(file, c.x); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestAnEventCarriesItsRuleAndTheVeryBytesOfTheAnswer(t *testing.T) {
	file := parsed(t, "# first\nrules: [{on: POST /contacts, emit: contact.create}]")
	x := answer(201, js, `{"b":"\u003c","a":1.0,"a":[ ],"id":1e3}`)
	results := file.Match("POST", "/contacts").Derive(x)
	ev := results[0].Event
	if ev.Rule != "rules.yaml:2" || results[0].Rule != file.Rules[0] || string(ev.Payload) != string(x.ResponseBody) {
		t.Errorf("got %+v", ev)
	}
	if ev.Resource != "" {
		t.Errorf("1e3 is no id, but became %q", ev.Resource)
	}
}

func TestStatusesCountOnlyWhereNamed(t *testing.T) {
	file := parsed(t, "rules: [{on: POST /contacts, emit: a.b, status: [202, 303]}]")
	for status, want := range map[int]string{
		202: "a.b 42/ omitted:no_content parked:resource_unknown", // Location is a status monitor
		303: "a.b 42/9 omitted:no_content",
		201: "skipped:status",
	} {
		if got := shown(file, answer(status, "", "", located("/jobs/9"))); got != want {
			t.Errorf("%d: got %s, want %s", status, got, want)
		}
	}
}

func TestTheResourceIsWhatTheEventIsAbout(t *testing.T) {
	file := parsed(t, `
rules:
  - {on: "POST /contacts/{id}/notes", emit: note.create}
  - {on: "POST /envelope/{id}/notes", emit: note.create, payload: response.body.data}
  - {on: "POST /deals/{id}/close", emit: deal.close}
  - {on: "POST /deals/{id}", emit: deal.touch}
  - {on: "PUT /contacts/{id}/avatar", emit: contact.avatar}
  - {on: "PUT /orgs/{org}/contacts/{id}", emit: contact.update}
  - {on: "PUT /settings", emit: settings.update}
  - {on: "POST /named/{id}", emit: a.b, resource: response.body.key}
`)
	for _, c := range []struct {
		x    *Exchange
		want string
	}{
		{answer(201, js, `{"id":5}`, to("POST", "/contacts/7/notes"), located("/notes/6")), "5"},
		{answer(201, js, `{"x":5}`, to("POST", "/contacts/7/notes"), located("/notes/6")), "6"},
		{answer(201, js, `{"x":5}`, to("POST", "/contacts/7/notes")), ""},
		{answer(201, js, `{"id":1,"data":{"id":"n"}}`, to("POST", "/envelope/7/notes")), "n"},
		{answer(201, js, `{"id":1,"data":{}}`, to("POST", "/envelope/7/notes")), "1"},
		{answer(204, "", "", to("POST", "/deals/7/close")), "7"},
		{answer(204, "", "", to("POST", "/deals/7/close"), located("http://[bad")), "7"},
		{answer(204, "", "", to("POST", "/deals/7/close"), located("/")), "7"},
		{answer(204, "", "", to("POST", "/deals/7/close"), located("/x/%FF")), "7"},
		{answer(200, js, `{"id":8}`, to("POST", "/deals/7")), "7"},
		{answer(200, js, `{"id":8}`, to("PUT", "/contacts/7/avatar")), "7"},
		{answer(200, js, `{"id":8}`, to("PUT", "/orgs/3/contacts/7")), "7"},
		{answer(200, js, `{"id":8}`, to("PUT", "/settings")), "8"},
		{answer(200, js, `{"id":8,"id":9}`, to("PUT", "/settings")), ""},
		{answer(200, js, `{"id":{}}`, to("PUT", "/settings")), ""},
		{answer(200, js, `{"id":8,"key":"k"}`, to("POST", "/named/7")), "k"},
		{answer(200, js, `{"id":"`+strings.Repeat("x", 600)+`"}`, to("PUT", "/settings")), ""},
	} {
		got := file.Match(c.x.Method, c.x.Path).Derive(c.x)[0].Event.Resource
		if got != c.want {
			t.Errorf("%s %s %s: got %q, want %q", c.x.Method, c.x.Path, c.x.ResponseBody, got, c.want)
		}
	}
}

func TestAResourcesOptionsHoldForAllItsVerbs(t *testing.T) {
	file := parsed(t, `
resources:
  ticket: {path: "/{desk}/tickets", payload: response.body.data, user: path.desk, status: [200, 202], when: {query.dry: {exists: false}}}
`)
	for _, c := range []struct {
		x    *Exchange
		want string
	}{
		{answer(200, js, `{"data":{"id":1}}`, to("POST", "/a/tickets")), `ticket.create a/1 {"id":1}`},
		{answer(202, js, `{"data":{"id":1}}`, to("PUT", "/a/tickets/2")), `ticket.update a/2 {"id":1}`},
		{answer(202, js, ``, to("PATCH", "/a/tickets/2")), `ticket.update a/2 omitted:no_content`},
		{answer(200, js, `{"data":{"id":1}}`, to("DELETE", "/a/tickets/2")), `ticket.delete a/2 {"id":"2"}`},
		{answer(204, "", "", to("DELETE", "/a/tickets/2")), "skipped:status"},
		{answer(200, js, `{}`, to("DELETE", "/a/tickets/2"), query("dry=1")), "skipped:when"},
	} {
		if got := shown(file, c.x); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

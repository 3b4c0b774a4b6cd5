package proxy

import (
	"io"
	"net/http"
	"testing"
)

// echoing answers with what was asked, as an API that makes and changes things.
func echoing(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"got":"`+r.Method+" "+r.URL.EscapedPath()+`"}`)
}

func TestRulesAreWrittenOnceForEachMount(t *testing.T) {
	runCases(t, `
matching: {mount: [/api/v1, "/api/{version:v2|v3}/", /]}
resources: {contact: /contacts}
rules: [{on: "POST /contacts/{c}/notes", emit: contact.note, resource: path.c}, {on: POST /, emit: root.post, resource: request.header.X-Id}]
`, []exchangeCase{
		{"the first", "PUT /api/v1/contacts/7", "{}", echoing, `contact.update 42/7 {"got":"PUT /api/v1/contacts/7"}`},
		{"one with a parameter", "PUT /api/v3/contacts/7", "{}", echoing, `contact.update 42/7 {"got":"PUT /api/v3/contacts/7"}`},
		{"none", put, "{}", echoing, `contact.update 42/7 {"got":"PUT /contacts/7"}`},
		{"a rule's", "POST /api/v1/contacts/7/notes", "{}", echoing, `contact.note 42/7 {"got":"POST /api/v1/contacts/7/notes"}`},
		{"the mount itself", "POST /api/v1\nX-Id: 1", "{}", echoing, `root.post 42/1 {"got":"POST /api/v1"}`},
		{"another", "PUT /api/v4/contacts/7", "{}", echoing, ""},
	})
	runCases(t, "matching: {mount: /api}\nresources: {contact: /contacts}", []exchangeCase{
		{"outside the only one", put, "{}", echoing, ""},
	})
}

func TestFormatSuffixesAreNoPartOfTheResource(t *testing.T) {
	runCases(t, `
matching: {format_suffixes: [.json, .xml]}
resources: {issue: {path: /issues, payload: thin}}
rules: [{on: "PUT /files/{name:.+}", emit: file.put, resource: path.name}]
`, []exchangeCase{
		{"created", "POST /issues.json", "{}", answering(201, asJSON, `{"id":7}`), `issue.create 42/7 {"id":"7","url":"/issues/7.json"}`},
		{"created without one", "POST /issues", "{}", answering(201, asJSON, `{"id":7}`), `issue.create 42/7 {"id":"7","url":"/issues/7"}`},
		{"updated", "PUT /issues/7.json", "{}", answering(204, "", ""), `issue.update 42/7 {"id":"7","url":"/issues/7.json"}`},
		{"updated without one", "PUT /issues/7", "{}", answering(204, "", ""), `issue.update 42/7 {"id":"7","url":"/issues/7"}`},
		{"deleted", "DELETE /issues/7.xml", "", answering(204, "", ""), `issue.delete 42/7 {"id":"7"}`},
		{"another suffix", "PUT /issues/7.csv", "{}", answering(204, "", ""), `issue.update 42/7.csv {"id":"7.csv","url":"/issues/7.csv"}`},
		{"nothing but a suffix", "PUT /issues/.json", "{}", answering(204, "", ""), `issue.update 42/.json {"id":".json","url":"/issues/.json"}`},
		{"a spanning parameter", "PUT /files/a/b.json", "{}", answering(204, "", ""), `file.put 42/a/b omitted:no_content`},
	})
}

func TestCaseIsIgnoredInPathsWhereTheFileSaysSo(t *testing.T) {
	const source = `
resources: {contact: /Contacts, note: {path: /notes, payload: thin}}
rules:
  - {on: "POST /api/{kind:deal|Person}/records", emit: "n.create", when: {path.kind: Person}, payload: {kind: "{path.kind}"}, resource: path.kind}
  - {on: "PUT /{id:[a-c]+}x/z", emit: x.y, payload: {id: "{path.id}"}}
  - {on: "PUT /v2/{name:[a-z/]+}/Tags", emit: tag.put, payload: {name: "{path.name}"}}
  - {on: "POST /mail/{box:in|out}", emit: "{path.box}.mail", payload: {}, resource: path.box}
`
	runCases(t, "matching: {ignore_case: true, format_suffixes: .JSON}"+source, []exchangeCase{
		{"a literal", "PUT /CONTACTS/aB", "{}", answering(204, "", ""), "contact.update 42/aB omitted:no_content"},
		{"a suffix", "PUT /contacts/aB.Json", "{}", answering(204, "", ""), "contact.update 42/aB omitted:no_content"},
		{"a suffix of a collection", "POST /notes.Json", "{}", answering(201, asJSON, `{"id":7}`), `note.create 42/7 {"id":"7","url":"/notes/7.Json"}`},
		{"a listed value", "POST /API/PERSON/records", "{}", answering(204, "", ""), `n.create 42/Person {"kind":"Person"}`},
		{"a listed value in the name", "POST /Mail/IN", "{}", answering(204, "", ""), `in.mail 42/in {}`},
		{"an expression", "PUT /AbX/Z", "{}", answering(204, "", ""), `x.y 42/Ab {"id":"Ab"}`},
		{"a spanning expression", "PUT /V2/A/b/TAGS", "{}", answering(204, "", ""), `tag.put 42/A/b {"name":"A/b"}`},
		{"never the method", "put /contacts/7", "{}", answering(204, "", ""), ""},
	})
	runCases(t, source, []exchangeCase{
		{"otherwise not", "PUT /CONTACTS/aB", "{}", answering(204, "", ""), ""},
	})
}

func TestAMethodIsOverriddenOnlyByTheHeadersThatTheFileLists(t *testing.T) {
	const override = "matching: {method_override: [X-HTTP-Method-Override, x-method]}\n"
	runCases(t, override+contacts, []exchangeCase{
		{"a delete", "POST /contacts/7\nX-HTTP-Method-Override: DELETE", "{}", answering(204, "", ""), `contact.delete 42/7 {"id":"7"}`},
		{"in small letters", "POST /contacts/7\nX-Method: patch", "{}", answering(204, "", ""), `contact.update 42/7 omitted:no_content`},
		{"a write that is a read", "POST /contacts\nX-HTTP-Method-Override: GET", "{}", answering(200, asJSON, `{"id":7}`), ""},
		{"HEAD", "POST /contacts\nX-HTTP-Method-Override: HEAD", "{}", answering(200, asJSON, `{"id":7}`), ""},
		{"only a POST is", "PUT /contacts/7\nX-HTTP-Method-Override: DELETE", "{}", answering(204, "", ""), `contact.update 42/7 omitted:no_content`},
		{"without one", post, "{}", answering(201, asJSON, `{"id":7}`), `contact.create 42/7 {"id":7}`},
	})
	runCases(t, contacts, []exchangeCase{
		{"not listed", post + "\nX-HTTP-Method-Override: PUT", "{}", answering(201, asJSON, `{"id":7}`), `contact.create 42/7 {"id":7}`},
	})
}

func TestAResourceHasEveryOptionOfARule(t *testing.T) {
	runCases(t, `resources: {contact: {path: /contacts, only: create, status: [200, 207], each: response.body.rows, max_items: 2,
  when: {item.ok: true}, user: item.owner, resource: item.key, payload: item.data, omit: [x]}}`, []exchangeCase{
		{"each", post, "{}", answering(207, asJSON, `{"rows":[{"ok":true,"owner":5,"key":"k","data":{"x":1,"y":2}},{}]}`), `contact.create 5/k {"y":2}`},
		{"too many", post, "{}", answering(207, asJSON, `{"rows":[{},{},{}]}`), `contact.create / omitted:too_many_items parked:too_many_items`},
	})
	runCases(t, `resources: {contact: {path: /contacts, merge: [request.body, response.body], pick: [a], keep: [token]}}`, []exchangeCase{
		{"merge", put, `{"a":{"token":1},"b":2}`, answering(204, "", ""), `contact.update 42/7 {"a":{"token":1}}`},
	})
}

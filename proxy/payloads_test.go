package proxy

import "testing"

const contact = `{"id": 7, "name":"<Ann>", "owner": {"id":5,"name":"Bob", "token":"t"}, "lines":[{"sku":"a","cost":1.50}, 3, {"cost":2}], "note":null}`

// rule is one for each request of these tests, with more options.
func rule(options string) string {
	return "rules: [{on: [POST /contacts, PUT /contacts/7], emit: contact.saved, " + options + "}]"
}

func TestAPayloadIsWhatTheRulePicks(t *testing.T) {
	for options, want := range map[string]string{
		`pick: [id, name]`:                              `{"id": 7, "name":"<Ann>"}`,
		`pick: id`:                                      `{"id": 7}`,
		`pick: [owner.name, note]`:                      `{"owner": {"name":"Bob"}, "note":null}`,
		`pick: [owner]`:                                 `{"owner": {"id":5,"name":"Bob"}}`,
		`pick: [owner, owner.id]`:                       `{"owner": {"id":5,"name":"Bob"}}`,
		`pick: [owner, owner.token], keep: [token]`:     `{"owner": {"id":5,"name":"Bob", "token":"t"}}`,
		`pick: [lines.cost]`:                            `{"lines":[{"cost":1.50}, {"cost":2}]}`,
		`pick: [id.x, name.y, none]`:                    `{}`,
		`omit: [owner, lines, note]`:                    `{"id": 7, "name":"<Ann>"}`,
		`omit: [lines.cost, owner.id, owner.name, id]`:  `{"name":"<Ann>", "owner": {}, "lines":[{"sku":"a"}, 3, {}], "note":null}`,
		`pick: [id, owner], omit: [owner.id]`:           `{"id": 7, "owner": {"name":"Bob"}}`,
		`payload: response.body.owner, pick: [id]`:      `{"id":5}`,
		`payload: {c: "{response.body}"}, pick: [c.id]`: `{"c":{"id": 7}}`,
		`payload: response.body.id, pick: [id]`:         `omitted:missing`,
	} {
		runCases(t, rule("resource: response.body.id, "+options), []exchangeCase{
			{options, post, "{}", answering(201, asJSON, contact), "contact.saved 42/7 " + want},
		})
	}
}

func TestWhatIsOmittedIsNotCalledRedacted(t *testing.T) {
	s, p := capturing(t, rule("omit: owner"), serve(t, created(contact)), nil)
	s.do(t, post, "{}")
	if e := p.one(t); len(e.Redacted) != 0 {
		t.Errorf("redacted %v", e.Redacted)
	}
}

func TestAMergedPayloadIsRequestAndResponseInOne(t *testing.T) {
	const merge = "merge: [request.body, response.body], resource: response.body.objectId"
	stored := answering(201, asJSON, `{"objectId": "x1", "createdAt":"now"}`)
	runCases(t, rule(merge), []exchangeCase{
		{"both", post, `{"name": "<Ann>", "n":1.0}`, stored, `contact.saved 42/x1 {"name":"<Ann>","n":1.0,"objectId":"x1","createdAt":"now"}`},
		{"the later counts", post, `{"createdAt":"then","a":[ ]}`, stored, `contact.saved 42/x1 {"createdAt":"now","a":[ ],"objectId":"x1"}`},
		{"secrets", post, `{"password":"p","a":1}`, stored, `contact.saved 42/x1 {"a":1,"objectId":"x1","createdAt":"now"}`},
		{"only the response", post, "", stored, `contact.saved 42/x1 {"objectId":"x1","createdAt":"now"}`},
		{"a list", post, "[1]", stored, "contact.saved 42/x1 omitted:not_an_object"},
		{"a broken answer", post, "{}", answering(201, asJSON, `{`), "contact.saved 42/ omitted:not_json parked:resource_unknown"},
	})
	runCases(t, rule("merge: [request.body, response.body], resource: request.header.X-Id"), []exchangeCase{
		{"only the request", put + "\nX-Id: 7", `{"a":1}`, answering(204, "", ""), `contact.saved 42/7 {"a":1}`},
		{"nothing", put + "\nX-Id: 7", "", answering(204, "", ""), "contact.saved 42/7 omitted:missing"},
	})
	runCases(t, rule(merge+", pick: [objectId]"), []exchangeCase{
		{"picked", post, `{"a":1}`, stored, `contact.saved 42/x1 {"objectId":"x1"}`},
	})
}

func TestAThinPayloadIsTheResourcesIDAndURL(t *testing.T) {
	const resource = "resources: {contact: {path: /v1/contacts, payload: thin}}"
	runCases(t, resource, []exchangeCase{
		{"created", "POST /v1/contacts", "{}", answering(201, asJSON, `{"id":7,"secret":"s"}`), `contact.create 42/7 {"id":"7","url":"/v1/contacts/7"}`},
		{"created, oddly spelt", "POST /v1//./contacts/", "{}", answering(201, asJSON, `{"id":"a b/c"}`), `contact.create 42/a b/c {"id":"a b/c","url":"/v1/contacts/a%20b%2Fc"}`},
		{"created at a Location", "POST /v1/contacts", "{}", answering(201, "Location: http://internal/v1/people/8", ""), `contact.create 42/8 {"id":"8","url":"/v1/people/8"}`},
		{"updated", "PUT /v1/contacts/7", "{}", answering(204, "", ""), `contact.update 42/7 {"id":"7","url":"/v1/contacts/7"}`},
		{"nobody knows what", "POST /v1/contacts", "{}", answering(204, "", ""), "contact.create 42/ omitted:missing parked:resource_unknown"},
	})
	runCases(t, "rules: [{on: 'POST /deals/{id}/close', emit: deal.closed, payload: thin}]", []exchangeCase{
		{"an action", "POST /deals/7/close", "{}", answering(204, "", ""), `deal.closed 42/7 {"id":"7","url":null}`},
	})
}

func TestAThinURLIsTheClientsNotTheUpstreams(t *testing.T) {
	upstream := serve(t, answering(201, "Location: /base/contacts/7", ""))
	upstream.Path = "/base"
	s, p := capturing(t, "resources: {contact: {path: /contacts, payload: thin}}", upstream, nil)
	s.do(t, post, "{}")
	if got, want := showEvent(p.one(t)), `contact.create 42/7 {"id":"7","url":"/contacts/7"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

package rules

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEventsAreDescribedAsTheFileSays(t *testing.T) {
	file := parsed(t, `
resources: {contact: /contacts}
rules:
  - {on: "POST /import", emit: contact.create}
  - {on: "POST /import", emit: contact.create, when: {query.x: y}}
  - {on: "POST /try", emit: contact.create, mode: observe}
events:
  contact.create:
    description: A contact
    example: {id: 12345678901234567890, when: 2020-01-01, html: "<b>", list: [1.50, null, yes, "{path.id}"]}
    schema: {type: object, properties: {id: {type: integer}}, required: [id]}
  contact.delete:
`)
	about, routes := file.About("contact.create")
	if about.Description != "A contact" || string(about.Schema) != `{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"]}` ||
		string(about.Example) != `{"id":12345678901234567890,"when":"2020-01-01","html":"<b>","list":[1.50,null,"yes","{path.id}"]}` {
		t.Errorf("about is %q, %s, %s", about.Description, about.Example, about.Schema)
	}
	if diff := cmp.Diff([]Route{{"POST", "/contacts"}, {"POST", "/import"}}, routes); diff != "" {
		t.Error(diff)
	}
	about, routes = file.About("contact.update")
	if !cmp.Equal(about, EventAbout{}) || len(routes) != 2 {
		t.Errorf("about is %+v, by %v", about, routes)
	}
}

package rules

import (
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	"gopkg.in/yaml.v3"
)

// maxID bounds a user's or resource's id in bytes: both become parts of keys
// and headers.
const maxID = 512

// owner is whose event it is. Its zero value is the caller.
type owner struct {
	fixed  string
	source *source // nil: fixed, or else the caller
}

func (o owner) caller() bool { return o.fixed == "" && o.source == nil }

// String shows the owner in a table.
func (o owner) String() string {
	switch {
	case o.source != nil:
		return o.source.text
	case o.fixed != "":
		return "fixed " + o.fixed
	}
	return "caller"
}

const expectedOwner = "caller, a source in the response such as response.body.owner_id, a path parameter such as path.account, or {fixed: id}"

var fixedSection = section{
	need: []string{"fixed"},
	keys: []option{{"fixed", identifier{}, "The user's id.", nil}},
}

// ownerPlaces are where the API or the route says whose event it is.
var ownerPlaces = places{pathParam, responseHeader, responseBody, callerUser, eachItem, fetchedBody, previousBody}

// owner reads the option user.
func (p *parser) owner(n *yaml.Node) owner {
	if n.Kind == yaml.MappingNode {
		fixed := p.options(n, "user", fixedSection)["fixed"]
		if fixed == nil {
			return owner{}
		}
		return owner{fixed: p.fixedUser(fixed, "user.fixed")}
	}
	written, ok := p.text(n, "user", expectedOwner)
	if !ok || written == "caller" {
		return owner{}
	}
	s, ok := p.source(n, "user", written)
	if !ok {
		return owner{}
	}
	p.storable(n, "user", s)
	switch {
	case s.kind == callerUser:
		return owner{}
	case s.kind == responseStatus:
		p.mistake(n, "user: expected %s, found %s", expectedOwner, s.text)
	case !ownerPlaces.has(s.kind):
		p.mistake(n, "user: expected %s, found %s: the caller writes that, and could send events to anyone's subscribers", expectedOwner, s.text)
	}
	return owner{source: &s}
}

// id answers a value as the id of a user or resource: a non-empty text or a
// whole number, as text. Anything else has none. It does not share the body's memory,
// which an event may outlive.
func id(value gjson.Result) (string, bool) {
	found := value.Str
	if value.Type == gjson.Number {
		found = strings.TrimSpace(value.Raw)
	}
	if value.Type != gjson.String && (value.Type != gjson.Number || !isInteger(found)) || !isUser(found) {
		return "", false
	}
	return strings.Clone(found), true
}

// isUser refuses ids that are too long, or whose bytes would not come out of a
// JSON header as they went in, so that two of them might become one.
func isUser(text string) bool {
	return text != "" && len(text) <= maxID && !strings.ContainsRune(text, utf8.RuneError)
}

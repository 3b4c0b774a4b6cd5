package rules

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
	"gopkg.in/yaml.v3"
)

// condition is one entry of when: a source and a test of its value.
type condition struct {
	source   source
	previous *source // what it is compared with, where it is
	test     test
	shown    string // much as it was written
}

// test judges a value, which does not exist where nothing stands at the source.
// previous is what stood there before, for a test that compares.
type test func(value, previous gjson.Result) bool

const expectedTest = "a value, a list of values, {not: …}, {exists: true|false}, {changed: true|false} or {matches: a regular expression}"

var operatorSection = section{
	some: true,
	keys: []option{
		{"not", defined("test"), "The test does not hold.", nil},
		{"exists", truth{}, "Whether there is a value.", nil},
		{"changed", truth{}, "Whether the value is another than before; with fetch: before.", nil},
		{"matches", anyText, "The value is a text that matches this regular expression (RE2), anywhere in it.", nil},
	},
}

// conditions reads the option when: all of them must hold.
func (p *parser) conditions(n *yaml.Node) []condition {
	var all []condition
	entries := p.entries(n, "when")
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		p.mistake(n, "when: expected at least one source, found an empty map")
	}
	for _, e := range entries {
		if s, ok := p.source(e.key, "when", e.key.Value); ok {
			c := condition{source: s, test: p.test(e.value, s), shown: s.text + ": " + inline(e.value)}
			if mentions(e.value, "changed") {
				c.previous = &source{text: "previous", kind: previousBody, path: s.path}
			}
			all = append(all, c)
		}
	}
	return all
}

func (p *parser) test(n *yaml.Node, s source) test {
	if n.Kind == yaml.MappingNode {
		return p.operators(n, s)
	}
	var wanted []gjson.Result
	for _, item := range p.list(n, "when") {
		if item.Kind != yaml.ScalarNode {
			p.mistake(item, "when: expected %s, found %s", expectedTest, describe(item))
			continue
		}
		p.comparable(item, s)
		wanted = append(wanted, gjson.Parse(p.scalarJSON(item, "when")))
	}
	return func(value, _ gjson.Result) bool {
		for _, w := range wanted {
			if equal(value, w) {
				return true
			}
		}
		return false
	}
}

// comparable refuses a value that can never be equal to what stands at s.
func (p *parser) comparable(n *yaml.Node, s source) {
	switch tag := n.ShortTag(); {
	case s.textual() && tag != "!!str" && tag != "!!timestamp":
		p.mistake(n, "when: %s is always a text, expected %q, found %s", s.text, n.Value, describe(n))
	case s.kind == responseStatus && tag != "!!int":
		p.mistake(n, "when: response.status is a number, expected one such as 201, found %s", describe(n))
	}
}

// operators reads a map of operators, all of which must hold.
func (p *parser) operators(n *yaml.Node, s source) test {
	var all []test
	if len(n.Content) == 0 {
		p.mistake(n, "when: expected %s, found an empty map", expectedTest)
	}
	for operator, value := range p.options(n, "when: "+s.text, operatorSection) {
		switch operator {
		case "not":
			inner := p.test(value, s)
			all = append(all, func(v, previous gjson.Result) bool { return !inner(v, previous) })
		case "exists":
			wanted := p.truth(value, "when: exists")
			all = append(all, func(v, _ gjson.Result) bool { return v.Exists() == wanted })
		case "changed":
			all = append(all, p.changed(value, s))
		case "matches":
			all = append(all, p.matches(value, s))
		}
	}
	return func(value, previous gjson.Result) bool {
		for _, holds := range all {
			if !holds(value, previous) {
				return false
			}
		}
		return true
	}
}

// changed compares what the API answers with what it answered before.
func (p *parser) changed(n *yaml.Node, s source) test {
	if s.kind != responseBody && s.kind != fetchedBody {
		p.mistake(n, "when: changed: expected a source in response.body or fetched, found %s", s.text)
	}
	if !p.scope.fetch.before {
		p.mistake(n, "when: changed: expected fetch: before beside it, to compare with")
	}
	wanted := p.truth(n, "when: changed")
	return func(v, previous gjson.Result) bool { return same(v, previous) != wanted }
}

// mentions reports whether a test has an operator, however deep.
func mentions(n *yaml.Node, operator string) bool {
	if n.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == operator || mentions(n.Content[i+1], operator) {
			return true
		}
	}
	return false
}

func (p *parser) matches(n *yaml.Node, s source) test {
	if s.kind == responseStatus {
		p.mistake(n, "when: matches: expected a source that can be a text, found response.status")
	}
	written, ok := p.text(n, "when: matches", "a regular expression")
	if !ok {
		return nil
	}
	re, err := compileBounded(written)
	if err != nil {
		p.mistake(n, "when: matches: %v", err)
		return nil
	}
	return func(v, _ gjson.Result) bool { return v.Type == gjson.String && re.MatchString(v.Str) }
}

// equal compares two JSON values of a simple type as JSON: 1 is not "1", and
// null is not absent. Numbers are equal by value, whole ones exactly.
func equal(a, b gjson.Result) bool {
	if !a.Exists() || a.Type != b.Type {
		return false
	}
	switch a.Type {
	case gjson.String:
		return a.Str == b.Str
	case gjson.Number:
		return equalNumbers(strings.TrimSpace(a.Raw), strings.TrimSpace(b.Raw))
	case gjson.JSON:
		return false
	}
	return true // the type is the value: null, true, false
}

// maxCompared is how deep two values are compared member by member: each level
// costs a pass over what is below it. Deeper down, every byte counts.
const maxCompared = 32

// same compares two JSON values of any type, or their absence. The order of an
// object's members and how a value is written make no difference.
func same(a, b gjson.Result) bool { return sameTo(maxCompared, a, b) }

func sameTo(depth int, a, b gjson.Result) bool {
	below := func(a, b gjson.Result) bool { return sameTo(depth-1, a, b) }
	switch {
	case !a.Exists() || !b.Exists():
		return a.Exists() == b.Exists()
	case a.Raw == b.Raw:
		return true
	case depth == 0:
		return false
	case a.IsArray() && b.IsArray():
		return slices.EqualFunc(a.Array(), b.Array(), below)
	case a.IsObject() && b.IsObject():
		return maps.EqualFunc(members(a), members(b), below)
	}
	return equal(a, b)
}

// members answers an object's, the last of each key.
func members(object gjson.Result) map[string]gjson.Result {
	all := make(map[string]gjson.Result)
	object.ForEach(func(key, value gjson.Result) bool {
		all[key.Str] = value
		return true
	})
	return all
}

func equalNumbers(a, b string) bool {
	if a == b {
		return true
	}
	if isInteger(a) && isInteger(b) && a != "-0" && b != "-0" {
		return false
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && x == y
}

// isInteger reports whether a text is a whole number as JSON writes it.
func isInteger(raw string) bool {
	digits := strings.TrimPrefix(raw, "-")
	if digits == "" || digits[0] == '0' && digits != "0" {
		return false
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return false
		}
	}
	return true
}

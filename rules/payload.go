package rules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/hookproxy/hookproxy/events"
)

// payload is what an event's data is made of: a source, whose raw JSON is
// taken as it is; the objects of several sources in one; a template; or, thin,
// the resource's id and URL. And what of it goes out.
type payload struct {
	source   *source
	merge    []source
	template []payloadPart
	thin     bool
	view     view
}

// payloadPart is one of: literal JSON, a source whose JSON is spliced in, a
// text that becomes a JSON string.
type payloadPart struct {
	literal string
	source  *source
	text    text
}

func (p payload) sources() []source {
	if p.source != nil {
		return []source{*p.source}
	}
	all := slices.Clone(p.merge)
	for _, part := range p.template {
		if part.source != nil {
			all = append(all, *part.source)
		}
		all = append(all, part.text.sources()...)
	}
	return all
}

// String shows the payload in a table.
func (p payload) String() string {
	switch {
	case p.source != nil:
		return p.source.text
	case p.merge != nil:
		return joined(p.merge, " + ")
	case p.thin:
		return "thin"
	}
	var b strings.Builder
	for _, part := range p.template {
		b.WriteString(part.literal)
		if part.source != nil {
			b.WriteString(part.source.text)
		}
		if part.text != nil {
			b.WriteString(`"` + part.text.String() + `"`)
		}
	}
	return b.String()
}

// payload reads the options payload or merge, pick and omit into o.
func (p *parser) payload(values map[string]*yaml.Node, o *options) {
	n, merge := values["payload"], values["merge"]
	if n != nil {
		o.payload = p.payloadOf(n)
	}
	if merge != nil {
		if n != nil {
			p.mistake(merge, "merge: expected no payload beside it: it is one")
		}
		o.payload = payload{merge: p.merge(merge)}
	}
	for _, what := range []string{"pick", "omit"} {
		if n := values[what]; n != nil && o.payload.thin {
			p.mistake(n, "%s: expected no payload: thin beside it, which is two keys only", what)
		}
	}
	if n := values["pick"]; n != nil {
		o.payload.view.picking, o.payload.view.pick = true, p.keys(n, "pick")
	}
	if n := values["omit"]; n != nil {
		o.payload.view.omit = p.keys(n, "omit")
	}
}

func (p *parser) payloadOf(n *yaml.Node) payload {
	if n.Kind == yaml.MappingNode {
		t := &templateBuilder{parser: p}
		t.value(n)
		t.flush()
		return payload{template: t.parts}
	}
	written, ok := p.text(n, "payload", "a source such as response.body.data, thin, or a map as template")
	if !ok {
		return payload{}
	}
	if written == "thin" {
		return payload{thin: true}
	}
	s, ok := p.source(n, "payload", written)
	if !ok {
		return payload{}
	}
	p.storable(n, "payload", s)
	return payload{source: &s}
}

// merge reads the sources of several objects. A text has no members.
func (p *parser) merge(n *yaml.Node) []source {
	const expected = "at least two sources of objects, such as [request.body, response.body]"
	var all []source
	for _, item := range p.list(n, "merge") {
		written, ok := p.text(item, "merge", expected)
		if !ok {
			continue
		}
		s, ok := p.source(item, "merge", written)
		if ok && !mergePlaces.has(s.kind) {
			p.mistake(item, "merge: expected %s, found %s", expected, quoted(written))
		}
		p.storable(item, "merge", s)
		all = append(all, s)
	}
	if len(all) < 2 {
		p.mistake(n, "merge: expected %s, found %s", expected, describe(n))
	}
	return all
}

// templateBuilder turns a YAML map into the parts of a payload template.
type templateBuilder struct {
	*parser
	literal bytes.Buffer
	parts   []payloadPart
}

func (t *templateBuilder) flush() {
	if t.literal.Len() > 0 {
		t.parts = append(t.parts, payloadPart{literal: t.literal.String()})
		t.literal.Reset()
	}
}

func (t *templateBuilder) value(n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		t.literal.WriteByte('{')
		for i, e := range t.entries(n, "payload") {
			t.separate(i)
			t.keyed(e.key)
			t.literal.WriteString(quoteJSON(e.key.Value))
			t.literal.WriteByte(':')
			t.value(e.value)
		}
		t.literal.WriteByte('}')
	case yaml.SequenceNode:
		t.literal.WriteByte('[')
		for i, item := range n.Content {
			t.separate(i)
			t.value(item)
		}
		t.literal.WriteByte(']')
	default:
		t.scalar(n)
	}
}

func (t *templateBuilder) separate(i int) {
	if i > 0 {
		t.literal.WriteByte(',')
	}
}

func (t *templateBuilder) scalar(n *yaml.Node) {
	if n.ShortTag() != "!!str" {
		t.literal.WriteString(t.scalarJSON(n, "payload"))
		return
	}
	text, err := parseText(n.Value)
	if err != nil {
		t.mistake(n, "payload: %v", err)
		return
	}
	for _, s := range text.sources() {
		t.inScope(n, "payload", s)
		t.storable(n, "payload", s)
	}
	switch {
	case text.whole() != nil:
		t.flush()
		t.parts = append(t.parts, payloadPart{source: text.whole()})
	case len(text.sources()) > 0:
		t.flush()
		t.parts = append(t.parts, payloadPart{text: text})
	default:
		literal := ""
		for _, part := range text {
			literal += part.literal
		}
		t.literal.WriteString(quoteJSON(literal))
	}
}

// scalarJSON answers a YAML scalar as JSON, numbers as they are written where
// JSON writes them alike, so that big ones keep every digit.
func (p *parser) scalarJSON(n *yaml.Node, what string) string {
	switch n.ShortTag() {
	case "!!null":
		return "null"
	case "!!bool", "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return n.Value
		}
		var value any
		if err := n.Decode(&value); err == nil {
			if raw, err := json.Marshal(value); err == nil {
				return string(raw)
			}
		}
		p.mistake(n, "%s: expected a value that JSON has too, found %s", what, describe(n))
		return "null"
	default:
		return quoteJSON(n.Value)
	}
}

// quoteJSON answers a text as a JSON string, without escaping < > & as
// json.Marshal does: receivers compare and show these payloads.
func quoteJSON(s string) string {
	if events.IsPlain(s) {
		return `"` + s + `"` // as most are, and without reflection
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		panic(fmt.Sprintf("rules: a string is always JSON: %v", err))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

package rules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// payload is what an event's data is made of: a source, whose raw JSON is
// taken as it is, or a template.
type payload struct {
	source   *source
	template []payloadPart
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
	var all []source
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
	if p.source != nil {
		return p.source.text
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

// payload reads the option payload.
func (p *parser) payload(n *yaml.Node) payload {
	if n.Kind == yaml.MappingNode {
		t := &templateBuilder{parser: p}
		t.value(n)
		t.flush()
		return payload{template: t.parts}
	}
	written, ok := p.text(n, "payload", "a source such as response.body.data, or a map as template")
	if !ok {
		return payload{}
	}
	s, ok := p.source(n, "payload", written)
	if !ok {
		return payload{}
	}
	p.storable(n, "payload", s)
	return payload{source: &s}
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
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		panic(fmt.Sprintf("rules: a string is always JSON: %v", err))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

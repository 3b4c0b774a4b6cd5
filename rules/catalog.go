package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

// Bounds of what may be said about events. They stand in every answer that lists
// events, and in the OpenAPI document.
const (
	maxAbout   = 1000      // characters of a description
	maxExample = 16 << 10  // bytes of an example or a schema, as JSON
	maxCatalog = 512 << 10 // bytes of all of them
)

// eventNames are names of events, as emit has them.
const eventNames = `^[a-z0-9_]+(\.[a-z0-9_]+)+$`

var aboutSection = section{
	about: "What subscribers are told about an event.",
	keys: []option{
		{"description", matched(""), "For people.", nil},
		{"example", anyMap{}, "What its data looks like; it stands in for a user's own latest events where there are none yet.", nil},
		{"schema", oneKind{anyMap{}, truth{}}, "A JSON Schema of its data (draft 2020-12), on its own: no $ref.", nil},
	},
}

// EventAbout is what the section events says about one event.
type EventAbout struct {
	// Description is for people. Empty where there is none.
	Description string
	// Example is what its data looks like, and Schema a JSON Schema of it (draft
	// 2020-12). Nil where there is none.
	Example, Schema json.RawMessage
}

// Route is a method and a path template, as a rule has them.
type Route struct{ Method, Path string }

// About answers what the file says about an event, in words and by its rules: the
// routes that publish it, each once, in the file's order.
func (f *File) About(event string) (EventAbout, []Route) {
	var routes []Route
	for _, rule := range f.Rules {
		route := Route{rule.Method, rule.Path}
		if !rule.Observed() && slices.Contains(rule.Events, event) && !slices.Contains(routes, route) {
			routes = append(routes, route)
		}
	}
	return f.about[event], routes
}

// catalog reads the section events. It comes after the rules, which emit them.
func (p *parser) catalog(n *yaml.Node, file *File) {
	emitted := file.Events()
	file.about = make(map[string]EventAbout)
	size := 0
	for _, e := range p.entries(n, "events") {
		name := e.key.Value
		if !slices.Contains(emitted, name) {
			p.mistake(e.key, "events: expected an event that some rule emits, found %s%s", quoted(name), suggestion(name, emitted))
			continue
		}
		if isNull(e.value) {
			continue
		}
		about := p.about(e.value, "events."+name)
		file.about[name] = about
		size += len(about.Description) + len(about.Example) + len(about.Schema)
	}
	if size > maxCatalog {
		p.mistake(n, "events: expected at most %d bytes of descriptions, examples and schemas together, found %d", maxCatalog, size)
	}
}

func (p *parser) about(n *yaml.Node, what string) (about EventAbout) {
	values := p.options(n, what, aboutSection)
	if v := values["description"]; v != nil {
		about.Description, _ = p.text(v, what+".description", "a text")
		if length := len([]rune(about.Description)); length > maxAbout {
			p.mistake(v, "%s.description: expected at most %d characters, found %d", what, maxAbout, length)
		}
	}
	if v := values["example"]; v != nil && v.Kind != yaml.MappingNode {
		p.mistake(v, "%s.example: expected a map, found %s", what, describe(v))
	} else if v != nil {
		about.Example = p.literal(v, what+".example")
	}
	v := values["schema"]
	if v == nil {
		return about
	}
	if about.Schema = p.literal(v, what+".schema"); about.Schema == nil {
		return about
	}
	schema, err := compileSchema(about.Schema)
	if err != nil {
		p.mistake(v, "%s.schema: expected a JSON Schema (draft 2020-12), but %s", what, oneLine(err))
		return about
	}
	if about.Example != nil {
		if err := describes(schema, about.Example); err != nil {
			p.mistake(values["example"], "%s.example: expected what its schema describes, but %s", what, oneLine(err))
		}
	}
	return about
}

// literal answers a YAML value as JSON, or nil and a mistake.
func (p *parser) literal(n *yaml.Node, what string) json.RawMessage {
	before := len(p.mistakes)
	var b bytes.Buffer
	p.writeJSON(&b, n, what)
	if b.Len() > maxExample {
		p.mistake(n, "%s: expected at most %d bytes as JSON, found %d", what, maxExample, b.Len())
	}
	if len(p.mistakes) > before {
		return nil
	}
	return b.Bytes()
}

func (p *parser) writeJSON(b *bytes.Buffer, n *yaml.Node, what string) {
	switch n.Kind {
	case yaml.MappingNode:
		b.WriteByte('{')
		for i, e := range p.entries(n, what) {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(quoteJSON(e.key.Value) + ":")
			p.writeJSON(b, e.value, what)
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			p.writeJSON(b, item, what)
		}
		b.WriteByte(']')
	default:
		b.WriteString(p.scalarJSON(n, what))
	}
}

// elsewhere are the keywords by which one schema means another. In the OpenAPI
// document a schema stands in another place than here, where they would mean
// something else, or nothing.
var elsewhere = []string{"$ref", "$dynamicRef", "$id", "$anchor", "$dynamicAnchor", "$schema"}

// compileSchema answers a schema that stands on its own.
func compileSchema(source []byte) (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(source))
	if err != nil {
		return nil, err
	}
	if keyword := refersElsewhere(document); keyword != "" {
		return nil, fmt.Errorf("found %s; write out what it stands for", keyword)
	}
	const name = "schema"
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(nowhere{})
	if err := compiler.AddResource(name, document); err != nil {
		return nil, err
	}
	return compiler.Compile(name)
}

// refersElsewhere answers a keyword of those, wherever it stands, or "". In
// properties such a name would be one of the data's, which none is worth having.
func refersElsewhere(value any) string {
	switch value := value.(type) {
	case map[string]any:
		for _, keyword := range elsewhere {
			if _, found := value[keyword]; found {
				return keyword
			}
		}
		for _, below := range value {
			if keyword := refersElsewhere(below); keyword != "" {
				return keyword
			}
		}
	case []any:
		for _, below := range value {
			if keyword := refersElsewhere(below); keyword != "" {
				return keyword
			}
		}
	}
	return ""
}

// nowhere loads no schemas: rules are read without I/O.
type nowhere struct{}

func (nowhere) Load(string) (any, error) { return nil, errors.New("schemas are not fetched") }

func describes(schema *jsonschema.Schema, example []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(example))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// oneLine answers the innermost of what a schema says is wrong.
func oneLine(err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(lines[len(lines)-1]), "- "))
}

package rules

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// schema is a JSON Schema or a part of one.
type schema map[string]any

// Schema answers the JSON Schema (draft 2020-12) of a rules file, which editors
// complete and check by. It is made of what the parser reads by. What it refuses
// Parse refuses too; what depends on more than one place only Parse can see.
func Schema() []byte {
	root := fileSection.schema()
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "hookproxy's rules.yaml"
	sections := root["properties"].(schema)
	for _, o := range fileSection.keys {
		sections[o.key] = o.described(oneKind{o.kind, nothing{}}.schema())
	}
	root["$defs"] = definitions()
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(root); err != nil {
		panic(fmt.Sprintf("rules: a schema is always JSON: %v", err))
	}
	return b.Bytes()
}

// definitions are what stands in several places, by name.
func definitions() schema {
	test := oneKind{scalar{}, several{scalar{}}, operatorSection}.schema()
	test["description"] = "A value, a list of values (any of them), or operators, all of which must hold."
	all := schema{"test": test}
	for _, o := range sharedOptions {
		all[o.key] = o.schema()
	}
	return all
}

func (s section) schema() schema {
	properties := make(schema)
	for _, o := range s.keys {
		properties[o.key] = o.schema()
	}
	for _, o := range s.shared {
		properties[o.key] = defined(o.key).schema()
	}
	object := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if s.about != "" {
		object["description"] = s.about
	}
	if len(s.need) > 0 {
		object["required"] = s.need
	}
	if len(s.either) > 0 {
		object["allOf"] = s.choices()
	}
	if s.size > 0 {
		object["minProperties"], object["maxProperties"] = s.size, s.size
	}
	if s.some {
		object["minProperties"] = 1
	}
	for _, o := range s.keys {
		if o.key == s.short {
			return schema{"anyOf": []schema{o.schema(), object}}
		}
	}
	return object
}

func (s section) choices() []schema {
	var all []schema
	for _, c := range s.either {
		all = append(all, schema{"oneOf": []schema{{"required": []string{c.one}}, {"required": []string{c.other}}}})
	}
	return all
}

func (o option) schema() schema { return o.described(o.kind.schema()) }

// described puts the option's own description on the schema of its kind.
func (o option) described(s schema) schema {
	s["description"] = o.about
	if o.otherwise != nil {
		s["default"] = o.otherwise
	}
	return s
}

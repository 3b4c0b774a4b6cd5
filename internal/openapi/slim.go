package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

// Bounds of what a file's text stands for.
const (
	maxDepth  = 200       // maps and lists within each other
	maxValues = 4_000_000 // once aliases are written out
)

var errDepth = fmt.Errorf("expected at most %d maps and lists within each other", maxDepth)

// slimmed reads JSON or YAML without what rules have no use for: examples,
// texts, bounds of values. That is most of a large document, some of it in forms
// that no OpenAPI has, and not worth failing for. named says that the keys at
// the top are names.
func slimmed(source []byte, named bool) (any, error) {
	plain, err := plainJSON(source)
	if err != nil {
		plain, err = plainYAML(source)
	}
	if err != nil {
		return nil, err
	}
	return slim(plain, named, 0)
}

func plainJSON(source []byte) (plain any, err error) {
	if first := bytes.TrimLeft(source, "\ufeff \t\r\n"); len(first) == 0 || first[0] != '{' {
		return nil, errors.New("not JSON")
	}
	return plain, json.Unmarshal(bytes.TrimPrefix(source, []byte("\ufeff")), &plain)
}

// plainYAML reads YAML as if it were JSON: all keys are texts. A panic of the
// library is an error like any other.
func plainYAML(source []byte) (plain any, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			plain, err = nil, fmt.Errorf("not YAML: %v", panicked)
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("expected an OpenAPI document, found an empty file")
	case err != nil:
		return nil, fmt.Errorf("neither JSON nor YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("expected one YAML document, found another one after it")
	}
	return (&unfolding{left: maxValues}).value(&document, 0)
}

// unfolding writes aliases out, within bounds: a few lines of them can stand for
// billions of values.
type unfolding struct{ left int }

func (u *unfolding) value(n *yaml.Node, depth int) (any, error) {
	if u.left--; u.left < 0 {
		return nil, fmt.Errorf("line %d: expected at most %d values once aliases are written out", n.Line, maxValues)
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("line %d: %w", n.Line, errDepth)
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return u.value(n.Content[0], depth)
	case yaml.AliasNode:
		return u.value(n.Alias, depth+1)
	case yaml.SequenceNode:
		all := make([]any, len(n.Content))
		for i, item := range n.Content {
			var err error
			if all[i], err = u.value(item, depth+1); err != nil {
				return nil, err
			}
		}
		return all, nil
	case yaml.MappingNode:
		return u.members(n, depth)
	}
	return scalar(n), nil
}

func (u *unfolding) members(n *yaml.Node, depth int) (any, error) {
	all := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		below, err := u.value(value, depth+1)
		if err != nil {
			return nil, err
		}
		if key.ShortTag() != "!!merge" {
			all[key.Value] = below
			continue
		}
		merged, _ := below.(map[string]any)
		for name, value := range merged {
			if _, own := all[name]; !own {
				all[name] = value
			}
		}
	}
	return all, nil
}

func scalar(n *yaml.Node) (value any) {
	switch n.ShortTag() {
	case "!!null", "!!bool", "!!int":
		if n.Decode(&value) == nil {
			return value
		}
	case "!!float":
		var number float64
		if err := n.Decode(&number); err == nil && json.Valid([]byte(n.Value)) {
			return number
		}
	}
	return n.Value
}

// noise are keys of OpenAPI objects that say nothing about rules.
var noise = map[string]bool{
	"example": true, "examples": true, "externalDocs": true, "tags": true, "callbacks": true, "webhooks": true, "links": true,
	"security": true, "discriminator": true, "xml": true, "default": true, "enum": true, "const": true, "pattern": true, "title": true,
	"minimum": true, "maximum": true, "exclusiveMinimum": true, "exclusiveMaximum": true, "multipleOf": true,
	"minLength": true, "maxLength": true, "minItems": true, "maxItems": true, "minProperties": true, "maxProperties": true,
	"uniqueItems": true, "contentMediaType": true, "contentEncoding": true, "$comment": true, "$id": true, "$schema": true,
}

// namedMaps are keys of maps whose own keys are names that somebody chose: a
// property called example is none.
var namedMaps = map[string]bool{
	"properties": true, "patternProperties": true, "schemas": true, "definitions": true, "$defs": true, "responses": true,
	"paths": true, "content": true, "headers": true, "parameters": true, "requestBodies": true, "pathItems": true,
}

// whole are keys of what is small and stays as it is.
var whole = map[string]bool{"info": true, "servers": true, "securitySchemes": true, "securityDefinitions": true}

// slim leaves noise out of a value, in place.
func slim(value any, named bool, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	var err error
	switch value := value.(type) {
	case []any:
		for i := range value {
			if value[i], err = slim(value[i], false, depth+1); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for key, below := range value {
			switch _, text := below.(string); {
			case named && key == "$ref" && text:
				delete(value, key) // where bundling tools take it and OpenAPI does not
			case !named && (noise[key] || strings.HasPrefix(key, "x-") || key == "description" && !text):
				delete(value, key)
			case named || !whole[key]:
				if value[key], err = slim(below, !named && namedMaps[key], depth+1); err != nil {
					return nil, err
				}
			}
		}
	}
	return value, nil
}

// kindOf names what a value is, for people.
func kindOf(plain any) string {
	switch plain.(type) {
	case []any:
		return "a list"
	case nil:
		return "nothing"
	case string:
		return "a text"
	}
	return "another value"
}

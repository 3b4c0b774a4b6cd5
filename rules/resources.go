package rules

import (
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// verbs are what a resource's line stands for. item is what stands behind the
// resource's path.
var verbs = []struct {
	name, item string
	methods    []string
}{
	{"create", "", []string{"POST"}},
	{"update", "/{id}", []string{"PUT", "PATCH"}},
	{"delete", "/{id}", []string{"DELETE"}},
}

var verbNames = []string{"create", "update", "delete"}

var resourceName = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)*$`)

func (p *parser) resources(n *yaml.Node, file *File) {
	for _, e := range p.entries(n, "resources") {
		if !resourceName.MatchString(e.key.Value) || len(e.key.Value) > 64 {
			p.mistake(e.key, "resources: expected a name such as contact (a-z, 0-9, _ and dots), found %s", quoted(e.key.Value))
			continue
		}
		p.resourceEntry(e, file)
	}
}

// resourceEntry expands one line of resources. Its options hold for all its
// verbs, but payload and resource for create and update only: what is deleted
// has left nothing in the answer, so contact.delete carries {"id": "…"}, the id
// from the path as a text, whatever the API answers. A receiver can rely on that.
func (p *parser) resourceEntry(e entry, file *File) {
	path, values := p.resourcePath(e)
	if path == "" {
		return
	}
	p.scope = scope{}
	collection, err := parseTemplate(path)
	if err != nil {
		p.mistake(e.value, "resources: %s: %v", e.key.Value, err)
		return
	}
	if slices.Contains(collection.names, "id") {
		p.mistake(e.value, "resources: %s: expected a path without {id}, which stands for the resource's own id behind it, found %s", e.key.Value, quoted(path))
		return
	}
	only := p.only(values["only"], values)
	p.scope.templates = []*template{collection}
	o := p.rest(values)
	for _, verb := range verbs {
		if !slices.Contains(only, verb.name) {
			continue
		}
		full := strings.TrimSuffix(path, "/") + verb.item
		t, err := parseTemplate(full)
		if err != nil {
			p.mistake(e.value, "resources: %s: %v", e.key.Value, err)
			return
		}
		own := *o
		if verb.name == "delete" {
			own.payload, own.resource = deleted()
		}
		own.emit = text{{literal: e.key.Value + "." + verb.name}}
		emit := &yaml.Node{Value: e.key.Value + "." + verb.name, Line: e.key.Line, Column: e.key.Column}
		for _, method := range verb.methods {
			expanded := p.expand(e.key, emit, []route{{method, full, t}}, &own)
			for _, rule := range expanded {
				rule.collection = verb.item == ""
			}
			file.Rules = append(file.Rules, expanded...)
		}
	}
}

// deleted answers payload and resource of a resource's delete.
func deleted() (payload, *source) {
	id := &source{text: "path.id", kind: pathParam, name: "id"}
	return payload{template: []payloadPart{{literal: `{"id":`}, {source: id}, {literal: `}`}}}, id
}

// resourcePath answers the path and the options of one line.
func (p *parser) resourcePath(e entry) (string, map[string]*yaml.Node) {
	what := "resources: " + e.key.Value
	const expected = "a path such as /contacts"
	if e.value.Kind != yaml.MappingNode {
		path, _ := p.text(e.value, what, expected+", or a map with the key path")
		return path, nil
	}
	values := p.options(e.value, what, "path", "only", "status", "when", "user", "payload", "merge", "pick", "omit", "resource", "keep")
	if values["path"] == nil {
		p.mistake(e.value, "%s: expected the key path", what)
		return "", values
	}
	path, _ := p.text(values["path"], what+": path", expected)
	return path, values
}

// only answers the verbs that a resource has.
func (p *parser) only(n *yaml.Node, values map[string]*yaml.Node) []string {
	if n == nil {
		return verbNames
	}
	var only []string
	for _, item := range p.list(n, "only") {
		verb, ok := p.text(item, "only", "create, update or delete")
		if ok && !slices.Contains(verbNames, verb) {
			p.mistake(item, "only: expected create, update or delete, found %s%s", quoted(verb), suggestion(verb, verbNames))
		}
		only = append(only, verb)
	}
	for _, key := range []string{"payload", "merge", "pick", "omit", "resource"} {
		if values[key] != nil && !slices.Contains(only, "create") && !slices.Contains(only, "update") {
			p.mistake(values[key], "%s: expected create or update among only: a delete always carries the id from the path", key)
		}
	}
	return only
}

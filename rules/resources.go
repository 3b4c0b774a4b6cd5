package rules

import (
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// verb is one of the things that a resource's line stands for. item is what
// stands behind the resource's path.
type verb struct {
	name, item string
	methods    []string
}

var verbs = []verb{
	{"create", "", []string{"POST"}},
	{"update", "/{id}", []string{"PUT", "PATCH"}},
	{"delete", "/{id}", []string{"DELETE"}},
}

var verbNames = words{"create", "update", "delete"}

const resourceNames = `^[a-z0-9_]+(\.[a-z0-9_]+)*$`

var resourceName = regexp.MustCompile(resourceNames)

var resourceSection = section{
	about: "One resource with options. What the payload is made of and resource apply to create and update, and each to these only.",
	need:  []string{"path"},
	short: "path",
	keys: []option{
		{"path", pathKind, "The collection's path, such as /contacts. The resource's own id stands behind it.", nil},
		{"only", several{verbNames}, "Which of create, update and delete there are; all of them by default.", nil},
	},
	shared: sharedOptions,
}

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
	what := "resources: " + e.key.Value
	_, collections := p.templates(e.value, what, path)
	for _, t := range collections {
		if slices.Contains(t.names, "id") {
			p.mistake(e.value, "%s: expected a path without {id}, which stands for the resource's own id behind it, found %s", what, quoted(path))
			return
		}
	}
	p.scope = scope{templates: collections, each: values["each"] != nil}
	only := p.only(values["only"], values)
	o := p.rest(values)
	for _, verb := range verbs {
		if slices.Contains(only, verb.name) && collections != nil {
			full, templates := p.templates(e.value, what, strings.TrimSuffix(path, "/")+verb.item)
			for i, t := range templates {
				file.Rules = append(file.Rules, p.verb(e.key, verb, full[i], t, o)...)
			}
		}
	}
}

// verb answers the rules of one verb at one template.
func (p *parser) verb(name *yaml.Node, v verb, path string, t *template, o *options) []*Rule {
	own := *o
	switch v.name {
	case "create":
		own.fetch.before = false // there was nothing
	case "delete":
		own.payload, own.resource = deleted(o)
		own.fetch.after, own.fetch.later = false, false // there is nothing
	}
	event := name.Value + "." + v.name
	own.emit = text{{literal: event}}
	emit := &yaml.Node{Value: event, Line: name.Line, Column: name.Column}
	var routes []route
	for _, method := range v.methods {
		routes = append(routes, route{method, path, t})
	}
	expanded := p.expand(name, emit, routes, &own)
	for _, rule := range expanded {
		rule.collection = v.item == ""
	}
	return expanded
}

// deleted answers payload and resource of a resource's delete: what was there,
// where it was fetched.
func deleted(o *options) (payload, *source) {
	id := &source{text: "path.id", kind: pathParam, name: "id"}
	if o.fetch.before && !o.payload.thin {
		return payload{source: &source{text: "previous", kind: previousBody}, view: o.payload.view}, id
	}
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
	values := p.options(e.value, what, resourceSection)
	if values["path"] == nil {
		return "", values
	}
	path, _ := p.text(values["path"], what+": path", expected)
	return path, values
}

// only answers the verbs that a resource has.
func (p *parser) only(n *yaml.Node, values map[string]*yaml.Node) []string {
	only := verbNames
	if n != nil {
		only = p.verbNames(n)
	}
	if each := values["each"]; each != nil && slices.Contains(only, "delete") {
		p.mistake(each, "each: expected only: [create, update] beside it: a delete is of one resource")
	}
	for _, key := range []string{"payload", "merge", "pick", "omit", "resource"} {
		if values[key] != nil && !slices.Contains(only, "create") && !slices.Contains(only, "update") {
			p.mistake(values[key], "%s: expected create or update among only: a delete always carries the id from the path", key)
		}
	}
	return only
}

func (p *parser) verbNames(n *yaml.Node) []string {
	var names []string
	for _, item := range p.list(n, "only") {
		name, ok := p.text(item, "only", "create, update or delete")
		if ok && !slices.Contains(verbNames, name) {
			p.mistake(item, "only: expected create, update or delete, found %s%s", quoted(name), suggestion(name, verbNames))
		}
		names = append(names, name)
	}
	return names
}

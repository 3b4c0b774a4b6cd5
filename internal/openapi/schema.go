package openapi

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/hookproxy/hookproxy/rules"
)

// maxWithin is how many schemas within each other are looked at: they may go
// round in circles.
const maxWithin = 8

// properties are those of an object that a path of rules.yaml can name.
type properties map[string]*openapi3.Schema

var nameable = regexp.MustCompile(`^[A-Za-z0-9_$-]{1,64}$`)

// propertiesOf answers what a schema says an object has, parts of it that it is
// made of included; of alternatives, the first that is an object.
func propertiesOf(ref *openapi3.SchemaRef, within int) properties {
	all := make(properties)
	if ref == nil || ref.Value == nil || within > maxWithin {
		return all
	}
	for name, property := range ref.Value.Properties {
		if property != nil && property.Value != nil && nameable.MatchString(name) && !slices.Contains(rules.SecretKeys(), strings.ToLower(name)) {
			all[name] = property.Value
		}
	}
	for _, part := range ref.Value.AllOf {
		maps.Copy(all, propertiesOf(part, within+1))
	}
	for _, alternative := range slices.Concat(ref.Value.OneOf, ref.Value.AnyOf) {
		if found := propertiesOf(alternative, within+1); len(found) > 0 {
			maps.Copy(all, found)
			break
		}
	}
	return all
}

// listOf answers the schema of a list's items, or nil for what is no list.
func listOf(ref *openapi3.SchemaRef, within int) *openapi3.SchemaRef {
	if ref == nil || ref.Value == nil || within > maxWithin {
		return nil
	}
	if ref.Value.Items != nil && (ref.Value.Type == nil || ref.Value.Type.Includes("array")) {
		return ref.Value.Items
	}
	for _, part := range slices.Concat(ref.Value.AllOf, ref.Value.OneOf, ref.Value.AnyOf) {
		if items := listOf(part, within+1); items != nil {
			return items
		}
	}
	return nil
}

// isID reports whether a property can be an id: a text or a number.
func isID(s *openapi3.Schema) bool {
	return s.Type == nil || s.Type.Includes("string") || s.Type.Includes("integer") || s.Type.Includes("number")
}

func (p properties) sorted() []string { return slices.Sorted(maps.Keys(p)) }

// named answers the property with a name, however it is capitalized, or "".
func (p properties) named(name string) string {
	for _, property := range p.sorted() {
		if sameName(property, name) {
			return property
		}
	}
	return ""
}

// usualIDs are properties that hold an id where nothing tells which does.
var usualIDs = []string{"id", "uuid", "guid", "_id", "object_id", "sid", "key", "slug", "number"}

// id answers the path of the property that names one of a noun: the one that item paths
// name it by, so that a create and the updates after it are about the same.
func (p properties) id(noun, param string) string {
	wanted := []string{param, withoutNoun(param, noun)}
	wanted = append(append(wanted, usualIDs...), noun+"_id")
	for _, name := range wanted {
		if property := p.named(name); name != "" && property != "" && isID(p[property]) {
			return property
		}
	}
	if metadata := p["metadata"]; metadata != nil && param != "" {
		within := propertiesOf(&openapi3.SchemaRef{Value: metadata}, 0)
		if property := within.named(param); property != "" && isID(within[property]) {
			return "metadata." + property
		}
	}
	return ""
}

// withoutNoun answers number for issue_number of an issue.
func withoutNoun(param, noun string) string {
	rest, ok := strings.CutPrefix(letters(param), letters(noun))
	if !ok {
		return ""
	}
	return rest
}

// content is where in a body the resource stands.
type content struct {
	known bool       // the document describes JSON
	at    string     // the envelope's key; "" for the body itself
	list  bool       // there are several of them
	has   properties // of one
}

// envelopes are keys that answers wrap a resource in, whatever it is.
var envelopes = []string{"data", "result", "results", "response", "payload", "item", "items", "object", "resource", "record", "records", "entity", "value", "attributes"}

// contentOf answers where one or several of a noun stand in what a schema
// describes.
func contentOf(ref *openapi3.SchemaRef, noun, param string) content {
	if ref == nil {
		return content{}
	}
	c := content{known: true, has: propertiesOf(ref, 0)}
	if items := listOf(ref, 0); items != nil {
		c.list, c.has = true, propertiesOf(items, 0)
		return c
	}
	if c.has.id(noun, param) != "" {
		return c
	}
	for _, property := range c.has.wrapping(noun) {
		within := &openapi3.SchemaRef{Value: c.has[property]}
		if items := listOf(within, 0); items != nil {
			return content{known: true, at: property, list: true, has: propertiesOf(items, 0)}
		}
		if has := propertiesOf(within, 0); len(has) > 0 || within.Value.Type.Is("object") {
			return content{known: true, at: property, has: has}
		}
	}
	return c
}

// wrapping answers the properties that may hold one or several of a noun, the
// likeliest first: droplet or droplets, and then data and the like.
func (p properties) wrapping(noun string) []string {
	var found []string
	for _, property := range p.sorted() {
		if singular(snake(property)) == noun {
			found = append(found, property)
		}
	}
	for _, key := range envelopes {
		if property := p.named(key); property != "" {
			found = append(found, property)
		}
	}
	return found
}

// jsonSchema answers the schema of a body as JSON. known is false where the
// content is described, and is no JSON.
func jsonSchema(body openapi3.Content) (schema *openapi3.SchemaRef, known bool) {
	for _, media := range slices.Sorted(maps.Keys(body)) {
		kind, _, _ := strings.Cut(strings.ToLower(media), ";")
		kind = strings.TrimSpace(kind)
		json := kind == "application/json" || kind == "text/json" || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "*")
		if json && body[media] != nil {
			schema = body[media].Schema
			if schema == nil {
				schema = &openapi3.SchemaRef{Value: &openapi3.Schema{}}
			}
			return schema, true
		}
	}
	return nil, false
}

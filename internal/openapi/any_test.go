package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// anySchema draws a schema: objects, lists and what they are made of.
func anySchema(t *rapid.T, depth int) map[string]any {
	kinds := []string{"string", "integer", "ref"}
	if depth < 4 {
		kinds = append(kinds, "object", "object", "array", "allOf", "oneOf")
	}
	switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
	case "ref":
		return map[string]any{"$ref": "#/components/schemas/Thing"}
	case "object":
		properties := map[string]any{}
		for _, name := range rapid.SliceOfN(anyName, 0, 4).Draw(t, "properties") {
			properties[name] = anySchema(t, depth+1)
		}
		return map[string]any{"type": "object", "properties": properties}
	case "array":
		return map[string]any{"type": "array", "items": anySchema(t, depth+1)}
	case "allOf", "oneOf":
		return map[string]any{kind: []any{anySchema(t, depth+1), anySchema(t, depth+1)}}
	default:
		return map[string]any{"type": kind}
	}
}

var (
	anyName = rapid.OneOf(
		rapid.SampledFrom([]string{"id", "data", "thing", "things", "uuid", "token", "metadata", "createdAt", "a.b", "example", "$ref", "x-y", "ключ"}),
		rapid.StringN(1, 8, 16),
	)
	anyPart = rapid.OneOf(
		rapid.SampledFrom([]string{"things", "things", "{id}", "{id}", "{thing_id}", "v1", "api", "me", "search", "{id}.json", "{a}-{b}", "{+all}", "x:run", "{id}:run", "true", "%20", ".."}),
		rapid.StringMatching(`[^/]{0,6}`),
	)
	anyStatus = rapid.SampledFrom([]string{"200", "201", "202", "204", "207", "2XX", "302", "304", "404", "default"})
	anyMedia  = rapid.SampledFrom([]string{"application/json", "application/hal+json", "text/html", "*/*", "text/event-stream"})
)

func anyOperation(t *rapid.T) map[string]any {
	responses := map[string]any{}
	for _, status := range rapid.SliceOfN(anyStatus, 0, 3).Draw(t, "statuses") {
		response := map[string]any{"description": "d"}
		if rapid.Bool().Draw(t, "content") {
			response["content"] = map[string]any{anyMedia.Draw(t, "media"): map[string]any{"schema": anySchema(t, 0)}}
		}
		if rapid.Bool().Draw(t, "location") {
			response["headers"] = map[string]any{"location": map[string]any{"schema": map[string]any{"type": "string"}}}
		}
		responses[status] = response
	}
	operation := map[string]any{"summary": rapid.String().Draw(t, "summary"), "responses": responses}
	if rapid.Bool().Draw(t, "body") {
		operation["requestBody"] = map[string]any{"content": map[string]any{"application/json": map[string]any{"schema": anySchema(t, 0)}}}
	}
	return operation
}

func anyDocument(t *rapid.T) []byte {
	paths := map[string]any{}
	for range rapid.IntRange(1, 12).Draw(t, "paths") {
		item := map[string]any{}
		for _, method := range rapid.SliceOfNDistinct(rapid.SampledFrom(methods), 1, 5, rapid.ID).Draw(t, "methods") {
			item[method] = anyOperation(t)
		}
		paths["/"+strings.Join(rapid.SliceOfN(anyPart, 0, 5).Draw(t, "path"), "/")] = item
	}
	document := map[string]any{
		"openapi": rapid.SampledFrom([]string{"3.0.3", "3.1.0"}).Draw(t, "version"),
		"info":    map[string]any{"title": rapid.String().Draw(t, "title"), "version": "1"},
		"servers": []any{map[string]any{"url": rapid.SampledFrom([]string{"", "/", "/v1", "https://x.example/api/{v}", "https://x.example/a b", "::", "/{x}/é?"}).Draw(t, "server")}},
		"paths":   paths, "components": map[string]any{"schemas": map[string]any{"Thing": anySchema(t, 2)}},
	}
	source, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// Whatever a document says: its rules can be loaded, all of them in force too,
// they are the same when written again, and account for every operation.
func TestEveryDocumentHasRulesThatCanBeLoaded(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		source := anyDocument(r)
		d, err := Read("spec", bytes.NewReader(source))
		if err != nil {
			r.Skip(fmt.Sprint(err)) // a property called $ref, say, or a schema that is only itself
		}
		first := written(r, d)
		again, err := Read("spec", bytes.NewReader(source))
		if err != nil {
			r.Fatal(err)
		}
		if second := written(r, again); !bytes.Equal(first.Source, second.Source) {
			r.Fatalf("written twice:\n%s\n%s", first.Source, second.Source)
		}
		p := newPlanner(d.spec)
		meant := map[string]string{}
		for o, event := range p.events {
			if other, taken := meant[event]; taken && other != meaning(o) {
				r.Fatalf("%s stands for %s and %s", event, other, meaning(o))
			}
			meant[event] = meaning(o)
		}
		entries := first.Rules + first.Aside + first.LeftOut
		if entries > len(p.writes) || len(p.writes) > 2*entries { // PUT and PATCH may be one
			r.Fatalf("%d entries for %d operations", entries, len(p.writes))
		}
	})
}

// FuzzRead: any bytes are an error, or a document whose rules can be loaded.
func FuzzRead(f *testing.F) {
	f.Add([]byte(one("/a/{id}", `{post: {responses: `+okJSON+`}, delete: {responses: {"204": {description: d}}}}`)))
	f.Add([]byte(`{"swagger": "2.0", "basePath": "/v1", "paths": {"/a": {"post": {"responses": {"200": {"description": "d"}}}}}}`))
	f.Add([]byte("openapi: 3.1\npaths:\n  /a: &a {post: {}}\n  /b: *a\n  /c: {<<: *a}\n"))
	f.Fuzz(func(t *testing.T, source []byte) {
		if d, err := Read("spec", bytes.NewReader(source)); err == nil {
			written(t, d)
		}
	})
}

package subscriptions

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// document writes the OpenAPI 3.1 description of our endpoints, where they
// really stand, and of the webhooks that subscribers get.
type document struct {
	path, eventsPath string
	events           []string
	credentials      []string
	parameters       []string
	describe         func(string) EventDetail
	limits           Limits
	history          bool
}

// object is a JSON object of the document.
type object = map[string]any

func (h *handler) openapi(w http.ResponseWriter, _ *http.Request, _ string) error {
	d := document{path: h.path, eventsPath: h.eventsPath, events: h.events(), credentials: h.credentials, parameters: h.parameters, limits: h.check.limits,
		describe: h.describe, history: h.history != nil}
	h.ok(w, http.StatusOK, d.write())
	return nil
}

func (d document) write() object {
	schemes, security := d.security()
	paths, schemas := d.paths(), d.schemas()
	if d.history {
		maps.Copy(paths, d.historyPaths())
		maps.Copy(schemas, historySchemas())
	}
	whole := object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Subscriptions", "version": "1",
			"description": "REST Hooks: subscribe a target URL to events. Each refusal is a problem (RFC 9457) with a stable type.",
		},
		"servers":  []object{{"url": "/"}},
		"paths":    paths,
		"webhooks": d.webhooks(),
		"components": object{
			"schemas": schemas,
			"responses": object{
				"Problem": object{"description": "Refused, with the reason", "content": content("application/problem+json", "Problem")},
			},
			"securitySchemes": schemes,
		},
	}
	if len(security) > 0 {
		whole["security"] = security
	}
	return whole
}

// security answers the schemes of the credentials that the API knows its callers
// by, any of which will do. Authorization may hold either of the common two.
func (d document) security() (schemes object, ways []object) {
	schemes = object{}
	add := func(name string, scheme object) {
		schemes[name] = scheme
		ways = append(ways, object{name: []string{}})
	}
	for _, header := range d.credentials {
		if strings.EqualFold(header, "Authorization") {
			add("bearer", object{"type": "http", "scheme": "bearer"})
			add("basic", object{"type": "http", "scheme": "basic"})
			continue
		}
		add(strings.ToLower(header), object{"type": "apiKey", "in": "header", "name": header})
	}
	for i, parameter := range d.parameters {
		name := "query"
		if i > 0 {
			name += strconv.Itoa(i + 1)
		}
		add(name, object{"type": "apiKey", "in": "query", "name": parameter})
	}
	return schemes, ways
}

func (d document) paths() object {
	id := []object{{"name": "id", "in": "path", "required": true, "schema": object{"type": "string"}}}
	return object{
		d.path: object{
			"get":  d.listOperation(),
			"post": d.createOperation(),
		},
		d.path + "{id}/": object{
			"parameters": id,
			"get": operation("getSubscription", "One of the caller's subscriptions", answers(http.StatusOK, "As it is", "Subscription"),
				"parameters", []object{ifMatch, header("If-None-Match", "Answer 304 where the subscription still has this ETag.")}),
			"put":    change("replaceSubscription", "Replace it; {\"active\": true} alone turns it on again", "application/json", "Replacement"),
			"patch":  change("patchSubscription", "Change what is named (RFC 7396)", "application/merge-patch+json", "Patch"),
			"delete": operation("deleteSubscription", "End it at once", answers(http.StatusNoContent, "It is gone", ""), "parameters", []object{ifMatch}),
		},
		d.path + "{id}/rotate-secret": object{
			"parameters": id,
			"post": operation("rotateSecret", "A new secret, shown this once; the one before still counts for a while",
				answers(http.StatusOK, "With the new secret", "Subscription"), "parameters", []object{ifMatch},
				"requestBody", object{"required": false, "content": content("application/json", "Rotation")}),
		},
		d.path + "{id}/confirm": object{"parameters": id, "post": confirmOperation()},
		d.path + "{id}/test":    object{"parameters": id, "post": testOperation()},
		d.path + "{id}/jwks.json": object{
			"parameters": id,
			"get": operation("getKeys", "What a subscription's v1a signatures are checked with, the newest first", object{
				"200": object{"description": "A JSON Web Key Set (RFC 7517)", "content": object{"application/jwk-set+json": object{"schema": object{"type": "object"}}}},
			}, "security", []object{}),
		},
		d.path + "openapi.json": object{
			"get": operation("getDescription", "This document", object{
				"200": object{"description": "This document", "content": object{"application/json": object{"schema": object{"type": "object"}}}},
			}),
		},
		d.eventsPath: object{
			"get": operation("listEvents", "The events that may be subscribed to", listOf("Event")),
		},
		d.eventsPath + "{name}/sample": object{
			"parameters": []object{{"name": "name", "in": "path", "required": true, "schema": text}},
			"get": operation("sampleEvents", "The data of the caller's latest events of a kind, newest first, or else an example", object{
				"200": object{
					"description": "Perhaps none. Asking is what has them kept from now on.",
					"content":     object{"application/json": object{"schema": object{"type": "array", "items": object{"type": "object"}}}},
				},
			}),
		},
	}
}

func (d document) listOperation() object {
	return operation("listSubscriptions", "The caller's subscriptions, oldest first", listOf("Subscription"), "parameters", []object{
		query("event", "Those that this event is delivered to.", object{"type": "string"}),
		query("active", "Those that are active, or are not.", object{"type": "boolean"}),
		query("limit", "At most so many; a Link header leads to the next page.", object{"type": "integer", "minimum": 1, "maximum": maxPage}),
		query("cursor", "As the Link of the page before has it.", object{"type": "string"}),
	})
}

func (d document) createOperation() object {
	responses := answers(http.StatusCreated, "Subscribed; the secret is shown this once", "Subscription")
	responses["200"] = answer200("The caller has these events sent to this target already, or the key is a repetition")
	return operation("subscribe", "Subscribe a target URL to events", responses,
		"parameters", []object{header("Idempotency-Key", "Repeats of the same request within a day make no second subscription.")},
		"requestBody", object{"required": true, "content": content("application/json", "NewSubscription")})
}

var ifMatch = header("If-Match", "Refuse where the subscription no longer has this ETag.")

func change(id, summary, media, schema string) object {
	return operation(id, summary, answers(http.StatusOK, "As it is now", "Subscription"), "parameters", []object{ifMatch},
		"requestBody", object{"required": true, "content": content(media, schema)})
}

// confirmOperation is about a header that other requests to a subscription may
// carry as well.
func confirmOperation() object {
	secret := header(hookSecretHeader, "What the target was sent last. Any other request to the subscription may carry it instead.")
	secret["required"] = true
	return operation("confirmSubscription", "Show that the target of a pending subscription wants hooks",
		answers(http.StatusOK, "As it is now", "Subscription"), "parameters", []object{ifMatch, secret})
}

func testOperation() object {
	return operation("testSubscription", "Send the target an event that did not happen, as a delivery is sent, and see what it answers",
		object{"200": object{"description": "What came of it", "content": content("application/json", "Tested")}},
		"parameters", []object{ifMatch},
		"requestBody", object{"required": false, "content": content("application/json", "Test")})
}

// operation answers an operation with further fields given as name, value …
func operation(id, summary string, responses object, more ...any) object {
	responses["default"] = object{"$ref": "#/components/responses/Problem"}
	op := object{"operationId": id, "summary": summary, "responses": responses}
	for i := 0; i < len(more); i += 2 {
		op[more[i].(string)] = more[i+1]
	}
	return op
}

func answers(status int, description, schema string) object {
	response := object{"description": description}
	if schema != "" {
		response["content"] = content("application/json", schema)
		response["headers"] = object{"ETag": object{"schema": object{"type": "string"}}}
	}
	return object{strconv.Itoa(status): response}
}

func answer200(description string) any {
	return answers(http.StatusOK, description, "Subscription")["200"]
}

func listOf(schema string) object {
	return object{"200": object{
		"description": "A list",
		"headers":     object{"Link": object{"description": "rel=\"next\" (RFC 8288), where there is more", "schema": object{"type": "string"}}},
		"content":     object{"application/json": object{"schema": object{"type": "array", "items": ref(schema)}}},
	}}
}

func content(media, schema string) object { return object{media: object{"schema": ref(schema)}} }

func ref(schema string) object { return object{"$ref": "#/components/schemas/" + schema} }

func header(name, description string) object {
	return object{"name": name, "in": "header", "description": description, "schema": object{"type": "string"}}
}

func query(name, description string, schema object) object {
	return object{"name": name, "in": "query", "description": description, "schema": schema}
}

// patterns answers everything that a subscription may name.
func patterns(events []string) []string {
	all := slices.Clone(events)
	for _, event := range events {
		noun, _, _ := strings.Cut(event, ".")
		all = append(all, noun+".*")
	}
	all = append(all, "*")
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(a, b) })
	return slices.Compact(all)
}

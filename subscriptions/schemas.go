package subscriptions

import (
	"maps"
	"slices"

	"github.com/hookproxy/hookproxy/internal/problem"
)

var (
	text     = object{"type": "string"}
	moment   = object{"type": "string", "format": "date-time"}
	noMoment = object{"type": []string{"string", "null"}, "format": "date-time"}
)

// schemas describe bodies as strictly as they are read.
func (d document) schemas() object {
	return object{
		"NewSubscription": d.newSubscription(),
		"Replacement":     replacement(),
		"Patch":           patchSchema(),
		"Subscription":    subscriptionSchema(),
		"Rotation": closed(object{
			"secret":          secretSchema(),
			"overlap_seconds": object{"type": "integer", "minimum": 0, "maximum": int(maxOverlap.Seconds()), "default": int(DefaultOverlap.Seconds())},
		}),
		"Event": eventSchema(),
		"Test": closed(object{"event": object{
			"type": "string", "default": testEventName,
			"description": "hook.test, or an event that the subscription gets; its data is then that of the caller's latest, or the example.",
		}}),
		"Tested": testedSchema(),
		"Problem": object{
			"type": "object", "required": []string{"type", "title", "status"},
			"properties": object{
				"type": object{"type": "string", "enum": problemTypes()}, "title": text, "status": object{"type": "integer"}, "detail": text,
				"target": object{"type": "object", "properties": askedSchemas(), "description": "What a target answered that was asked whether it wants hooks."},
				"errors": object{"type": "array", "items": object{
					"type": "object", "required": []string{"field", "message"}, "properties": object{"field": text, "message": text},
				}},
			},
		},
	}
}

// askedSchemas are of what everybody may see of a target's answer.
func askedSchemas() object {
	return object{
		"status":      object{"type": "integer", "description": "0 where there was no answer."},
		"error_class": object{"type": "string", "description": "Why it is no success; empty for a 2xx."},
		"duration_ms": object{"type": "integer", "minimum": 0},
	}
}

func testedSchema() object {
	fields := askedSchemas()
	fields["event"], fields["event_id"] = text, text
	fields["response"] = object{
		"type": []string{"object", "null"}, "required": []string{"headers", "body"},
		"properties": object{
			"headers": object{"type": "object", "additionalProperties": text},
			"body":    object{"type": "string", "description": "Its beginning, where it is text."},
		},
	}
	return object{
		"type": "object", "properties": fields,
		"required": []string{"event", "event_id", "status", "error_class", "duration_ms", "response"},
	}
}

// settableSchemas are of the fields that an owner sets.
func settableSchemas() object {
	return object{
		"event":           object{"type": "string", "description": "One event, or a pattern. In place of events."},
		"events":          object{"type": "array", "items": text, "minItems": 1, "maxItems": maxEvents, "uniqueItems": true},
		"target_url":      object{"type": "string", "format": "uri", "maxLength": maxTarget},
		"format":          object{"type": "string", "enum": formats, "default": FormatRESTHooks},
		"signature":       object{"type": "string", "enum": signatures, "default": SignatureV1, "description": "v1 signs by the secret, v1a by a key pair of the subscription's own: see public_keys, and {id}/jwks.json."},
		"headers":         headersSchema(text),
		"active":          object{"type": "boolean", "default": true},
		"description":     object{"type": "string", "maxLength": maxDescription},
		"metadata":        metadataSchema(object{"type": "string", "maxLength": maxMetadataValue}),
		"expiration_date": noMoment,
		"ordered":         object{"type": "boolean", "default": false, "description": "Hold each delivery back until the one before it is done."},
		"order_key": object{"type": []string{"string", "null"}, "enum": []any{OrderByResource, nil},
			"description": "Keep order among the events of one resource alone. Implies ordered."},
		"max_rate": object{"type": []string{"number", "null"}, "minimum": minRate, "description": "Deliveries a second."},
		"debounce": object{"type": []string{"string", "null"}, "pattern": durationPattern,
			"description": "For how long an event waits for later ones of the same name and resource, the last of which takes its place; counted from the first."},
		"batch":  batchSchema("max", "within"),
		"skinny": object{"type": "boolean", "default": false, "description": "In place of the payload, {id, url} of the resource alone, each null where it is not known."},
	}
}

// durationPattern is what time.ParseDuration takes, but for signs and what is finer than ms.
const durationPattern = `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`

func batchSchema(required ...string) object {
	schema := closed(object{
		"max": object{"type": "integer", "minimum": 2}, "within": object{"type": "string", "pattern": durationPattern},
	})
	schema["type"] = []string{"object", "null"}
	schema["description"] = "Send up to max events in one POST, as an array, once there are as many or the first has waited within."
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}

func metadataSchema(value object) object {
	return object{
		"type": "object", "maxProperties": maxMetadata, "additionalProperties": value,
		"propertyNames": object{"minLength": 1, "maxLength": maxMetadataKey},
	}
}

func headersSchema(value object) object {
	return object{
		"type": "object", "maxProperties": maxHeaders, "additionalProperties": value,
		"description": "Sent with each delivery, in place of none that is sent anyway. Values are answered as " + Redacted + ", which stands for the value that is kept.",
	}
}

func secretSchema() object {
	return object{"type": "string", "pattern": "^whsec_[A-Za-z0-9+/]{32,}={0,2}$", "description": "whsec_ and the base64 of 24 to 64 bytes"}
}

func closed(properties object) object {
	return object{"type": "object", "properties": properties, "additionalProperties": false}
}

func (d document) newSubscription() object {
	fields := settableSchemas()
	names := object{"type": "string", "enum": patterns(d.events)}
	fields["event"] = names
	fields["events"] = object{"type": "array", "items": names, "minItems": 1, "maxItems": maxEvents, "uniqueItems": true}
	fields["secret"] = secretSchema()
	d.limits.bound(fields)
	schema := closed(fields)
	schema["required"] = []string{"target_url"}
	schema["anyOf"] = []object{{"required": []string{"event"}}, {"required": []string{"events"}}}
	return schema
}

// bound says in the schemas of options which of them may be set to what.
func (l Limits) bound(fields object) {
	for name, forbidden := range map[string]bool{
		"ordered": l.NoOrder, "order_key": l.NoOrder, "max_rate": l.MaxRate < 0, "debounce": l.Debounce < 0,
		"batch": l.Batch < 0 || l.BatchWithin < 0, "skinny": l.NoSkinny,
	} {
		if forbidden {
			delete(fields, name)
		}
	}
	if rate, ok := fields["max_rate"].(object); ok {
		rate["maximum"] = l.MaxRate
	}
	if batch, ok := fields["batch"].(object); ok {
		batch["properties"].(object)["max"].(object)["maximum"] = l.Batch
	}
}

func serverSchemas() object {
	return object{
		"id": text, "user": text, "state": object{"type": "string", "enum": []string{StatePending, StateActive, StatePaused, StateDisabled}},
		"state_reason": object{"type": "string", "enum": []string{"", InactiveByOwner, InactiveByOperator, InactiveByFailure, InactiveUntilConfirmed}},
		"state_since":  moment, "created_at": moment, "updated_at": moment, "previous_secret_until": noMoment, "confirm_by": noMoment,
		"last_attempt": object{
			"type": []string{"object", "null"}, "description": "The latest attempt at a delivery: when, the answer's status, and what went wrong, as hookproxy_attempt_failures_total has it.",
			"properties": object{"at": moment, "status": object{"type": []string{"integer", "null"}}, "error": text},
		},
		"public_keys": object{"type": "array", "items": text, "description": "whpk_ and base64: what v1a signatures are checked with. There where signature is not v1."},
		"secret":      object{"type": "string", "description": "Signs deliveries. In an answer where it is new alone."},
	}
}

// replacement takes back whatever was read.
func replacement() object {
	fields := settableSchemas()
	maps.Copy(fields, serverSchemas())
	schema := closed(fields)
	schema["anyOf"] = []object{
		{"required": []string{"event", "target_url"}}, {"required": []string{"events", "target_url"}},
		{"required": []string{"active"}, "maxProperties": 1},
	}
	return schema
}

// patchSchema lets what has a default be null, which means that.
func patchSchema() object {
	fields := settableSchemas()
	for name, value := range fields {
		field := maps.Clone(value.(object))
		if kind, one := field["type"].(string); one && name != "target_url" {
			field["type"] = []string{kind, "null"}
		}
		if values, listed := field["enum"].([]string); listed {
			nullable := []any{nil}
			for _, value := range values {
				nullable = append(nullable, value)
			}
			field["enum"] = nullable
		}
		fields[name] = field
	}
	metadata := metadataSchema(object{"type": []string{"string", "null"}, "maxLength": maxMetadataValue})
	metadata["type"] = []string{"object", "null"}
	fields["metadata"] = metadata
	headers := headersSchema(object{"type": []string{"string", "null"}})
	headers["type"] = []string{"object", "null"}
	fields["headers"] = headers
	fields["batch"] = batchSchema()
	for name, schema := range serverSchemas() {
		fields[name] = schema
	}
	return closed(fields)
}

func subscriptionSchema() object {
	fields := settableSchemas()
	maps.Copy(fields, serverSchemas())
	return object{
		"type": "object", "properties": fields,
		"required": []string{
			"id", "user", "events", "format", "target_url", "active", "state", "state_reason", "state_since", "description", "metadata",
			"expiration_date", "created_at", "updated_at", "previous_secret_until", "confirm_by", "signature", "headers",
			"ordered", "order_key", "max_rate", "debounce", "batch", "skinny", "last_attempt",
		},
	}
}

// problemTypes answers every type that a refusal may have.
func problemTypes() []string {
	types := []string{problem.Type(problem.Invalid), problem.Type(problem.Internal)}
	for _, refusal := range refusals {
		types = append(types, problem.Type(refusal.Name))
	}
	slices.Sort(types)
	return slices.Compact(types)
}

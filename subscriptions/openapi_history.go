package subscriptions

import "maps"

// historyPaths describe the endpoints of what became of deliveries.
func (d document) historyPaths() object {
	id := []object{{"name": "id", "in": "path", "required": true, "schema": text}}
	one := d.path + "{id}/"
	limit := query("limit", "At most so many; a Link header leads to the next page.",
		object{"type": "integer", "minimum": 1, "maximum": maxPage, "default": maxPage})
	job := append([]object{{"name": "redelivery", "in": "path", "required": true, "schema": text}}, id...)
	return object{
		one + "deliveries": object{
			"parameters": id,
			"get": operation("listDeliveries", "The last attempts to deliver, newest first", listOf("Attempt"), "parameters", []object{
				query("outcome", "Those that came to this.", object{"type": "string", "enum": attemptOutcomes}),
				query("event", "Those of this event, by its name, a pattern, or an id.", text), limit,
				query("cursor", "As the Link of the page before has it.", text),
			}),
		},
		one + "missed": object{
			"parameters": id,
			"get": operation("listMissed", "Events that were not delivered, by sequence", listOf("Missed"), "parameters", []object{
				query("after", "Those behind this sequence number.", sequenceSchema()),
				query("data", "With false, without payloads.", object{"type": "boolean", "default": true}), limit,
			}),
		},
		one + "missed/ack": object{
			"parameters": id,
			"post": operation("acknowledgeMissed", "Have what was missed not delivered any more, up to a sequence number",
				object{"200": object{"description": "How many that were", "content": content("application/json", "Acknowledged")}},
				"requestBody", object{"required": true, "content": content("application/json", "Acknowledgement")}),
		},
		one + "redeliver": object{
			"parameters": id,
			"post": operation("redeliver", "Have what was not delivered tried again", object{"202": object{
				"description": "Begun; Location leads to how far it is", "content": content("application/json", "Redelivery"),
				"headers": object{"Location": object{"schema": text}},
			}}, "requestBody", object{"required": true, "content": content("application/json", "NewRedelivery")}),
		},
		one + "redeliveries/{redelivery}": object{
			"parameters": job,
			"get": operation("getRedelivery", "How far a redelivery is",
				object{"200": object{"description": "As it is", "content": content("application/json", "Redelivery")}}),
		},
	}
}

func sequenceSchema() object {
	return object{"type": "integer", "minimum": 0, "maximum": maxSequence}
}

// historySchemas are of those endpoints' bodies.
func historySchemas() object {
	wish := object{
		"event": object{"type": "string", "minLength": 1, "description": "The id of the one event."}, "missed": object{"const": true},
		"from": object{"type": "string", "format": "date-time", "description": "Events that occurred from then on, until to or now."}, "to": moment,
	}
	wanted := closed(wish)
	wanted["oneOf"] = []object{{"required": []string{"event"}}, {"required": []string{"missed"}}, {"required": []string{"from"}}}
	count := object{"type": "integer", "minimum": 0}
	redelivery := maps.Clone(wish)
	maps.Copy(redelivery, object{
		"id": text, "subscription": text, "operator": object{"type": "boolean", "description": "An operator asked for it."},
		"state":      object{"type": "string", "enum": []string{RedeliveryScheduled, RedeliveryRunning, RedeliveryDone, RedeliveryCancelled}},
		"created_at": moment, "starts_at": moment, "ended_at": moment, "total": count, "done": count, "failed": count,
	})
	return object{
		"Attempt": required(object{
			"at": moment, "event_id": text, "event": text, "sequence": sequenceSchema(), "attempt": object{"type": "integer", "minimum": 1},
			"outcome": object{"type": "string", "enum": attemptOutcomes}, "status": object{"type": "integer"}, "duration_ms": count,
			"error":    object{"type": "string", "description": "The class of what went wrong."},
			"response": object{"type": "string", "description": "How the body of a refusal began."},
			"batch": required(object{
				"id": object{"type": "string", "description": "Its webhook-id."},
				"events": object{"type": "array", "items": required(object{
					"event_id": text, "event": text, "sequence": sequenceSchema(),
				}, "event_id", "event", "sequence")},
			}, "id", "events"),
		}, "at", "event_id", "event", "sequence", "attempt", "outcome", "duration_ms"),
		"Missed": required(object{
			"sequence": sequenceSchema(), "event_id": text, "event": text, "attempts": count,
			"state": object{"type": "string", "enum": []string{MissedWaiting, MissedInFlight, MissedRetrying, MissedDead}},
			"reason": object{"type": "string", "enum": []string{
				reasonGivenUp, reasonFailed, reasonResting, StatePaused, StateDisabled, StatePending,
			}},
			"occurred_at": moment, "given_up_at": moment, "next_attempt_at": moment, "data": object{"description": "What the API answered."},
			"data_omitted": text, "data_redacted": object{"type": "array", "items": text},
		}, "sequence", "event_id", "event", "attempts", "state"),
		"Acknowledgement": required(object{"through": sequenceSchema()}, "through"),
		"Acknowledged":    required(object{"acknowledged": count, "more": object{"type": "boolean", "description": "Send it again."}}, "acknowledged", "more"),
		"NewRedelivery":   wanted,
		"Redelivery": required(redelivery, "id", "subscription", "state", "created_at", "starts_at",
			"total", "done", "failed"),
	}
}

func required(properties object, names ...string) object {
	schema := closed(properties)
	schema["required"] = names
	return schema
}

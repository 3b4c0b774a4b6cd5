package subscriptions

// webhooks describe what arrives at a target URL, event by event.
func (d document) webhooks() object {
	hooks := object{}
	for _, event := range d.events {
		about := d.describe(event)
		hooks[event] = object{"post": object{
			"summary": "Sent to the target URL of each active subscription to " + event, "description": about.Description,
			// Signed instead: see the signature headers.
			"security": []object{},
			"parameters": []object{
				header("X-Hook-Event", "The event's name."), header("X-Hook-Id", "The event's id, the same on every attempt."),
				header("X-Hook-Subscription", "The subscription's id."), header("X-Hook-Sequence", "Counts up for each subscription. Of a batch, the first event's."),
				header("X-Hook-Count", "Of a batch alone, which has X-Hook-Event hook.batch: how many events it holds."),
				header("X-Hook-Signature", "Hex HMAC-SHA256 of the body, keyed with the whole secret. Not with signature v1a."),
				header("webhook-id", "As X-Hook-Id (Standard Webhooks)."), header("webhook-timestamp", "Seconds since 1970."),
				header("webhook-signature", "v1 and v1a signatures (Standard Webhooks), a space between two."),
			},
			"requestBody": object{"required": true, "content": object{"application/json": hookMedia(event, about)}},
			"responses": object{
				"2XX": object{"description": "Taken; it is not sent again"},
				"410": object{"description": "Not wanted any more; the subscription is deleted"},
			},
		}}
	}
	return hooks
}

// hookMedia answers a delivery's body in the default format, with the example
// where rules.yaml has one.
func hookMedia(event string, about EventDetail) object {
	data := object{"description": "What the API answered; null where data_omitted says why. Of a skinny subscription {id, url} of the resource, each null where it is not known."}
	if about.Schema != nil {
		data["anyOf"] = []any{about.Schema, object{"type": "null"}}
	}
	media := object{"schema": hookSchema(event, data)}
	if about.Example != nil {
		media["example"] = object{
			"hook": object{"id": "0-01jdd0tz1cyr2d2n8nxw0v9k3a", "event": event, "target": "https://example.com/hooks"}, "data": about.Example,
		}
	}
	return media
}

func hookSchema(event string, data object) object {
	return object{
		"description": "With format raw or cloudevents, data alone; with standard, {type, timestamp, data}. Of a subscription with batch, an array of these: hook then holds event_id and sequence as well, standard an id, and cloudevents are application/cloudevents-batch+json.",
		"anyOf": []object{
			{
				"type": "object", "required": []string{"hook", "data"},
				"properties": object{
					"hook": object{
						"type": "object", "required": []string{"id", "event", "target"},
						"properties": object{
							"id": text, "event": object{"const": event}, "target": text, "data_omitted": text,
							"data_redacted": object{"type": "array", "items": text},
						},
					},
					"data": data,
				},
			},
			data,
		},
	}
}

func eventSchema() object {
	return object{
		"type": "object", "required": []string{"event", "description", "routes"},
		"properties": object{
			"event": text, "description": text, "example": object{"description": "What its data looks like."},
			"schema": object{"description": "A JSON Schema of its data (draft 2020-12)."},
			"routes": object{"type": "array", "description": "What at the API causes it.", "items": object{
				"type": "object", "required": []string{"method", "path"}, "properties": object{"method": text, "path": text},
			}},
		},
	}
}

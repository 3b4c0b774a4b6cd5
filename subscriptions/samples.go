package subscriptions

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/gorilla/mux"
)

// sampling is for how long a user's events are kept as samples, once asked for.
const sampling = 30 * 24 * time.Hour

// EventDetail is what there is to say about an event.
type EventDetail struct {
	// Description is for people. Empty where there is none.
	Description string
	// Routes are the API's routes that cause it.
	Routes []Route
	// Example is what its data looks like, and Schema a JSON Schema of it. Nil
	// where there is none.
	Example, Schema json.RawMessage
}

// Route is a method and a path template of the API's.
type Route struct {
	Method string `json:"method"`
	Path   string `json:"path"`
}

// eventType is one event that may be subscribed to, as callers see it.
type eventType struct {
	Event       string          `json:"event"`
	Description string          `json:"description"`
	Routes      []Route         `json:"routes"`
	Example     json.RawMessage `json:"example,omitempty"`
	Schema      json.RawMessage `json:"schema,omitempty"`
}

func (h *handler) listEvents(w http.ResponseWriter, _ *http.Request, _ string) error {
	list := []eventType{} // never null
	for _, name := range h.events() {
		about := h.describe(name)
		if about.Routes == nil {
			about.Routes = []Route{}
		}
		list = append(list, eventType{name, about.Description, about.Routes, about.Example, about.Schema})
	}
	h.ok(w, http.StatusOK, list)
	return nil
}

// sample answers the data of the caller's latest events of a kind, newest first:
// what Zapier's performList is to answer, which is an array of objects with an id.
func (h *handler) sample(w http.ResponseWriter, r *http.Request, user string) error {
	name, err := url.PathUnescape(mux.Vars(r)["name"])
	if err != nil || !slices.Contains(h.events(), name) {
		return h.notFound(w, r, user)
	}
	samples, err := h.samplesOf(r.Context(), user, name)
	if err != nil {
		return err
	}
	h.ok(w, http.StatusOK, samples)
	return nil
}

// samplesOf answers the data of a user's latest events of a kind, newest first, or
// else the example. Asking is what has them kept from now on.
func (h *handler) samplesOf(ctx context.Context, user, event string) ([]json.RawMessage, error) {
	samples := []json.RawMessage{} // never null
	if h.samples > 0 {
		kept, err := h.store.samples(ctx, user, event, h.samples)
		if err != nil {
			return nil, err
		}
		samples = append(samples, kept...)
	}
	if example := h.describe(event).Example; len(samples) == 0 && example != nil {
		samples = append(samples, example)
	}
	return samples, nil
}

// samples answers the data of a user's latest events of a kind, newest first, and
// has most of each kind kept from now on, by dispatch.
func (s *Store) samples(ctx context.Context, user, event string, most int) ([]json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	lane := s.layout.Of(user)
	pipe := s.client.Pipeline()
	pipe.Set(ctx, lane.Sampling(user), most, sampling)
	kept := pipe.LRange(ctx, lane.Samples(event, user), 0, int64(most)-1)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, unavailable("samples", err)
	}
	var samples []json.RawMessage
	for _, element := range kept.Val() {
		if data := sampleOf([]byte(element)); data != nil {
			samples = append(samples, data)
		}
	}
	return samples, nil
}

// sampleOf answers the data of an event as the Redis list of events has it: a
// header that is JSON, a newline, and the data. What is no object is none that a
// list of samples can hold, nor is one whose id is null; one without gets the
// event's.
func sampleOf(element []byte) json.RawMessage {
	head, data, _ := bytes.Cut(element, []byte{'\n'})
	var header struct {
		ID string `json:"id"`
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(head, &header) != nil || json.Unmarshal(data, &object) != nil || object == nil {
		return nil
	}
	switch own, has := object["id"]; {
	case has && string(own) == "null":
		return nil
	case has:
		return data
	}
	id, _ := json.Marshal(header.ID) // a text always encodes
	rest := bytes.TrimSpace(data)[1:]
	if len(object) > 0 {
		id = append(id, ',')
	}
	return slices.Concat([]byte(`{"id":`), id, rest)
}

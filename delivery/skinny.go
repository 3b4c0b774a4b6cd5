package delivery

import (
	"bytes"
	"encoding/json"

	"github.com/hookproxy/hookproxy/events"
)

// skinny answers an event whose payload is the id and the URL of what it is about,
// each null where that is not known: {"id": "7", "url": "/contacts/7"}. What was
// left out of the payload that there was, and why, is of no interest then.
func skinny(e events.Event) events.Event {
	orNull := func(text string) *string {
		if text == "" {
			return nil
		}
		return &text
	}
	var b bytes.Buffer
	w := json.NewEncoder(&b)
	w.SetEscapeHTML(false) // a path's & shall read as the API has it
	_ = w.Encode(struct {  // texts always encode
		ID  *string `json:"id"`
		URL *string `json:"url"`
	}{orNull(e.Resource), orNull(e.URL)})
	e.Payload = bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	e.Omitted, e.Redacted = "", nil
	return e
}

package console

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/hookproxy/hookproxy/events"

	"github.com/hookproxy/hookproxy/internal/problem"
)

// reasonUnreadable is why what is no event is parked.
const reasonUnreadable = "unreadable"

// parked is an event that nobody is known to own, or that cannot be read.
type parked struct {
	// Name is the event's id, or made of its bytes where it has none.
	Name       string    `json:"name"`
	Reason     string    `json:"reason"`
	Event      string    `json:"event,omitempty"`
	User       string    `json:"user,omitempty"`
	Resource   string    `json:"resource,omitempty"`
	Rule       string    `json:"rule,omitempty"`
	OccurredAt time.Time `json:"occurred_at,omitzero"`
	Size       int       `json:"size"`
	// Data is the payload, where one is shown by itself; Raw, in base64, what cannot
	// be read.
	Data        json.RawMessage `json:"data,omitempty"`
	DataOmitted string          `json:"data_omitted,omitempty"`
	Raw         string          `json:"raw,omitempty"`
}

func parkedOf(p events.Parked) parked {
	shown := parked{Name: p.Name, Reason: reasonUnreadable, Size: p.Size}
	if !p.Readable() {
		shown.Raw = base64.StdEncoding.EncodeToString(p.Raw)
		return shown
	}
	shown.Reason, shown.Event, shown.User, shown.Resource = p.Parked, p.Event.Name, p.User, p.Resource
	shown.Rule, shown.OccurredAt, shown.DataOmitted = p.Rule, p.Time, p.Omitted
	if shown.Reason == "" {
		shown.Reason = reasonUnreadable // dispatch could not route it
	}
	if json.Valid(p.Payload) {
		shown.Data = p.Payload
	}
	return shown
}

func (c *console) listParked(w http.ResponseWriter, r *http.Request) error {
	q := readQuery(r)
	reason, event, cursor, limit := q.text("reason"), q.text("event"), q.text("cursor"), q.limit()
	if err := q.done(); err != nil {
		return err
	}
	list, next, err := c.parked.List(r.Context(), cursor, limit)
	if errors.Is(err, events.ErrPosition) {
		return problem.Fields{badCursor}
	}
	if err != nil {
		return storeError{err}
	}
	var items []parked
	for _, p := range list {
		if one := parkedOf(p); (reason == "" || reason == one.Reason) && (event == "" || event == one.Event) {
			items = append(items, one)
		}
	}
	c.ok(w, http.StatusOK, pageOf(items, next))
	return nil
}

func (c *console) showParked(w http.ResponseWriter, r *http.Request) error {
	found, err := c.parked.Find(r.Context(), r.PathValue("name"))
	if err != nil {
		return storeError{err}
	}
	c.ok(w, http.StatusOK, parkedOf(found))
	return nil
}

func (c *console) deleteParked(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if err := c.parked.Drop(r.Context(), name); err != nil {
		return storeError{err}
	}
	c.log.Warn("operator deleted a parked event", "event", name)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// assign gives a parked event to a user, so that it is delivered.
func (c *console) assign(w http.ResponseWriter, r *http.Request) error {
	var wanted struct {
		User string `json:"user"`
	}
	if err := readBody(w, r, &wanted); err != nil {
		return err
	}
	if wanted.User == "" {
		return problem.Wrong("user", "must be given")
	}
	name := r.PathValue("name")
	if err := c.parked.Assign(r.Context(), name, wanted.User); err != nil {
		return storeError{err}
	}
	c.log.Info("operator assigned a parked event", "event", name, "user", wanted.User)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// storeError is an error of the parked list: one of events' own, or Redis'.
type storeError struct{ error }

func (e storeError) Unwrap() error { return e.error }

// isStore tells whether an error is Redis' and not known by another name.
func isStore(err error) bool {
	if _, ok := errors.AsType[storeError](err); !ok {
		return false
	}
	return !errors.Is(err, events.ErrNotParked) && !errors.Is(err, events.ErrNotAssignable) && !errors.Is(err, events.ErrMalformed)
}

package subscriptions

import (
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/mux"
)

// redeliver begins a redelivery, which goes on by itself.
func (h *handler) redeliver(w http.ResponseWriter, r *http.Request, user string) error {
	body, err := readObject(w, r)
	if err != nil {
		return err
	}
	wanted, err := readRedelivery(body)
	if err != nil {
		return err
	}
	sub, err := h.store.Get(r.Context(), user, idOf(r))
	if err != nil {
		return err
	}
	made, err := h.history.Redeliver(r.Context(), sub.ID, wanted)
	if err != nil {
		return err
	}
	h.log.Info("redelivery begun", "subscription", sub.ID, "user", sub.User, "redelivery", made.ID)
	w.Header().Set("Location", strings.TrimSuffix(strings.TrimRight(r.URL.EscapedPath(), "/"), "redeliver")+"redeliveries/"+made.ID)
	h.ok(w, http.StatusAccepted, made)
	return nil
}

// readRedelivery reads one of event, missed, or from with perhaps to.
func readRedelivery(body []member) (wanted Redelivery, err error) {
	f := newForm(body)
	f.settable = "event, missed, from and to"
	event, byEvent := f.text("event")
	missed, byMissed := f.flag("missed")
	from, byTime := f.moment("from")
	to, bounded := f.moment("to")
	wanted = Redelivery{Event: event, Missed: missed, From: from, To: to}
	ways := 0
	for _, given := range []bool{byEvent, byMissed, byTime} {
		if given {
			ways++
		}
	}
	switch {
	case len(f.failed) > 0:
	case ways != 1:
		f.bad.add("", "must have one of event, missed and from")
	case byEvent && event == "":
		f.bad.add("event", "must be an event's id")
	case byMissed && !missed:
		f.bad.add("missed", "must be true, or be left out")
	case bounded && !byTime:
		f.bad.add("to", "must stand beside from")
	case bounded && to.Before(from):
		f.bad.add("to", "must not be before from")
	case byTime && !bounded:
		wanted.To = time.Now().UTC()
	}
	return wanted, f.done()
}

// getRedelivery tells how far a redelivery is.
func (h *handler) getRedelivery(w http.ResponseWriter, r *http.Request, user string) error {
	sub, err := h.store.Get(r.Context(), user, idOf(r))
	if err != nil {
		return err
	}
	found, err := h.history.Redelivery(r.Context(), sub.ID, mux.Vars(r)["redelivery"])
	if err != nil {
		return err
	}
	h.ok(w, http.StatusOK, found)
	return nil
}

package subscriptions

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/gorilla/mux"
)

// timeFormat is RFC 3339 to the millisecond, which is how exact times are kept.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// resource is a subscription as its owner sees it.
type resource struct {
	ID        string `json:"id"`
	User      string `json:"user"`
	Event     string `json:"event"`
	Format    string `json:"format"`
	TargetURL string `json:"target_url"`
	Active    bool   `json:"active"`
	CreatedAt string `json:"created_at"`
	UpdatedAt string `json:"updated_at"`
	Secret    string `json:"secret,omitempty"` // in the answer to the POST alone
}

func resourceOf(s Subscription) resource {
	return resource{
		ID: s.ID, User: s.User, Event: s.Event, Format: s.Format, TargetURL: s.TargetURL, Active: s.Active,
		CreatedAt: s.CreatedAt.Format(timeFormat), UpdatedAt: s.UpdatedAt.Format(timeFormat),
	}
}

// eventType is one event that may be subscribed to.
type eventType struct {
	Event string `json:"event"`
}

func (h *handler) listEvents(w http.ResponseWriter, _ *http.Request, _ string) error {
	list := []eventType{} // never null
	for _, event := range h.events() {
		list = append(list, eventType{event})
	}
	h.ok(w, http.StatusOK, list)
	return nil
}

func (h *handler) list(w http.ResponseWriter, r *http.Request, user string) error {
	subs, err := h.store.List(r.Context(), user)
	if err != nil {
		return err
	}
	list := make([]resource, len(subs))
	for i, sub := range subs {
		list[i] = resourceOf(sub)
	}
	h.ok(w, http.StatusOK, list)
	return nil
}

func (h *handler) create(w http.ResponseWriter, r *http.Request, user string) error {
	body, err := readObject(w, r)
	if err != nil {
		return err
	}
	wanted, err := h.check.create(body)
	if err != nil {
		return err
	}
	sub, err := h.store.Create(r.Context(), user, wanted)
	if err != nil {
		return err
	}
	h.changed("subscription created", sub)
	shown := resourceOf(sub)
	shown.Secret = sub.Secret
	w.Header().Set("Location", slashed(r.URL.EscapedPath())+sub.ID+"/")
	h.ok(w, http.StatusCreated, shown)
	return nil
}

func (h *handler) get(w http.ResponseWriter, r *http.Request, user string) error {
	sub, err := h.store.Get(r.Context(), user, idOf(r))
	if err != nil {
		return err
	}
	h.ok(w, http.StatusOK, resourceOf(sub))
	return nil
}

func (h *handler) replace(w http.ResponseWriter, r *http.Request, user string) error {
	body, err := readObject(w, r)
	if err != nil {
		return err
	}
	current, err := h.store.Get(r.Context(), user, idOf(r))
	if err != nil {
		return err
	}
	wanted, err := h.check.replace(body, current)
	if err != nil {
		return err
	}
	sub, err := h.store.Update(r.Context(), user, wanted)
	if err != nil {
		return err
	}
	h.changed("subscription updated", sub)
	h.ok(w, http.StatusOK, resourceOf(sub))
	return nil
}

func (h *handler) delete(w http.ResponseWriter, r *http.Request, user string) error {
	sub, err := h.store.Get(r.Context(), user, idOf(r))
	if err != nil {
		return err
	}
	if err := h.store.Delete(r.Context(), user, sub.ID); err != nil {
		return err
	}
	h.changed("subscription deleted", sub)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// idOf answers the id that the path names. What cannot be decoded is no id.
func idOf(r *http.Request) string {
	id, err := url.PathUnescape(mux.Vars(r)["id"])
	if err != nil {
		return ""
	}
	return id
}

func (h *handler) ok(w http.ResponseWriter, status int, value any) {
	h.write(w, status, "application/json", value)
}

// changed logs a change. Of the target URL only the host may be known: the
// rest of it is often a secret of the subscriber's.
func (h *handler) changed(what string, sub Subscription) {
	host := ""
	if u, err := url.Parse(sub.TargetURL); err == nil {
		host = strings.ToLower(u.Hostname())
	}
	h.log.Info(what, "subscription", sub.ID, "user", sub.User, "event", sub.Event, "active", sub.Active, "target_host", host)
}

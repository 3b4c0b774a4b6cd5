package subscriptions

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/gorilla/mux"

	"github.com/hookproxy/hookproxy/internal/problem"
)

const (
	// maxTries is how often a change is tried on a subscription that others keep
	// changing.
	maxTries = 10
	// maxKey is how long an Idempotency-Key may be, in bytes.
	maxKey = 255
)

func (h *handler) list(w http.ResponseWriter, r *http.Request, user string) error {
	wanted, err := readListing(r)
	if err != nil {
		return err
	}
	subs, err := h.store.List(r.Context(), user)
	if err != nil {
		return err
	}
	page, more := wanted.page(subs)
	if more {
		last := page[len(page)-1]
		w.Header().Set("Link", nextLink(r, "cursor", position{last.CreatedAt, last.ID}.String()))
	}
	list := make([]resource, len(page))
	for i, sub := range page {
		list[i] = h.resource(sub)
	}
	h.ok(w, http.StatusOK, list)
	return nil
}

func (h *handler) create(w http.ResponseWriter, r *http.Request, user string) error {
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	body, err := readObject(w, r)
	if err != nil {
		return err
	}
	wanted, err := h.check.create(body)
	if err != nil {
		return err
	}
	sub, how, err := h.subscribe(r.Context(), user, wanted, key)
	if err != nil {
		return err
	}
	w.Header().Set("Location", slashed(r.URL.EscapedPath())+sub.ID+"/")
	if how == Created {
		h.changed("subscription created", sub)
		h.showSecret(w, http.StatusCreated, sub)
		return nil
	}
	if how == Replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	} else {
		h.changed("subscription asked for again", sub) // which may have revived it
	}
	h.show(w, http.StatusOK, sub)
	return nil
}

// idempotencyKey answers the request's key, or "" for none.
func idempotencyKey(r *http.Request) (string, error) {
	keys := r.Header.Values("Idempotency-Key")
	if len(keys) == 0 {
		return "", nil
	}
	unfit := func(c rune) bool { return c <= ' ' || c >= 0x7f }
	if len(keys) > 1 || keys[0] == "" || len(keys[0]) > maxKey || strings.ContainsFunc(keys[0], unfit) {
		return "", problem.Wrong("Idempotency-Key", "must be 1 to 255 visible ASCII characters")
	}
	return keys[0], nil
}

func (h *handler) get(w http.ResponseWriter, r *http.Request, user string) error {
	sub, err := h.store.Get(r.Context(), user, idOf(r))
	if err != nil {
		return err
	}
	err = checkConditions(r, sub.ETag)
	if errors.Is(err, errNotModified) {
		w.Header().Set("ETag", quoted(sub.ETag))
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if err != nil {
		return err
	}
	h.show(w, http.StatusOK, sub)
	return nil
}

func (h *handler) replace(w http.ResponseWriter, r *http.Request, user string) error {
	body, err := readObject(w, r)
	if err != nil {
		return err
	}
	// The switch alone is no whole subscription, but what REST Hooks clients
	// send to turn one on again.
	if len(body) == 1 && body[0].name == "active" {
		return h.change(w, r, user, body, h.check.patch)
	}
	return h.change(w, r, user, body, h.check.replace)
}

func (h *handler) patch(w http.ResponseWriter, r *http.Request, user string) error {
	body, err := readObject(w, r)
	if errors.Is(err, errMediaType) {
		w.Header().Set("Accept-Patch", "application/merge-patch+json") // RFC 5789 section 2.2
	}
	if err != nil {
		return err
	}
	return h.change(w, r, user, body, h.check.patch)
}

// change reads what a subscription is to become from a body and what it is now,
// and writes it, if it still is so: a body that leaves the target as it was read
// has nobody asked, and *** stands for what was read. A subscription that somebody
// else changes meanwhile is read again, and preconditions with it.
func (h *handler) change(w http.ResponseWriter, r *http.Request, user string, body []member,
	read func([]member, Subscription) (Subscription, error),
) error {
	ask := h.askAgain(r.Context(), user)
	return h.settle(r, user, func(current Subscription) error {
		wanted, err := read(body, current)
		if err != nil {
			return err
		}
		if wanted, err = ask(current, wanted); err != nil {
			return err
		}
		wanted.ETag = current.ETag
		sub, err := h.store.Update(r.Context(), user, wanted)
		if err != nil {
			return err
		}
		h.changed("subscription updated", sub)
		h.show(w, http.StatusOK, sub)
		return nil
	})
}

// settle has something done to the subscription that the path names, once its
// preconditions hold; again where it has changed in between.
func (h *handler) settle(r *http.Request, user string, do func(current Subscription) error) error {
	err := ErrChanged
	for tries := 0; errors.Is(err, ErrChanged) && tries < maxTries; tries++ {
		var current Subscription
		if current, err = h.store.Get(r.Context(), user, idOf(r)); err != nil {
			return err
		}
		if err = checkConditions(r, current.ETag); err != nil {
			return err
		}
		err = do(current)
	}
	return err
}

func (h *handler) delete(w http.ResponseWriter, r *http.Request, user string) error {
	return h.settle(r, user, func(current Subscription) error {
		etag := ""
		if conditional(r) {
			etag = current.ETag
		}
		if err := h.store.Delete(r.Context(), user, current.ID, etag); err != nil {
			return err
		}
		h.changed("subscription deleted", current)
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}

// idOf answers the id that the path names. What cannot be decoded is no id.
func idOf(r *http.Request) string {
	id, err := url.PathUnescape(mux.Vars(r)["id"])
	if err != nil {
		return ""
	}
	return id
}

// resource answers a subscription as its owner sees it.
func (h *handler) resource(s Subscription) resource {
	shown := resourceOf(s)
	if s.Signature != SignatureV1 {
		for _, key := range h.keys.public(s.ID) {
			shown.PublicKeys = append(shown.PublicKeys, publicPrefix+base64.StdEncoding.EncodeToString(key))
		}
	}
	return shown
}

func (h *handler) show(w http.ResponseWriter, status int, sub Subscription) {
	w.Header().Set("ETag", quoted(sub.ETag))
	h.ok(w, status, h.resource(sub))
}

// showSecret shows a new secret, which is never shown again.
func (h *handler) showSecret(w http.ResponseWriter, status int, sub Subscription) {
	shown := h.resource(sub)
	shown.Secret = sub.Secret
	w.Header().Set("ETag", quoted(sub.ETag))
	h.ok(w, status, shown)
}

func (h *handler) ok(w http.ResponseWriter, status int, value any) {
	problem.Write(w, h.log, status, "application/json", value)
}

// changed logs a change. Of the target URL only the host may be known: the
// rest of it is often a secret of the subscriber's.
func (h *handler) changed(what string, sub Subscription) {
	h.log.Info(what, "subscription", sub.ID, "user", sub.User, "event", strings.Join(sub.Events, " "), "active", sub.Active, "target_host", sub.Host())
}

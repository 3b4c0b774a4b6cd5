package subscriptions

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hookproxy/hookproxy/internal/problem"
)

// Whether a target has to show that it wants hooks before it gets any.
const (
	// IntentNone: a subscriber's word is enough. The default.
	IntentNone = "none"
	// IntentHandshake: the target has to send back a secret (REST Hooks,
	// "Confirming Receiver's Intent to Subscribe").
	IntentHandshake = "handshake"
)

const (
	// confirmWithin is how long a new subscription stays pending before it ends.
	confirmWithin = 24 * time.Hour
	// hookSecretHeader carries the secret there and back.
	hookSecretHeader = "X-Hook-Secret"
)

// errRefused is what every *refusedError is.
var errRefused = errors.New("the target does not want hooks")

// errHookSecret says that somebody confirmed with another secret than the target got.
var errHookSecret = errors.New("X-Hook-Secret is not what this subscription's target was sent last")

// refusedError says that a target does not want hooks, and what it answered.
type refusedError struct{ reply Reply }

func (e *refusedError) Error() string {
	if e.reply.Status == 0 {
		return "the target did not answer: " + e.reply.Class
	}
	return fmt.Sprintf("the target answered %d; only 2xx shows that it wants hooks", e.reply.Status)
}

func (e *refusedError) Unwrap() error { return errRefused }

// asks tells whether a target is to be asked. The URL has been checked.
func (h *handler) asks(target string) bool {
	u, err := ParseTarget(target)
	return h.intent == IntentHandshake && err == nil && !exempts(h.intentExempt, u.Hostname())
}

// exempts tells whether a host is one of a list, in which *.make.com means all
// hosts below make.com. Case and a dot at the end mean nothing in a host's name.
func exempts(list []string, host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, entry := range list {
		entry = strings.ToLower(entry)
		below, wild := strings.CutPrefix(entry, "*")
		if host == entry || wild && strings.HasSuffix(host, below) && len(host) > len(below) {
			return true
		}
	}
	return false
}

// ask has the target of a subscription asked, and answers the subscription as it
// is to be kept: pending, where the target took the secret and did not send it
// back. It answers a *refusedError or what mayProbe does.
func (h *handler) ask(ctx context.Context, user string, sub Subscription) (Subscription, error) {
	done, err := h.mayProbe(ctx, user)
	if err != nil {
		return Subscription{}, err
	}
	defer done()
	secret := newHookSecret()
	reply := h.prober.Handshake(ctx, sub, secret)
	switch {
	case ctx.Err() != nil:
		return Subscription{}, fmt.Errorf("handshake: %w", ctx.Err())
	case reply.Class != "":
		return Subscription{}, &refusedError{reply}
	}
	sub.Awaits = ""
	if !sameSecret(reply.Header.Get(hookSecretHeader), secret) {
		sub.Awaits = digestOf(secret)
	}
	return sub, nil
}

func newHookSecret() string {
	var secret [secretBytes]byte
	_, _ = rand.Read(secret[:]) // never fails; it ends the process instead
	return hex.EncodeToString(secret[:])
}

// subscribe creates a subscription once its target was asked. It is not where there
// is such a subscription that is not pending, or the key is a repetition.
func (h *handler) subscribe(ctx context.Context, user string, wanted Subscription, key string) (Subscription, Creation, error) {
	if !h.asks(wanted.TargetURL) {
		return h.store.Create(ctx, user, wanted, key)
	}
	for range maxTries {
		there, how, found, err := h.store.Find(ctx, user, wanted, key)
		if err != nil {
			return Subscription{}, "", err
		}
		if how != Replayed && (!found || there.State() == StatePending) {
			if wanted, err = h.askFirst(ctx, user, wanted, there, found); err != nil {
				return Subscription{}, "", err
			}
			return h.store.Create(ctx, user, wanted, key)
		}
		// What was found may have ended since; then its target is to be asked after all.
		sub, how, err := h.store.Renew(ctx, user, wanted, key)
		if !errors.Is(err, ErrChanged) {
			return sub, how, err
		}
	}
	return Subscription{}, "", ErrChanged
}

// askFirst asks the target of a subscription that is about to be created, about the
// pending one that was found or else about the new one.
func (h *handler) askFirst(ctx context.Context, user string, wanted, there Subscription, found bool) (Subscription, error) {
	if !found {
		wanted.ID = h.store.NewID(user)
		return h.ask(ctx, user, wanted)
	}
	asked, err := h.ask(ctx, user, there)
	wanted.Awaits = asked.Awaits
	return wanted, err
}

// askAgain answers what asks another target, once for all tries of a change.
func (h *handler) askAgain(ctx context.Context, user string) func(current, wanted Subscription) (Subscription, error) {
	var asked *Subscription
	return func(current, wanted Subscription) (Subscription, error) {
		if wanted.TargetURL == current.TargetURL || !h.asks(wanted.TargetURL) {
			return wanted, nil
		}
		if asked == nil {
			answered, err := h.ask(ctx, user, wanted)
			if err != nil {
				return Subscription{}, err
			}
			asked = &answered
		}
		wanted.Awaits = asked.Awaits
		return wanted, nil
	}
}

// NewID answers an id that a subscription of the user's may be created with.
func (s *Store) NewID(user string) string { return newID(s.layout.Of(user)) }

// Confirm makes the user's pending subscription what it is to be: active, or what
// its owner asked for instead. secret is what its target was sent last. One that
// is confirmed already stays as it is. It answers ErrNotFound, ErrChanged, and an
// error for another secret.
func (s *Store) Confirm(ctx context.Context, user string, sub Subscription, secret string) (Subscription, error) {
	digest := digestOf(secret)
	if sub.Awaits == "" || !sameSecret(digest, sub.Awaits) {
		return Subscription{}, errHookSecret
	}
	lane, ok := s.owned(user, sub.ID)
	if !ok {
		return Subscription{}, ErrNotFound
	}
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	reply, err := confirmScript.Run(ctx, s.client, lane, s.offset(), sub.ID, user, digest).Slice()
	if err != nil {
		return Subscription{}, unavailable("confirm", err)
	}
	_, confirmed, err := s.readReply(reply)
	return confirmed, err
}

// confirm is the endpoint whose only purpose is the secret.
func (h *handler) confirm(w http.ResponseWriter, r *http.Request, user string) error {
	return h.settle(r, user, func(current Subscription) error {
		secrets := r.Header.Values(hookSecretHeader)
		if len(secrets) != 1 {
			return problem.Wrong(hookSecretHeader, "must be the secret that the target was sent, as a header")
		}
		sub, err := h.store.Confirm(r.Context(), user, current, secrets[0])
		if err != nil {
			return err
		}
		h.changed("subscription confirmed", sub)
		h.show(w, http.StatusOK, sub)
		return nil
	})
}

// confirming lets any request to a pending subscription carry the secret, which
// then counts before what the request is for. On others, the header means nothing.
func (h *handler) confirming(act action) action {
	return func(w http.ResponseWriter, r *http.Request, user string) error {
		secrets := r.Header.Values(hookSecretHeader)
		if len(secrets) == 0 {
			return act(w, r, user)
		}
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			r.Header.Del("If-None-Match") // whoever confirms is shown what came of it
		}
		err := h.settle(r, user, func(current Subscription) error {
			if current.State() != StatePending {
				return nil
			}
			if len(secrets) != 1 {
				return errHookSecret
			}
			sub, err := h.store.Confirm(r.Context(), user, current, secrets[0])
			if err != nil {
				return err
			}
			if h.changed("subscription confirmed", sub); conditional(r) {
				r.Header.Set("If-Match", quoted(sub.ETag)) // it held: only this has changed since
			}
			return nil
		})
		if err != nil {
			return err
		}
		return act(w, r, user)
	}
}

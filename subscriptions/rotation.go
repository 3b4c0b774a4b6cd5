package subscriptions

import (
	"context"
	"net/http"
	"time"
)

const (
	// DefaultOverlap is for how long the secret before a rotation still counts.
	DefaultOverlap = 24 * time.Hour
	// maxOverlap is for how long at most.
	maxOverlap = 7 * 24 * time.Hour
)

// Rotate gives the user's subscription id another secret, which it answers with
// the subscription. Until overlap is over, deliveries are signed with the one
// before too; an older one no longer counts. An empty secret is made up. Where
// etag is not empty and no longer the subscription's, it answers ErrChanged;
// where the user has none, ErrNotFound.
func (s *Store) Rotate(ctx context.Context, user, id, etag, secret string, overlap time.Duration) (Subscription, error) {
	lane, ok := s.owned(user, id)
	if !ok {
		return Subscription{}, ErrNotFound
	}
	if secret == "" {
		secret = newSecret()
	}
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	reply, err := rotateScript.Run(ctx, s.client, lane, s.offset(), id, user, etag, s.secrets.Seal(id, secret),
		overlap.Milliseconds()).Slice()
	if err != nil {
		return Subscription{}, unavailable("rotate", err)
	}
	_, rotated, err := s.readReply(reply)
	return rotated, err
}

// rotation is the body of a request for a new secret. All of it may be left out.
type rotation struct {
	secret  string
	overlap time.Duration
}

func readRotation(w http.ResponseWriter, r *http.Request) (rotation, error) {
	wanted := rotation{overlap: DefaultOverlap}
	if r.ContentLength == 0 {
		return wanted, nil
	}
	body, err := readObject(w, r)
	if err != nil {
		return rotation{}, err
	}
	f := newForm(body)
	f.settable = "secret and overlap_seconds"
	wanted.secret = f.secret()
	if seconds, given := f.whole("overlap_seconds", 0, int(maxOverlap.Seconds())); given {
		wanted.overlap = time.Duration(seconds) * time.Second
	}
	return wanted, f.done()
}

func (h *handler) rotate(w http.ResponseWriter, r *http.Request, user string) error {
	wanted, err := readRotation(w, r)
	if err != nil {
		return err
	}
	return h.settle(r, user, func(current Subscription) error {
		etag := ""
		if conditional(r) {
			etag = current.ETag
		}
		sub, err := h.store.Rotate(r.Context(), user, current.ID, etag, wanted.secret, wanted.overlap)
		if err != nil {
			return err
		}
		h.changed("subscription secret rotated", sub)
		h.showSecret(w, http.StatusOK, sub)
		return nil
	})
}

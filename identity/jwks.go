package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/sync/singleflight"
)

const (
	// keysFor is how long keys are used until they are read again.
	keysFor = 10 * time.Minute
	// keysPause is the least time from one reading to the next, whatever asks
	// for it: strangers can make up as many key ids as they like.
	keysPause = 10 * time.Second
	// maxKeySet is how much is read of a key set, in bytes.
	maxKeySet = 256 << 10
)

var errNoKey = errors.New("none of the issuer's keys has signed it")

// jwks is a key set at a URL (RFC 7517), read when it is needed. Keys stay in
// use for as long as newer ones cannot be read. It has no goroutine of its own:
// a reading belongs to those who wait for it, and ends with the timeout.
type jwks struct {
	at         endpoint
	algorithms []string
	timeout    time.Duration
	now        func() time.Time
	log        *slog.Logger
	readings   singleflight.Group

	mu      sync.Mutex
	keys    keyfunc.Keyfunc // nil: never read yet
	ids     map[string]bool
	read    time.Time // when keys were read
	tried   time.Time // when a reading was last begun
	failure error     // why the last reading failed; nil: it did not
}

// find answers a key for the token's header. It answers ErrUnavailable where
// that would take a reading that failed.
func (j *jwks) find(ctx context.Context, t *jwt.Token) (any, error) {
	id, named := t.Header["kid"].(string)
	keys, known, due := j.look(id, named)
	switch {
	case keys == nil || !known:
		if err := j.refresh(ctx); err != nil {
			return nil, err
		}
		keys, known, _ = j.look(id, named)
	case due:
		j.begin() // for those who come later
	}
	if failure := j.lastFailure(); failure != nil && (keys == nil || !known) {
		return nil, fmt.Errorf("%w: the issuer's keys cannot be read: %w", ErrUnavailable, failure)
	}
	if keys == nil || !known {
		return nil, errNoKey
	}
	return keys.Keyfunc(t)
}

// look answers the keys at hand, whether the one named is among them, and
// whether they are old enough to be read again. A token that names none may be
// signed with any.
func (j *jwks) look(id string, named bool) (keys keyfunc.Keyfunc, known, due bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.keys, !named && len(j.ids) > 0 || j.ids[id], j.now().Sub(j.read) >= keysFor
}

func (j *jwks) lastFailure() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failure
}

// refresh waits for a reading, if one is allowed now.
func (j *jwks) refresh(ctx context.Context) error {
	select {
	case <-j.begin():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
}

func (j *jwks) begin() <-chan singleflight.Result {
	return j.readings.DoChan("", func() (any, error) {
		if j.mayTry() {
			j.note(j.fetch())
		}
		return nil, nil
	})
}

func (j *jwks) mayTry() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.now()
	if !j.tried.IsZero() && now.Sub(j.tried) < keysPause {
		return false
	}
	j.tried = now
	return true
}

// note takes over what a reading brought.
func (j *jwks) note(keys keyfunc.Keyfunc, ids map[string]bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		j.log.Warn("the issuer's keys cannot be read", "url", j.at.name(), "keys_at_hand", len(j.ids), "error", err)
		j.failure = err
		return
	}
	j.keys, j.ids, j.read, j.failure = keys, ids, j.now(), nil
}

func (j *jwks) fetch() (keys keyfunc.Keyfunc, ids map[string]bool, err error) {
	// A set that trips a parser must not take the whole proxy with it.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reading the keys panicked (%T)", p)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), j.timeout)
	defer cancel()
	target := *j.at.url
	req := (&http.Request{Method: http.MethodGet, URL: &target, Host: target.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{
		"Accept": {"application/jwk-set+json, application/json"}, "Accept-Encoding": {"identity"}, "User-Agent": {"hookproxy"},
	}}).WithContext(ctx)
	res, err := j.at.transport.RoundTrip(req) // follows no redirects
	if err != nil {
		return nil, nil, presentable(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxKeySet+1))
	switch {
	case res.StatusCode != http.StatusOK:
		return nil, nil, fmt.Errorf("the answer was %d", res.StatusCode)
	case err != nil:
		return nil, nil, presentable(err)
	case len(body) > maxKeySet:
		return nil, nil, fmt.Errorf("the key set is over %d bytes", maxKeySet)
	}
	return readKeySet(body, j.algorithms)
}

// readKeySet takes the public signature keys that fit the algorithms, and
// leaves out the rest (RFC 7517 section 5). A set without any is an error: to
// believe it would be to drop the keys at hand.
func readKeySet(body []byte, algorithms []string) (keyfunc.Keyfunc, map[string]bool, error) {
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, nil, errors.New("the answer is not a JSON Web Key Set")
	}
	store, ids := jwkset.NewMemoryStorage(), map[string]bool{}
	for _, raw := range set.Keys {
		var m jwkset.JWKMarshal
		if json.Unmarshal(raw, &m) != nil || m.USE != "" && m.USE != jwkset.UseSig || m.ALG != "" && !slices.Contains(algorithms, m.ALG.String()) {
			continue
		}
		key, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil || !isPublic(key.Key(), algorithms) {
			continue
		}
		if err := store.KeyWrite(context.Background(), key); err != nil {
			return nil, nil, err
		}
		ids[m.KID] = true
	}
	if len(ids) == 0 {
		return nil, nil, errors.New("the key set holds no public signature key that fits the algorithms")
	}
	keys, err := keyfunc.New(keyfunc.Options{Storage: store})
	return keys, ids, err
}

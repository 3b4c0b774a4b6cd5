package subscriptions

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/internal/layout"
)

var (
	// ErrKeyReused says that an idempotency key came with another request before.
	ErrKeyReused = errors.New("the Idempotency-Key came with another request before")
	// ErrKeySpent says that what an idempotency key made has been deleted since.
	ErrKeySpent = errors.New("the subscription that this Idempotency-Key made is deleted")
	// ErrOtherSecret says that the subscription there is already has another
	// secret than the one brought.
	ErrOtherSecret = errors.New("the subscription that there is already has another secret")
)

// keyKept is for how long an idempotency key is remembered.
const keyKept = 24 * time.Hour

// Creation tells what became of a Create.
type Creation string

// The ways in which a Create succeeds.
const (
	// Created: there is a new subscription.
	Created Creation = "created"
	// Existing: the user has these events sent to this target already.
	Existing Creation = "existing"
	// Replayed: the same idempotency key has made it before.
	Replayed Creation = "replayed"
)

// Create stores a new subscription of a user: what Update replaces, and Secret,
// which is made up where it is empty. It answers the subscription with the rest
// filled in.
//
// Where the user has the same events sent to the same target already, that
// subscription is the answer, with the new ExpiresAt, and active again had it
// failed. A key that is not empty makes the same request within a day answer
// the same subscription.
//
// It answers ErrLimit, ErrFull, ErrKeyReused, ErrKeySpent or ErrOtherSecret.
func (s *Store) Create(ctx context.Context, user string, sub Subscription, key string) (Subscription, Creation, error) {
	if user == "" {
		return Subscription{}, "", errors.New("a subscription needs a user")
	}
	owned, err := sub.owned()
	if err != nil {
		return Subscription{}, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	lane := s.layout.Of(user)
	room, err := s.room(ctx, lane)
	if err != nil {
		return Subscription{}, "", err
	}
	name, request := keyOf(user, key, owned, sub.Secret, sub.Headers)
	id, secret := newID(lane), cmp.Or(sub.Secret, newSecret())
	owned["user"], owned["secret"] = user, s.secrets.Seal(id, secret)
	owned["headers"] = s.secrets.sealHeaders(id, sub.Headers)
	run := func(ask bool) (string, Subscription, error) {
		reply, err := createScript.Run(ctx, s.client, lane, owned.arguments(s.offset(), id, s.maxPerUser, room,
			name, request, int(keyKept.Seconds()), flag(ask))...).Slice()
		if err != nil {
			return "", Subscription{}, unavailable("create", err)
		}
		return s.readReply(reply)
	}
	// Scripts cannot open secrets: whether one that is brought is that of what
	// exists is seen here, before anything is changed.
	word, made, err := run(sub.Secret != "")
	if err == nil && word == "ask" {
		if !sameSecret(sub.Secret, made.Secret) {
			return Subscription{}, "", ErrOtherSecret
		}
		word, made, err = run(false)
	}
	switch {
	case errors.Is(err, ErrLimit):
		err = fmt.Errorf("%w: at most %d a user", ErrLimit, s.maxPerUser)
	case errors.Is(err, ErrFull):
		err = fmt.Errorf("%w: at most %d", ErrFull, s.maxTotal)
	}
	return made, Creation(word), err
}

// room answers how many subscriptions a lane may have, so that all lanes have
// no more than MaxTotal. A lane's own are counted by the script.
func (s *Store) room(ctx context.Context, lane layout.Lane) (int, error) {
	if s.layout.Count() == 1 {
		return s.maxTotal, nil
	}
	results, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, other := range s.layout.All() {
			if other != lane {
				p.SCard(ctx, other.AllSubscriptions())
			}
		}
		return nil
	})
	if err != nil {
		return 0, unavailable("create", err)
	}
	room := s.maxTotal
	for _, result := range results {
		room -= int(result.(*redis.IntCmd).Val())
	}
	return room, nil
}

// keyOf answers the name under which an idempotency key is kept, which holds
// neither the key nor the user, and what tells its request from another.
func keyOf(user, key string, owned record, secret string, headers map[string]string) (name, request string) {
	if key == "" {
		return "", ""
	}
	text, _ := json.Marshal([]any{owned, secret, headers}) // maps of texts always encode, in the order of their keys
	return digestOf(strconv.Itoa(len(user)) + ":" + user + key), digestOf(string(text))
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

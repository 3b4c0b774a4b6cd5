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

// Create stores a new subscription of a user: what Update replaces, and ID and
// Secret, which are made up where they are empty. It answers the subscription with
// the rest filled in.
//
// Where the user has the same events sent to the same target already, that
// subscription is the answer, with the new ExpiresAt, and active again had it
// failed. A key that is not empty makes the same request within a day answer
// the same subscription.
//
// It answers ErrLimit, ErrFull, ErrKeyReused, ErrKeySpent or ErrOtherSecret.
func (s *Store) Create(ctx context.Context, user string, sub Subscription, key string) (Subscription, Creation, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	run, err := s.creation(ctx, user, sub, key)
	if err != nil {
		return Subscription{}, "", err
	}
	// Scripts cannot open secrets: whether one that is brought is that of what
	// exists is seen here, before anything is changed.
	mode := ""
	if sub.Secret != "" {
		mode = "ask"
	}
	word, made, err := run(mode)
	if err == nil && word == "ask" {
		word, made, err = run("")
	}
	return made, Creation(word), err
}

// Renew is Create for a wish that Find has found: it makes nothing new, and confirms
// nothing that is pending, since no target was asked. It answers ErrChanged where
// what was found is gone by now, or pending, and Create's errors.
func (s *Store) Renew(ctx context.Context, user string, sub Subscription, key string) (Subscription, Creation, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	run, err := s.creation(ctx, user, sub, key)
	if err == nil && sub.Secret != "" { // see Create
		_, _, err = run("look")
	}
	if err != nil {
		return Subscription{}, "", err
	}
	word, there, err := run("renew")
	return there, Creation(word), err
}

// Find answers what a Create of the same would answer, Existing or Replayed,
// without making or changing anything; or false where it would make a new one. Its
// errors are those of Create.
func (s *Store) Find(ctx context.Context, user string, sub Subscription, key string) (there Subscription, how Creation, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	run, err := s.creation(ctx, user, sub, key)
	if err != nil {
		return Subscription{}, "", false, err
	}
	word, there, err := run("look")
	if word == "ask" {
		word = string(Existing)
	}
	return there, Creation(word), word != "new", err
}

// creation prepares create.lua: what it answers runs it in one of its modes.
func (s *Store) creation(ctx context.Context, user string, sub Subscription, key string) (
	run func(mode string) (string, Subscription, error), err error,
) {
	if user == "" {
		return nil, errors.New("a subscription needs a user")
	}
	owned, err := sub.owned()
	if err != nil {
		return nil, err
	}
	lane := s.layout.Of(user)
	room, err := s.room(ctx, lane)
	if err != nil {
		return nil, err
	}
	name, request := keyOf(user, key, owned, sub.Secret, sub.Headers)
	id := cmp.Or(sub.ID, newID(lane))
	owned["user"], owned["secret"] = user, s.secrets.Seal(id, cmp.Or(sub.Secret, newSecret()))
	owned["headers"], owned["confirm"] = s.secrets.sealHeaders(id, sub.Headers), sub.Awaits
	return func(mode string) (string, Subscription, error) {
		reply, err := createScript.Run(ctx, s.client, lane, owned.arguments(s.offset(), id, s.maxPerUser.Load(), room,
			name, request, int(keyKept.Seconds()), mode, confirmWithin.Milliseconds())...).Slice()
		if err != nil {
			return "", Subscription{}, unavailable("create", err)
		}
		word, made, err := s.readReply(reply)
		switch {
		case errors.Is(err, ErrLimit):
			err = fmt.Errorf("%w: at most %d a user", ErrLimit, s.maxPerUser.Load())
		case errors.Is(err, ErrFull):
			err = fmt.Errorf("%w: at most %d", ErrFull, s.maxTotal.Load())
		case word == "ask" && sub.Secret != "" && !sameSecret(sub.Secret, made.Secret):
			err = ErrOtherSecret
		}
		return word, made, err
	}, nil
}

// room answers how many subscriptions a lane may have, so that all lanes have
// no more than MaxTotal. A lane's own are counted by the script.
func (s *Store) room(ctx context.Context, lane layout.Lane) (int, error) {
	if s.layout.Count() == 1 {
		return int(s.maxTotal.Load()), nil
	}
	results, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, other := range s.layout.All() {
			if other != lane {
				p.ZCard(ctx, other.AllSubscriptions())
			}
		}
		return nil
	})
	if err != nil {
		return 0, unavailable("create", err)
	}
	room := int(s.maxTotal.Load())
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

package subscriptions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/internal/layout"
)

var (
	// ErrNotFound says that the user has no such subscription. Whether
	// somebody else has one is not told.
	ErrNotFound = errors.New("no such subscription")
	// ErrLimit says that the user has as many subscriptions as are allowed.
	ErrLimit = errors.New("too many subscriptions")
	// ErrFull says that all users together have as many as are allowed.
	ErrFull = errors.New("too many subscriptions of all users")
	// ErrChanged says that a subscription is no longer as it was expected to be.
	ErrChanged = errors.New("subscription has changed")
	// ErrDuplicate says that another subscription of the user's sends these
	// events to this target.
	ErrDuplicate = errors.New("another subscription sends these events to this target_url")
	// ErrUnavailable says that Redis could not do what it was asked.
	ErrUnavailable = errors.New("subscription store unavailable")
)

const (
	// DefaultMaxPerUser is how many subscriptions a user may have.
	DefaultMaxPerUser = 100
	// DefaultMaxTotal is how many subscriptions all users may have together.
	DefaultMaxTotal = 100_000
	// redisTimeout bounds what one call of the store may wait for Redis.
	redisTimeout = 2 * time.Second
	// readAtOnce is how many subscriptions of a list one round trip reads.
	readAtOnce = 500
)

// StoreOptions configures NewStore.
type StoreOptions struct {
	// Client reaches Redis. Required.
	Client redis.UniversalClient
	// Layout is where in Redis subscriptions live. Its zero value is one lane.
	Layout layout.Layout
	// MaxPerUser is how many subscriptions a user may have. Zero means
	// DefaultMaxPerUser.
	MaxPerUser int
	// MaxTotal is how many subscriptions all users may have together. Zero means
	// DefaultMaxTotal. With several lanes, creations at the same moment in
	// different lanes can exceed it by a few.
	MaxTotal int
	// Secrets seals what is kept of secrets. Nil: they are kept as they are.
	// Whoever signs with them must open them with the same keys.
	Secrets *Sealer
	// Offset moves Redis' clock by some ms, for tests. Nil means not at all.
	Offset func() int64
}

// Store keeps subscriptions in Redis. Every change is one script, so that a
// subscription and the sets it is found by never disagree. It is safe for
// concurrent use.
//
// Where Redis fails, each method answers ErrUnavailable together with Redis'
// own error.
type Store struct {
	client     redis.UniversalClient
	layout     layout.Layout
	maxPerUser atomic.Int64
	maxTotal   atomic.Int64
	secrets    *Sealer
	offset     func() int64
}

// NewStore makes a store. It does not speak to Redis yet.
func NewStore(o StoreOptions) *Store {
	if o.Offset == nil {
		o.Offset = func() int64 { return 0 }
	}
	s := &Store{client: o.Client, layout: o.Layout, secrets: o.Secrets, offset: o.Offset}
	s.Allow(o.MaxPerUser, o.MaxTotal)
	return s
}

// Allow changes MaxPerUser and MaxTotal for subscriptions that are made from now
// on. Zero means the default.
func (s *Store) Allow(perUser, total int) {
	s.maxPerUser.Store(int64(cmp.Or(max(perUser, 0), DefaultMaxPerUser)))
	s.maxTotal.Store(int64(cmp.Or(max(total, 0), DefaultMaxTotal)))
}

// Get answers one of a user's subscriptions, or ErrNotFound.
func (s *Store) Get(ctx context.Context, user, id string) (Subscription, error) {
	lane, ok := s.owned(user, id)
	if !ok {
		return Subscription{}, ErrNotFound
	}
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	values, err := s.client.HMGet(ctx, lane.Subscription(id), fields...).Result()
	if err != nil {
		return Subscription{}, unavailable("get", err)
	}
	sub, found, err := s.decode(values)
	if err != nil {
		return Subscription{}, err
	}
	if !found || sub.User != user {
		return Subscription{}, ErrNotFound
	}
	return sub, nil
}

// List answers a user's subscriptions, oldest first.
func (s *Store) List(ctx context.Context, user string) ([]Subscription, error) {
	if user == "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	lane := s.layout.Of(user)
	ids, err := listScript.Run(ctx, s.client, lane, s.offset(), user).StringSlice()
	if err != nil {
		return nil, unavailable("list", err)
	}
	list := make([]Subscription, 0, len(ids))
	for part := range slices.Chunk(ids, readAtOnce) {
		if list, err = s.read(ctx, lane, user, part, list); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, byAge)
	return list, nil
}

func byAge(a, b Subscription) int {
	return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
}

// read appends the user's subscriptions of some ids. One deleted since the ids
// were listed is left out.
func (s *Store) read(ctx context.Context, lane layout.Lane, user string, ids []string, list []Subscription) ([]Subscription, error) {
	results, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, id := range ids {
			p.HMGet(ctx, lane.Subscription(id), fields...)
		}
		return nil
	})
	if err != nil {
		return nil, unavailable("list", err)
	}
	for _, result := range results {
		sub, found, err := s.decode(result.(*redis.SliceCmd).Val())
		if err != nil {
			return nil, err
		}
		if found && sub.User == user {
			list = append(list, sub)
		}
	}
	return list, nil
}

// Update replaces what an owner sets of the user's subscription sub.ID: Events,
// Format, Signature, Headers, TargetURL, Active, Description, Metadata and
// ExpiresAt. It answers
// ErrNotFound where there is none, ErrDuplicate, and, where sub.ETag is not
// empty and no longer the subscription's, ErrChanged. Setting it active clears
// what counted against its target and has what was kept delivered;
// but one that is pending stays so, unless its TargetURL changes.
func (s *Store) Update(ctx context.Context, user string, sub Subscription) (Subscription, error) {
	lane, ok := s.owned(user, sub.ID)
	if !ok {
		return Subscription{}, ErrNotFound
	}
	owned, err := sub.owned()
	if err != nil {
		return Subscription{}, err
	}
	if !sub.HeadersSealed {
		owned["headers"] = s.secrets.sealHeaders(sub.ID, sub.Headers)
	}
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	owned["confirm"] = sub.Awaits
	reply, err := updateScript.Run(ctx, s.client, lane, owned.arguments(s.offset(), sub.ID, user, sub.ETag)...).Slice()
	if err != nil {
		return Subscription{}, unavailable("update", err)
	}
	_, updated, err := s.readReply(reply)
	return updated, err
}

// Delete ends one of a user's subscriptions, or answers ErrNotFound; where etag
// is not empty and no longer the subscription's, ErrChanged. What was kept for
// it is never delivered.
func (s *Store) Delete(ctx context.Context, user, id, etag string) error {
	lane, ok := s.owned(user, id)
	if !ok {
		return ErrNotFound
	}
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	word, err := deleteScript.Run(ctx, s.client, lane, id, user, etag).Text()
	if err != nil {
		return unavailable("delete", err)
	}
	return refusalOf(word)
}

// Remove ends a subscription whosever it is, for a target that answered 410
// Gone. One that is gone already is no error: two deliveries may be told at
// the same time.
func (s *Store) Remove(ctx context.Context, id string) error {
	lane, ok := laneOf(s.layout, id)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	if err := deleteScript.Run(ctx, s.client, lane, id, "", "").Err(); err != nil {
		return unavailable("remove", err)
	}
	return nil
}

// owned answers the lane of an id, or false where it cannot be one of a
// user's. The empty user owns nothing.
func (s *Store) owned(user, id string) (layout.Lane, bool) {
	lane, ok := laneOf(s.layout, id)
	return lane, ok && user != "" && lane == s.layout.Of(user)
}

// decode reads the values of fields. What cannot be opened is left out: the owner
// can still see and delete the subscription, rotate its secret and set headers anew.
func (s *Store) decode(values []any) (sub Subscription, found bool, err error) {
	r := readRecord(values)
	sub, found, err = r.decode()
	if err != nil || !found {
		return sub, found, err
	}
	for _, secret := range []*string{&sub.Secret, &sub.PreviousSecret} {
		if *secret, err = s.secrets.Open(sub.ID, *secret); err != nil && !errors.Is(err, ErrSealed) {
			return sub, found, err
		}
	}
	sub.Headers, err = s.secrets.OpenHeaders(sub.ID, r["headers"])
	if errors.Is(err, ErrSealed) {
		sub.HeadersSealed, err = true, nil
	}
	return sub, found, err
}

// readReply reads what a script answers about one subscription: a word, and
// where there is a subscription, the values of fields.
func (s *Store) readReply(reply []any) (word string, sub Subscription, err error) {
	word, _ = reply[0].(string)
	if err := refusalOf(word); err != nil || len(reply) < 2 {
		return word, Subscription{}, err
	}
	values, _ := reply[1].([]any)
	sub, found, err := s.decode(values)
	if err == nil && !found {
		err = ErrNotFound
	}
	return word, sub, err
}

// refusalOf answers the error that a script's word stands for.
func refusalOf(word string) error {
	switch word {
	case "missing":
		return ErrNotFound
	case "conflict":
		return ErrChanged
	case "pending":
		return ErrPending
	case "duplicate":
		return ErrDuplicate
	case "user_limit":
		return ErrLimit
	case "total_limit":
		return ErrFull
	case "reused":
		return ErrKeyReused
	case "spent":
		return ErrKeySpent
	}
	return nil
}

func unavailable(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, what, err)
}

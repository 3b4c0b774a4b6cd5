package subscriptions

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	// ErrUnavailable says that Redis could not do what it was asked.
	ErrUnavailable = errors.New("subscription store unavailable")
)

const (
	// DefaultMaxPerUser is how many subscriptions a user may have.
	DefaultMaxPerUser = 100
	// redisTimeout bounds what one call of the store may wait for Redis.
	redisTimeout = 2 * time.Second
	// readAtOnce is how many subscriptions of a list one round trip reads.
	readAtOnce = 500
)

var (
	//go:embed create.lua
	createLua string
	//go:embed update.lua
	updateLua string
	//go:embed delete.lua
	deleteLua string

	createScript = layout.NewScript(createLua)
	updateScript = layout.NewScript(updateLua)
	deleteScript = layout.NewScript(deleteLua)
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
	maxPerUser int
	offset     func() int64
}

// NewStore makes a store. It does not speak to Redis yet.
func NewStore(o StoreOptions) *Store {
	if o.MaxPerUser <= 0 {
		o.MaxPerUser = DefaultMaxPerUser
	}
	if o.Offset == nil {
		o.Offset = func() int64 { return 0 }
	}
	return &Store{client: o.Client, layout: o.Layout, maxPerUser: o.MaxPerUser, offset: o.Offset}
}

// Create stores a new subscription of a user: its Event, Format, TargetURL and
// Active. It answers the subscription with the rest filled in, or ErrLimit.
func (s *Store) Create(ctx context.Context, user string, sub Subscription) (Subscription, error) {
	if user == "" {
		return Subscription{}, errors.New("a subscription needs a user")
	}
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	lane := s.layout.Of(user)
	sub.ID, sub.User, sub.Secret = newID(lane), user, newSecret()
	at, err := createScript.Run(ctx, s.client, lane, sub.ID, user, sub.Event, sub.Format, sub.TargetURL,
		flag(sub.Active), sub.Secret, s.maxPerUser, s.offset()).Int64()
	if err != nil {
		return Subscription{}, unavailable("create", err)
	}
	if at == 0 {
		return Subscription{}, fmt.Errorf("%w: at most %d a user", ErrLimit, s.maxPerUser)
	}
	sub.CreatedAt, sub.UpdatedAt, sub.InactiveReason = fromMilli(at), fromMilli(at), ""
	if !sub.Active {
		sub.InactiveReason = InactiveByOwner
	}
	return sub, nil
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
	sub, found, err := decode(values)
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
	ids, err := s.client.SMembers(ctx, lane.Subscriptions(user)).Result()
	if err != nil {
		return nil, unavailable("list", err)
	}
	list := make([]Subscription, 0, len(ids))
	for part := range slices.Chunk(ids, readAtOnce) {
		if list, err = s.read(ctx, lane, user, part, list); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b Subscription) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return list, nil
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
		sub, found, err := decode(result.(*redis.SliceCmd).Val())
		if err != nil {
			return nil, err
		}
		if found && sub.User == user {
			list = append(list, sub)
		}
	}
	return list, nil
}

// Update replaces Event, Format, TargetURL and Active of the user's
// subscription sub.ID, and answers ErrNotFound where there is none. Setting it
// active clears what counted against its target and has what was kept
// delivered.
func (s *Store) Update(ctx context.Context, user string, sub Subscription) (Subscription, error) {
	lane, ok := s.owned(user, sub.ID)
	if !ok {
		return Subscription{}, ErrNotFound
	}
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	at, err := updateScript.Run(ctx, s.client, lane, sub.ID, user, sub.Event, sub.Format, sub.TargetURL,
		flag(sub.Active), s.offset()).Int64()
	if err != nil {
		return Subscription{}, unavailable("update", err)
	}
	if at == 0 {
		return Subscription{}, ErrNotFound
	}
	return s.Get(ctx, user, sub.ID)
}

// Delete ends one of a user's subscriptions, or answers ErrNotFound. What was
// kept for it is never delivered.
func (s *Store) Delete(ctx context.Context, user, id string) error {
	lane, ok := s.owned(user, id)
	if !ok {
		return ErrNotFound
	}
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	deleted, err := deleteScript.Run(ctx, s.client, lane, id, user).Int64()
	if err != nil {
		return unavailable("delete", err)
	}
	if deleted == 0 {
		return ErrNotFound
	}
	return nil
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
	if err := deleteScript.Run(ctx, s.client, lane, id, "").Err(); err != nil {
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

func unavailable(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, what, err)
}

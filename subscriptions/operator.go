package subscriptions

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/internal/layout"
)

// What an operator sees and does of subscriptions, whosever they are.

// ErrPending says that a subscription waits for its target to confirm it, which
// nobody can do in its place.
var ErrPending = errors.New("the subscription waits for its target to confirm it")

// browsed bounds how many subscriptions one Browse looks at.
const browsed = 1000

// Selection is which subscriptions are asked for. What is empty means all.
type Selection struct {
	User string
	// Event is one that must be delivered to them.
	Event string
	// State is one of the State… constants.
	State string
	// Host is the target URL's, in lower case, without its port.
	Host string
}

// Has tells whether a subscription is among those selected.
func (s Selection) Has(sub Subscription) bool {
	return (s.User == "" || s.User == sub.User) && (s.State == "" || s.State == sub.State()) && (s.Host == "" || s.Host == sub.Host()) &&
		(s.Event == "" || slices.ContainsFunc(sub.Events, func(pattern string) bool { return Covers(pattern, s.Event) }))
}

// Host answers the target URL's host in lower case, "" where it cannot be read. The
// rest of the URL is often a secret of the subscriber's.
func (s Subscription) Host() string {
	u, err := url.Parse(s.TargetURL)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// Browse answers subscriptions of all users, lane by lane and oldest first. It
// begins behind the id after; next is what to go on after, empty at the end. It
// looks at a bounded number, so that a page may be short, or empty, and not be the
// last.
func (s *Store) Browse(ctx context.Context, wanted Selection, after string, limit int) (page []Subscription, next string, err error) {
	ids, err := s.idsAfter(ctx, wanted.User, after)
	if err != nil {
		return nil, "", err
	}
	list, err := s.InspectAll(ctx, ids)
	if err != nil {
		return nil, "", err
	}
	for _, sub := range list {
		if !wanted.Has(sub) {
			continue
		}
		if len(page) == limit {
			return page, page[limit-1].ID, nil
		}
		page = append(page, sub)
	}
	if len(ids) == browsed {
		next = ids[browsed-1]
	}
	return page, next, nil
}

// idsAfter answers the next ids behind one, of all users, or of a user those that
// there are.
func (s *Store) idsAfter(ctx context.Context, user, after string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	if user != "" {
		ids, err := listScript.Run(ctx, s.client, s.layout.Of(user), s.offset(), user).StringSlice()
		if err != nil {
			return nil, unavailable("browse", err)
		}
		slices.Sort(ids)
		return slices.DeleteFunc(ids, func(id string) bool { return id <= after }), nil
	}
	ids, err := layout.IDs(ctx, s.client, s.layout, layout.Lane.AllSubscriptions, after, browsed)
	if err != nil {
		return nil, unavailable("browse", err)
	}
	return ids, nil
}

// Inspect answers a subscription whosever it is, or ErrNotFound.
func (s *Store) Inspect(ctx context.Context, id string) (Subscription, error) {
	list, err := s.InspectAll(ctx, []string{id})
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Subscription{}, err
	}
	return list[0], nil
}

// InspectAll answers those subscriptions of some ids that there are, in their
// order.
func (s *Store) InspectAll(ctx context.Context, ids []string) ([]Subscription, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	list := make([]Subscription, 0, len(ids))
	for part := range slices.Chunk(ids, readAtOnce) {
		results, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, id := range part {
				if lane, ok := laneOf(s.layout, id); ok {
					p.HMGet(ctx, lane.Subscription(id), fields...)
				}
			}
			return nil
		})
		if err != nil {
			return nil, unavailable("inspect", err)
		}
		for _, result := range results {
			sub, found, err := s.decode(result.(*redis.SliceCmd).Val())
			if err != nil {
				return nil, err
			}
			if found {
				list = append(list, sub)
			}
		}
	}
	return list, nil
}

// Switch makes a subscription active, or pauses it, whosever it is. It answers
// ErrNotFound or ErrPending. Its owner can switch it back.
func (s *Store) Switch(ctx context.Context, id string, active bool) (Subscription, error) {
	lane, ok := laneOf(s.layout, id)
	if !ok {
		return Subscription{}, ErrNotFound
	}
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	reply, err := switchScript.Run(ctx, s.client, lane, s.offset(), id, flag(active)).Slice()
	if err != nil {
		return Subscription{}, unavailable("switch", err)
	}
	_, sub, err := s.readReply(reply)
	return sub, err
}

package events

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/redis/go-redis/v9"
)

var (
	//go:embed release.lua
	releaseLua string
	//go:embed claim.lua
	claimLua string

	releaseScript = layout.NewScript(releaseLua)
	claimScript   = layout.NewScript(claimLua)
)

// Why a parked event cannot be released.
var (
	// ErrNotParked says that no such event is parked in Redis: it never was, it
	// has been released, or it is still in some process' spool.
	ErrNotParked = errors.New("no such event is parked")
	// ErrNotAssignable says that there is no user, or that the event has one
	// already and is parked for another reason.
	ErrNotAssignable = errors.New("the event cannot be given to that user")
)

// parkedChunk is how many parked events are looked at in one round trip. Each may
// have a payload.
const parkedChunk = 16

// Release gives a parked event to a user, so that it goes to that user's
// subscriptions. parked is the event as it was published.
//
// The event leaves the parked list in the same step in which it comes onto the
// list of events. Where the user's lane is another one, it is given to the user on
// the parked list first, then comes onto the list of events, and leaves the other
// last: whatever breaks off in between, it goes to no second user, and giving it to
// the first again goes on. It answers ErrNotParked where it is not on the list, as
// while it waits in the spool: it then stays parked for Assign.
func (p *Publisher) Release(ctx context.Context, parked Event, user string) error {
	element, err := parked.Encode()
	if err != nil {
		return err
	}
	return release(ctx, p.client, p.layout, p.layout.Of(parked.User), element, user)
}

// Assign gives the parked event with an id to a user, as Release does. It looks
// through the parked events of all lanes, oldest first, so it is an operator's
// way. It answers ErrNotParked where there is none with that id.
func Assign(ctx context.Context, client redis.UniversalClient, at layout.Layout, id, user string) error {
	lane, element, err := locate(ctx, client, at, id)
	if err != nil {
		return fmt.Errorf("assign event %s: %w", id, err)
	}
	return release(ctx, client, at, lane, element, user)
}

// findParked answers nil where a lane has none with a name. It counts from the right end, where nothing is added meanwhile.
func findParked(ctx context.Context, client redis.UniversalClient, lane layout.Lane, name string) ([]byte, error) {
	for last := int64(-1); ; last -= parkedChunk {
		elements, err := client.LRange(ctx, lane.Parked(), last-parkedChunk+1, last).Result()
		if err != nil || len(elements) == 0 {
			return nil, err
		}
		for _, element := range elements {
			if isNamed([]byte(element), name) {
				return []byte(element), nil
			}
		}
	}
}

// release moves an element that is parked in a lane.
func release(ctx context.Context, client redis.UniversalClient, at layout.Layout, from layout.Lane, parked []byte, user string) error {
	e, err := Decode(parked)
	if err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if user == "" || e.User != "" && e.User != user {
		return fmt.Errorf("release event %s: %w", e.ID, ErrNotAssignable)
	}
	to := at.Of(user)
	if from.Number != to.Number {
		e.User = user
		if parked, err = claim(ctx, client, from, parked, e); err != nil {
			return fmt.Errorf("release event %s: %w", e.ID, err)
		}
	}
	e.User, e.Parked = user, ""
	assigned, err := e.Encode()
	if err != nil {
		return err
	}
	if err := move(ctx, client, from, to, parked, assigned); err != nil {
		return fmt.Errorf("release event %s: %w", e.ID, err)
	}
	return nil
}

// claim gives a parked element to its user where it stands, so that nobody can give
// it to another, and answers what it is then. It answers ErrNotParked to all but the
// first who try.
func claim(ctx context.Context, client redis.Scripter, lane layout.Lane, parked []byte, owned Event) ([]byte, error) {
	claimed, err := owned.Encode()
	if err != nil {
		return nil, err
	}
	won, err := claimScript.Run(ctx, client, lane, parked, claimed).Int()
	if err != nil {
		return nil, err
	}
	if won == 0 {
		return nil, ErrNotParked
	}
	return claimed, nil
}

// move takes parked off one lane and puts assigned onto another's events. No
// script may touch two lanes, so for different ones the event is pushed first: a
// crash in between leaves it in both places, and nowhere loses it.
func move(ctx context.Context, client redis.UniversalClient, from, to layout.Lane, parked, assigned []byte) error {
	if from.Number == to.Number {
		return removeParked(ctx, client, from, parked, assigned)
	}
	if _, err := push(ctx, client, to, []element{{bytes: assigned}}); err != nil {
		return err
	}
	return removeParked(ctx, client, from, parked)
}

// removeParked takes an element off the parked list, and may put another onto the
// list of events in the same step. It answers ErrNotParked where it is not there.
func removeParked(ctx context.Context, client redis.Scripter, lane layout.Lane, elements ...any) error {
	removed, err := releaseScript.Run(ctx, client, lane, elements...).Int()
	if err != nil {
		return err
	}
	if removed == 0 {
		return ErrNotParked
	}
	return nil
}

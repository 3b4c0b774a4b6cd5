package events

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/redis/go-redis/v9"
)

//go:embed release.lua
var releaseLua string

var releaseScript = layout.NewScript(releaseLua)

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
// list of events, or, where the user's lane is another one, right after that. It
// can then stand there although somebody else was first to release it; for the
// same user dispatch drops the second. It answers ErrNotParked where it is not
// on the list, as while it waits in the spool: it then stays parked for Assign.
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
	for _, lane := range at.All() {
		element, err := findParked(ctx, client, lane, id)
		if err != nil {
			return fmt.Errorf("assign event %s: %w", id, err)
		}
		if element != nil {
			return release(ctx, client, at, lane, element, user)
		}
	}
	return fmt.Errorf("assign event %s: %w", id, ErrNotParked)
}

// findParked counts from the right end, where nothing is added meanwhile.
func findParked(ctx context.Context, client redis.UniversalClient, lane layout.Lane, id string) ([]byte, error) {
	for last := int64(-1); ; last -= parkedChunk {
		elements, err := client.LRange(ctx, lane.Parked(), last-parkedChunk+1, last).Result()
		if err != nil || len(elements) == 0 {
			return nil, err
		}
		for _, element := range elements {
			// What cannot be read is parked too, and nobody's to assign.
			if e, err := Decode([]byte(element)); err == nil && e.ID == id {
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
	e.User, e.Parked = user, ""
	assigned, err := e.Encode()
	if err != nil {
		return err
	}
	if err := move(ctx, client, from, at.Of(user), parked, assigned); err != nil {
		return fmt.Errorf("release event %s: %w", e.ID, err)
	}
	return nil
}

// move takes parked off one lane and puts assigned onto another's events. No
// script may touch two lanes, so for different ones the event is pushed first: a
// crash in between leaves it in both places, and nowhere loses it.
func move(ctx context.Context, client redis.UniversalClient, from, to layout.Lane, parked, assigned []byte) error {
	args := []any{parked}
	if from.Number == to.Number {
		args = append(args, assigned)
	} else {
		if err := client.LPos(ctx, from.Parked(), string(parked), redis.LPosArgs{}).Err(); errors.Is(err, redis.Nil) {
			return ErrNotParked
		} else if err != nil {
			return err
		}
		if _, err := push(ctx, client, to, []element{{bytes: assigned}}); err != nil {
			return err
		}
	}
	released, err := releaseScript.Run(ctx, client, from, args...).Int()
	if err != nil {
		return err
	}
	if released == 0 {
		return ErrNotParked
	}
	return nil
}

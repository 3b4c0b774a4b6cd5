package main

import (
	"context"
	"net/http"
	"time"
)

// The operators' commands: each is one call of the admin API (docs/operations.md).

// listing is how much of a list is wanted.
type listing struct {
	operator
	Limit int `default:"100" help:"At most so many."`
}

// selection is whose.
type selection struct {
	User  string `help:"Of this user."`
	Event string `help:"Of this event."`
	Host  string `help:"Whose target URL has this host."`
	State string `help:"Of subscriptions that are active, paused, disabled or pending."`
}

func (s selection) pairs() []string {
	return []string{"user", s.User, "event", s.Event, "host", s.Host, "state", s.State}
}

// one is a thing named by an id.
type one struct {
	operator
	ID string `arg:"" help:"Its id."`
}

type subscriptionsCommand struct {
	List   subscriptionsList   `cmd:"" help:"Those of all users."`
	Show   subscriptionsShow   `cmd:"" help:"One, with its queue and how its target fails."`
	Pause  subscriptionsPause  `cmd:"" help:"Keep its events."`
	Resume subscriptionsResume `cmd:"" help:"Have its events delivered."`
	Delete subscriptionsDelete `cmd:"" help:"End it, and let go of what waits for it."`
}

type (
	subscriptionsList struct {
		listing
		selection
	}
	subscriptionsShow   struct{ one }
	subscriptionsPause  struct{ one }
	subscriptionsResume struct{ one }
	subscriptionsDelete struct{ one }
)

func (c *subscriptionsList) Run(ctx context.Context, std streams) error {
	return c.printList(ctx, std, "subscriptions", values(c.pairs()...), c.Limit,
		columns("ID id", "USER user", "EVENTS events", "TARGET target", "STATE state", "REASON state_reason", "SINCE state_since"))
}

func (c *subscriptionsShow) Run(ctx context.Context, std streams) error {
	return c.show(ctx, std, at("subscriptions", c.ID))
}

func (c *subscriptionsPause) Run(ctx context.Context, std streams) error {
	return c.printOne(ctx, std, http.MethodPost, at("subscriptions", c.ID, "pause"), nil)
}

func (c *subscriptionsResume) Run(ctx context.Context, std streams) error {
	return c.printOne(ctx, std, http.MethodPost, at("subscriptions", c.ID, "resume"), nil)
}

func (c *subscriptionsDelete) Run(ctx context.Context, std streams) error {
	return c.printOne(ctx, std, http.MethodDelete, at("subscriptions", c.ID), nil)
}

type deliveriesCommand struct {
	List   deliveriesList   `cmd:"" help:"The last attempts for a subscription, newest first."`
	Missed deliveriesMissed `cmd:"" help:"What a subscription has not had delivered, by sequence."`
}

type (
	deliveriesList struct {
		listing
		Subscription string `arg:"" help:"The subscription's id."`
		Outcome      string `help:"Those that came to delivered, retry or dead."`
		Event        string `help:"Those of this event: its name, a pattern, or an id."`
	}
	deliveriesMissed struct {
		listing
		Subscription string `arg:"" help:"The subscription's id."`
	}
)

func (c *deliveriesList) Run(ctx context.Context, std streams) error {
	return c.printList(ctx, std, at("subscriptions", c.Subscription, "attempts"), values("outcome", c.Outcome, "event", c.Event), c.Limit,
		columns("AT at", "EVENT event", "ID event_id", "SEQUENCE sequence", "ATTEMPT attempt", "OUTCOME outcome", "STATUS status", "MS duration_ms", "ERROR error", "RESPONSE response"))
}

func (c *deliveriesMissed) Run(ctx context.Context, std streams) error {
	return c.printList(ctx, std, at("subscriptions", c.Subscription, "missed"), values(), c.Limit,
		columns("SEQUENCE sequence", "EVENT event", "ID event_id", "STATE state", "REASON reason", "ATTEMPTS attempts", "OCCURRED occurred_at", "NEXT next_attempt_at"))
}

type queuesCommand struct {
	List  queuesList  `cmd:"" help:"How much waits for each subscription."`
	Show  queuesShow  `cmd:"" help:"What waits for one."`
	Purge queuesPurge `cmd:"" help:"Let go of what waits for one."`
}

type (
	queuesList struct {
		listing
		selection
	}
	queuesShow  struct{ one }
	queuesPurge struct {
		one
		Kind string `required:"" enum:"waiting,dead" help:"waiting (all that is still to be delivered) or dead (its dead letters)."`
	}
)

func (c *queuesList) Run(ctx context.Context, std streams) error {
	return c.printList(ctx, std, "queues", values(c.pairs()...), c.Limit,
		columns("SUBSCRIPTION subscription", "USER user", "TARGET target", "STATE state", "WAITING waiting", "RETRYING retrying", "IN-FLIGHT in_flight",
			"DEAD dead", "OLDEST oldest", "BREAKER breaker", "ERROR last_error"))
}

func (c *queuesShow) Run(ctx context.Context, std streams) error {
	return c.show(ctx, std, at("queues", c.ID))
}

func (c *queuesPurge) Run(ctx context.Context, std streams) error {
	return c.printOne(ctx, std, http.MethodPost, at("queues", c.ID, "purge"), map[string]string{"kind": c.Kind})
}

type deadCommand struct {
	List      deadList      `cmd:"" help:"Dead letters of all subscriptions."`
	Show      deadShow      `cmd:"" help:"One, with its payload."`
	Redeliver deadRedeliver `cmd:"" help:"Have them delivered after all, and what is to be tried again tried at once."`
	Delete    deadDelete    `cmd:"" help:"Let go of one."`
}

// letter names a dead letter.
type letter struct {
	operator
	Subscription string `arg:"" help:"The subscription's id."`
	Event        string `arg:"" help:"The event's id."`
}

type (
	deadList struct {
		listing
		selection
		Subscription string `help:"Of this subscription."`
	}
	deadShow      struct{ letter }
	deadDelete    struct{ letter }
	deadRedeliver struct {
		operator
		Subscription string    `arg:"" optional:"" help:"Of this subscription; or else one of --user, --host and --all."`
		Event        string    `arg:"" optional:"" help:"This event alone, by its id."`
		User         string    `help:"Of all of this user's."`
		Host         string    `help:"Of all whose target URL has this host."`
		All          bool      `help:"Of all."`
		From         time.Time `help:"Of those that occurred from then on (RFC 3339)."`
		To           time.Time `help:"Until then; now, where it is left out."`
		At           time.Time `help:"Begin then; now, where it is left out."`
	}
)

func (c *deadList) Run(ctx context.Context, std streams) error {
	return c.printList(ctx, std, "dead", values(append(c.pairs(), "subscription", c.Subscription)...), c.Limit,
		columns("SUBSCRIPTION subscription", "USER user", "TARGET target", "SEQUENCE sequence", "EVENT event", "ID event_id", "ATTEMPTS attempts", "GIVEN-UP given_up_at"))
}

func (c *deadShow) Run(ctx context.Context, std streams) error {
	return c.show(ctx, std, at("dead", c.Subscription, c.Event))
}

func (c *deadDelete) Run(ctx context.Context, std streams) error {
	return c.printOne(ctx, std, http.MethodDelete, at("dead", c.Subscription, c.Event), nil)
}

package subscriptions

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

var (
	// ErrNotKept says that an event is none of those that a subscription still has
	// to get, or was given up for: it is delivered, has expired, or never was.
	ErrNotKept = errors.New("the event is not kept: it is delivered, has expired, or was never this subscription's")
	// ErrTooManyRedeliveries says that a subscription has as many redeliveries
	// under way as are allowed.
	ErrTooManyRedeliveries = errors.New("too many redeliveries are under way")
)

// History is what became of deliveries, and what can be made of those that did not
// arrive. It does not ask whose a subscription is: the caller has done so. Where
// Redis fails, each method answers ErrUnavailable together with Redis' own error.
type History interface {
	// Attempts answers the last attempts of a subscription, newest first, and
	// whether there are more.
	Attempts(ctx context.Context, subscription string, q AttemptQuery) (list []Attempt, more bool, err error)
	// Missed answers what a subscription has not had delivered, by sequence.
	Missed(ctx context.Context, subscription string, q MissedQuery) (MissedPage, error)
	// Acknowledge lets go of what Missed answers up to a sequence, but for what is
	// in flight: the receiver has it. It answers how many it let go of, and whether
	// there may be more, for which it is to be called again.
	Acknowledge(ctx context.Context, subscription string, through int64) (count int64, more bool, err error)
	// Redeliver begins a redelivery. It answers ErrNotFound where the subscription
	// is gone, ErrNotKept or ErrTooManyRedeliveries.
	Redeliver(ctx context.Context, subscription string, wanted Redelivery) (Redelivery, error)
	// Redelivery answers one of a subscription's redeliveries, or ErrNotFound.
	Redelivery(ctx context.Context, subscription, id string) (Redelivery, error)
}

// What an attempt came to.
const (
	// AttemptDelivered: the target took it.
	AttemptDelivered = "delivered"
	// AttemptRetry: it failed, and is tried again.
	AttemptRetry = "retry"
	// AttemptDead: it failed, and was given up.
	AttemptDead = "dead"
)

// attemptOutcomes are all of them.
var attemptOutcomes = []string{AttemptDelivered, AttemptRetry, AttemptDead}

// Attempt is one exchange with a target, as it is remembered.
type Attempt struct {
	// Cursor is where the list goes on behind this attempt.
	Cursor string `json:"-"`
	// At is when it ended.
	At      time.Time `json:"at"`
	EventID string    `json:"event_id"`
	// Event is the event's name.
	Event    string `json:"event"`
	Sequence int64  `json:"sequence"`
	// Attempt counts from 1.
	Attempt int `json:"attempt"`
	// Outcome is one of the Attempt… constants.
	Outcome string `json:"outcome"`
	// Status is the response's, 0 without one.
	Status     int   `json:"status,omitempty"`
	DurationMS int64 `json:"duration_ms"`
	// Error is the class of what went wrong, empty for nothing.
	Error string `json:"error,omitempty"`
	// Response is how the body of a refusal began, where it was text.
	Response string `json:"response,omitempty"`
	// Batch is what was sent at once, the event above first; nil where that was all.
	Batch *AttemptBatch `json:"batch,omitempty"`
}

// AttemptBatch is a batch as an attempt is remembered of it.
type AttemptBatch struct {
	// ID is its webhook-id.
	ID     string         `json:"id"`
	Events []AttemptEvent `json:"events"`
}

// AttemptEvent is one event of a batch.
type AttemptEvent struct {
	EventID  string `json:"event_id"`
	Event    string `json:"event"`
	Sequence int64  `json:"sequence"`
}

// AttemptQuery is which attempts are asked for.
type AttemptQuery struct {
	// Outcome and Event narrow the list; empty means all. Event is a name, a
	// pattern or an event's id.
	Outcome, Event string
	// Before is the Cursor of the last attempt of the page before; empty for the
	// newest.
	Before string
	Limit  int
}

// Where a delivery stands that has not arrived.
const (
	// MissedWaiting: it was not tried yet, or waits for its turn again.
	MissedWaiting = "waiting"
	// MissedInFlight: an attempt is being made now.
	MissedInFlight = "in_flight"
	// MissedRetrying: it has failed, and is tried again.
	MissedRetrying = "retrying"
	// MissedDead: it was given up.
	MissedDead = "dead"
)

// Missed is an event that a subscription has not had delivered.
type Missed struct {
	Sequence int64  `json:"sequence"`
	EventID  string `json:"event_id"`
	// Event is the event's name.
	Event string `json:"event"`
	// State is one of the Missed… constants, Reason why it stands there.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Attempts have failed.
	Attempts   int       `json:"attempts"`
	OccurredAt time.Time `json:"occurred_at,omitzero"`
	// GivenUpAt is there where it is dead, NextAttemptAt where it is retrying.
	GivenUpAt     time.Time `json:"given_up_at,omitzero"`
	NextAttemptAt time.Time `json:"next_attempt_at,omitzero"`
	// Data is the payload, where it was asked for. DataOmitted is why there is
	// none, DataRedacted what was left out of it.
	Data         json.RawMessage `json:"data,omitempty"`
	DataOmitted  string          `json:"data_omitted,omitempty"`
	DataRedacted []string        `json:"data_redacted,omitempty"`
}

// MissedQuery is which part of what was missed is asked for.
type MissedQuery struct {
	// After is the sequence behind which to begin.
	After int64
	Limit int
	// Data asks for payloads too. A page then ends early where they are large.
	Data bool
	// Dead asks for those alone that were given up.
	Dead bool
}

// MissedPage is a part of what was missed.
type MissedPage struct {
	List []Missed
	// Next is the sequence after which the list goes on; 0 where it has ended.
	Next int64
	// Resting tells that the subscription is left alone for a while: its target
	// keeps failing or asked for it, or its rate is used up.
	Resting bool
}

// The states of a redelivery.
const (
	RedeliveryScheduled = "scheduled"
	RedeliveryRunning   = "running"
	RedeliveryDone      = "done"
	RedeliveryCancelled = "cancelled"
)

// Redelivery is a wish to have deliveries made again, and how far that is.
type Redelivery struct {
	ID           string `json:"id"`
	Subscription string `json:"subscription"`
	// Event is the id of the one event, or Missed asks for all that has failed, or
	// those are meant whose event occurred from From to To.
	Event  string    `json:"event,omitempty"`
	Missed bool      `json:"missed,omitempty"`
	From   time.Time `json:"from,omitzero"`
	To     time.Time `json:"to,omitzero"`
	// Operator tells that an operator asked, not the owner.
	Operator bool `json:"operator,omitempty"`
	// State is one of the Redelivery… constants.
	State     string    `json:"state"`
	CreatedAt time.Time `json:"created_at"`
	// StartsAt is when it is to begin; zero, in a wish, for now.
	StartsAt time.Time `json:"starts_at"`
	EndedAt  time.Time `json:"ended_at,omitzero"`
	// Total is how many deliveries there are to make; with a range, at most, until
	// all of it has been looked through. Done is for how many the next attempt has
	// been made, Failed how many of those attempts failed.
	Total  int64 `json:"total"`
	Done   int64 `json:"done"`
	Failed int64 `json:"failed"`
}

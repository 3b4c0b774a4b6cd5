// Package subscriptions keeps who wants to be told of which events, and where:
// the Subscription, its store in Redis, and the REST Hooks endpoints through
// which a caller manages their own.
package subscriptions

import (
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/hookproxy/hookproxy/internal/layout"
)

// The shapes in which a subscription may have its events delivered.
const (
	// FormatRESTHooks wraps the payload as {"hook": …, "data": …}. The default.
	FormatRESTHooks = "resthooks"
	// FormatRaw delivers the payload alone.
	FormatRaw = "raw"
	// FormatStandard delivers {"type", "timestamp", "data"} (Standard Webhooks,
	// §Payload structure).
	FormatStandard = "standard"
	// FormatCloudEvents delivers the payload alone, and says the rest in ce-*
	// headers (CloudEvents 1.0, HTTP binding, binary mode).
	FormatCloudEvents = "cloudevents"
)

// formats are all of them, the default first.
var formats = []string{FormatRESTHooks, FormatRaw, FormatStandard, FormatCloudEvents}

// What a subscription may have its deliveries signed with (Standard Webhooks,
// §Signature scheme).
const (
	// SignatureV1 is HMAC-SHA256 by the secret. The default.
	SignatureV1 = "v1"
	// SignatureV1A is ed25519 by a key pair of the subscription's own, and nothing
	// by the secret.
	SignatureV1A = "v1a"
	// SignatureBoth is a signature of each kind.
	SignatureBoth = "both"
)

// signatures are all of them, the default first.
var signatures = []string{SignatureV1, SignatureV1A, SignatureBoth}

// Why a subscription is inactive.
const (
	// InactiveByOwner: its owner set active to false.
	InactiveByOwner = "owner"
	// InactiveByFailure: its target failed for too long.
	InactiveByFailure = "failing"
	// InactiveByOperator: whoever runs hookproxy paused it. Its owner can resume it.
	InactiveByOperator = "operator"
	// InactiveUntilConfirmed: its target has not yet shown that it wants hooks.
	InactiveUntilConfirmed = "unconfirmed"
)

// The states that a subscription can be in. Events are delivered in StateActive,
// and kept in all others; but for a new one that is pending, which gets none.
const (
	// StatePending: InactiveUntilConfirmed.
	StatePending = "pending"
	// StateActive: events are delivered.
	StateActive = "active"
	// StatePaused: InactiveByOwner or InactiveByOperator.
	StatePaused = "paused"
	// StateDisabled: InactiveByFailure.
	StateDisabled = "disabled"
)

// Subscription is one user's wish to have some events posted to a URL.
type Subscription struct {
	// ID names the subscription and carries the lane that it lives in.
	ID string
	// User owns the subscription; nobody else can see it.
	User string
	// Events are names such as "contact.create", or patterns: "contact.*" for
	// all whose first part is contact, "*" for all. Sorted, each once, never
	// empty. An event that several of them mean is delivered once.
	Events []string
	// Format is one of the Format constants.
	Format string
	// TargetURL is where events are posted to, as the subscriber wrote it.
	TargetURL string
	// Active is false while events are kept instead of delivered.
	Active bool
	// InactiveReason is one of the Inactive… constants; empty while Active.
	InactiveReason string
	// StateSince is since when it is in its State.
	StateSince time.Time
	// Description and Metadata are the owner's own notes. Metadata is nil where
	// there are none.
	Description string
	Metadata    map[string]string
	// Options are how its deliveries are made.
	Options Options
	// ExpiresAt is when the subscription ends by itself; zero for never.
	ExpiresAt time.Time
	// Secret signs deliveries: "whsec_" and base64 (Standard Webhooks). It is
	// shown to the subscriber once, when it is new. Empty where it cannot be
	// opened (see Sealer).
	Secret string
	// Signature is one of the Signature… constants.
	Signature string
	// Headers are sent along with each delivery, by their canonical names. Their
	// values are secrets: whoever shows a subscription shows the names alone.
	Headers map[string]string
	// HeadersSealed tells that there are headers which cannot be opened (see
	// Sealer). An Update without Headers then leaves them as they are.
	HeadersSealed bool
	// LastAttempt is the latest attempt at a delivery that counted; its At is zero
	// where there was none.
	LastAttempt LastAttempt
	// PreviousSecretUntil is until when deliveries are signed with the secret
	// before this one too. Zero where there was none.
	PreviousSecretUntil time.Time
	// PreviousSecret is that secret. It counts until then and no longer.
	PreviousSecret string
	// ConfirmBy is when a new subscription ends unless its target has confirmed by
	// then. Zero where it has, or need not.
	ConfirmBy time.Time
	// Awaits is the digest of the secret that the target has to send back, or has
	// sent back late; empty where it was not asked, or answered with it at once.
	// Whoever creates or moves a subscription with it makes it pending.
	Awaits string
	// CreatedAt and UpdatedAt are in UTC, by Redis' clock, exact to 1 ms.
	CreatedAt, UpdatedAt time.Time
	// ETag changes with whatever its owner can see of it.
	ETag string
}

// LastAttempt is the latest attempt at a delivery to a subscription.
type LastAttempt struct {
	At time.Time
	// Status is the answer's; 0 without one.
	Status int
	// Error is the class of what went wrong, such as "timeout"; empty for nothing.
	Error string
}

// State answers one of the State… constants.
func (s Subscription) State() string {
	switch {
	case s.Active:
		return StateActive
	case s.InactiveReason == InactiveByFailure:
		return StateDisabled
	case s.InactiveReason == InactiveUntilConfirmed:
		return StatePending
	}
	return StatePaused
}

// Covers tells whether an event, or all that a pattern means, is among a
// pattern's: dispatch finds subscriptions by the same three.
func Covers(pattern, event string) bool {
	noun, _, _ := strings.Cut(event, ".")
	return pattern == "*" || pattern == event || (event != "*" && pattern == noun+".*")
}

// newID answers the id of a new subscription in a lane: "0-01jd…", a lane and a
// lower-case ULID.
func newID(lane layout.Lane) string {
	return strconv.Itoa(lane.Number) + "-" + strings.ToLower(ulid.Make().String())
}

// laneOf answers the lane that an id names, or false where newID cannot have
// made the id. There is one spelling of each id.
func laneOf(l layout.Layout, id string) (layout.Lane, bool) {
	_, unique, _ := strings.Cut(id, "-")
	if _, err := ulid.ParseStrict(unique); err != nil || strings.ToLower(unique) != unique {
		return layout.Lane{}, false
	}
	return l.OfID(id)
}

// Package subscriptions keeps who wants to be told of which events, and where:
// the Subscription, its store in Redis, and the REST Hooks endpoints through
// which a caller manages their own.
package subscriptions

import (
	"crypto/rand"
	"encoding/base64"
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
)

// Why a subscription is inactive.
const (
	// InactiveByOwner: its owner set active to false.
	InactiveByOwner = "owner"
	// InactiveByFailure: its target failed for too long.
	InactiveByFailure = "failing"
)

// secretBytes is how much randomness a secret holds; Standard Webhooks asks for
// 24 to 64 bytes (section "Signature scheme").
const secretBytes = 32

// Subscription is one user's wish to have one kind of event posted to a URL.
type Subscription struct {
	// ID names the subscription and carries the lane that it lives in.
	ID string
	// User owns the subscription; nobody else can see it.
	User string
	// Event is the event's name, such as "contact.create".
	Event string
	// Format is FormatRESTHooks or FormatRaw.
	Format string
	// TargetURL is where events are posted to, as the subscriber wrote it.
	TargetURL string
	// Active is false while events are kept instead of delivered.
	Active bool
	// InactiveReason is InactiveByOwner or InactiveByFailure; empty while
	// Active.
	InactiveReason string
	// Secret signs deliveries: "whsec_" and base64 (Standard Webhooks). It is
	// shown to the subscriber once, when the subscription is created.
	Secret string
	// CreatedAt and UpdatedAt are in UTC, by Redis' clock, exact to 1 ms.
	CreatedAt, UpdatedAt time.Time
}

// newID answers the id of a new subscription in a lane: "0-01jd…", a lane and a
// lower-case ULID.
func newID(lane layout.Lane) string {
	return strconv.Itoa(lane.Number) + "-" + strings.ToLower(ulid.Make().String())
}

// laneOf answers the lane that an id names, or false where newID cannot have
// made the id. There is one spelling of each id.
func laneOf(l layout.Layout, id string) (layout.Lane, bool) {
	number, unique, found := strings.Cut(id, "-")
	n, err := strconv.Atoi(number)
	if !found || err != nil || n < 0 || n >= l.Count() || strconv.Itoa(n) != number {
		return layout.Lane{}, false
	}
	if _, err := ulid.ParseStrict(unique); err != nil || strings.ToLower(unique) != unique {
		return layout.Lane{}, false
	}
	return l.Lane(n), true
}

func newSecret() string {
	var secret [secretBytes]byte
	_, _ = rand.Read(secret[:]) // never fails; it ends the process instead
	return "whsec_" + base64.StdEncoding.EncodeToString(secret[:])
}

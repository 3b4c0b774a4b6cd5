package subscriptions

import (
	"strings"
	"time"
)

// timeFormat is RFC 3339 to the millisecond, which is how exact times are kept.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// resource is a subscription as its owner sees it.
type resource struct {
	ID   string `json:"id"`
	User string `json:"user"`
	// Event is there where Events is one.
	Event          string            `json:"event,omitempty"`
	Events         []string          `json:"events"`
	Format         string            `json:"format"`
	TargetURL      string            `json:"target_url"`
	Active         bool              `json:"active"`
	State          string            `json:"state"`
	StateReason    string            `json:"state_reason"` // "" while active
	StateSince     string            `json:"state_since"`
	Description    string            `json:"description"`
	Metadata       map[string]string `json:"metadata"`
	Ordered        bool              `json:"ordered"`
	OrderKey       *string           `json:"order_key"`
	MaxRate        *float64          `json:"max_rate"`
	Debounce       *string           `json:"debounce"`
	Batch          *batchResource    `json:"batch"`
	Skinny         bool              `json:"skinny"`
	ExpirationDate *string           `json:"expiration_date"`
	CreatedAt      string            `json:"created_at"`
	UpdatedAt      string            `json:"updated_at"`
	SecretUntil    *string           `json:"previous_secret_until"`
	ConfirmBy      *string           `json:"confirm_by"`
	Signature      string            `json:"signature"`
	Headers        map[string]string `json:"headers"` // each value redacted
	LastAttempt    *lastAttempt      `json:"last_attempt"`
	PublicKeys     []string          `json:"public_keys,omitempty"` // where signed by a key pair
	Secret         string            `json:"secret,omitempty"`      // where it is new alone
}

// batchResource is a Batch as its owner sees it.
type batchResource struct {
	Max    int    `json:"max"`
	Within string `json:"within"`
}

// lastAttempt is a LastAttempt as an owner sees it.
type lastAttempt struct {
	At     string `json:"at"`
	Status *int   `json:"status"` // null without an answer
	Error  string `json:"error"`  // "" where it was delivered
}

func lastAttemptOf(a LastAttempt) *lastAttempt {
	if a.At.IsZero() {
		return nil
	}
	shown := &lastAttempt{At: a.At.Format(timeFormat), Error: a.Error}
	if a.Status != 0 {
		shown.Status = &a.Status
	}
	return shown
}

func resourceOf(s Subscription) resource {
	shown := resource{
		ID: s.ID, User: s.User, Events: s.Events, Format: s.Format, TargetURL: s.TargetURL, Active: s.Active,
		State: s.State(), StateReason: s.InactiveReason, StateSince: s.StateSince.Format(timeFormat),
		Description: s.Description, Metadata: s.Metadata,
		CreatedAt: s.CreatedAt.Format(timeFormat), UpdatedAt: s.UpdatedAt.Format(timeFormat),
		Signature: s.Signature, Headers: redactHeaders(s.Headers),
		LastAttempt: lastAttemptOf(s.LastAttempt),
	}
	if len(s.Events) == 1 {
		shown.Event = s.Events[0]
	}
	if s.Metadata == nil {
		shown.Metadata = map[string]string{} // never null
	}
	shown.showOptions(s.Options)
	if !s.ExpiresAt.IsZero() {
		shown.ExpirationDate = new(s.ExpiresAt.Format(timeFormat))
	}
	if !s.PreviousSecretUntil.IsZero() {
		shown.SecretUntil = new(s.PreviousSecretUntil.Format(timeFormat))
	}
	if !s.ConfirmBy.IsZero() {
		shown.ConfirmBy = new(s.ConfirmBy.Format(timeFormat))
	}
	return shown
}

// showOptions shows what is not set as null, and times as they may be set.
func (r *resource) showOptions(o Options) {
	r.Ordered, r.Skinny = o.Ordered, o.Skinny
	if o.OrderKey != "" {
		r.OrderKey = &o.OrderKey
	}
	if o.MaxRate > 0 {
		r.MaxRate = &o.MaxRate
	}
	if o.Debounce > 0 {
		r.Debounce = new(shortly(o.Debounce))
	}
	if o.Batch.Max > 0 {
		r.Batch = &batchResource{o.Batch.Max, shortly(o.Batch.Within)}
	}
}

// shortly answers 1m for what String calls 1m0s.
func shortly(d time.Duration) string {
	text := d.String()
	for _, nothing := range []string{"m0s", "h0m"} {
		if whole, found := strings.CutSuffix(text, nothing); found {
			text = whole + nothing[:1]
		}
	}
	return text
}

// settable answers the fields that an owner sets, which a patch is applied to.
func (r resource) settable() map[string]any {
	return map[string]any{
		"events": r.Events, "format": r.Format, "target_url": r.TargetURL, "active": r.Active,
		"description": r.Description, "metadata": r.Metadata, "expiration_date": r.ExpirationDate,
		"signature": r.Signature, "headers": r.Headers,
		"ordered": r.Ordered, "order_key": r.OrderKey, "max_rate": r.MaxRate, "debounce": r.Debounce, "batch": r.Batch, "skinny": r.Skinny,
	}
}

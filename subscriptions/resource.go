package subscriptions

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
	ExpirationDate *string           `json:"expiration_date"`
	CreatedAt      string            `json:"created_at"`
	UpdatedAt      string            `json:"updated_at"`
	SecretUntil    *string           `json:"previous_secret_until"`
	Signature      string            `json:"signature"`
	Headers        map[string]string `json:"headers"`               // each value redacted
	PublicKeys     []string          `json:"public_keys,omitempty"` // where signed by a key pair
	Secret         string            `json:"secret,omitempty"`      // where it is new alone
}

func resourceOf(s Subscription) resource {
	shown := resource{
		ID: s.ID, User: s.User, Events: s.Events, Format: s.Format, TargetURL: s.TargetURL, Active: s.Active,
		State: s.State(), StateReason: s.InactiveReason, StateSince: s.StateSince.Format(timeFormat),
		Description: s.Description, Metadata: s.Metadata,
		CreatedAt: s.CreatedAt.Format(timeFormat), UpdatedAt: s.UpdatedAt.Format(timeFormat),
		Signature: s.Signature, Headers: redactHeaders(s.Headers),
	}
	if len(s.Events) == 1 {
		shown.Event = s.Events[0]
	}
	if s.Metadata == nil {
		shown.Metadata = map[string]string{} // never null
	}
	if !s.ExpiresAt.IsZero() {
		shown.ExpirationDate = new(s.ExpiresAt.Format(timeFormat))
	}
	if !s.PreviousSecretUntil.IsZero() {
		shown.SecretUntil = new(s.PreviousSecretUntil.Format(timeFormat))
	}
	return shown
}

// settable answers the fields that an owner sets, which a patch is applied to.
func (r resource) settable() map[string]any {
	return map[string]any{
		"events": r.Events, "format": r.Format, "target_url": r.TargetURL, "active": r.Active,
		"description": r.Description, "metadata": r.Metadata, "expiration_date": r.ExpirationDate,
		"signature": r.Signature, "headers": r.Headers,
	}
}

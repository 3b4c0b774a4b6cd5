package subscriptions

import (
	"cmp"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fields are those of a subscription's hash that its owner or we write, in the
// order that scripts answer them. The last three are
// delivery's, for the owner to see; it keeps others beside them.
var fields = []string{
	"id", "user", "event", "format", "target_url", "active", "inactive_reason", "created_at", "updated_at",
	"active_since", "inactive_since", "description", "metadata", "expires_at",
	"ordered", "max_rate", "debounce", "batch_max", "batch_within", "skinny",
	"previous_secret_until", "signature", "confirm_by", "secret", "previous_secret", "headers", "confirm", "once_confirmed",
	"last_at", "last_status", "last_error",
}

// secretFields are those that do not count into an ETag: it would let whoever may
// read it try out guesses at them. Their changes show in updated_at.
var secretFields = []string{"secret", "previous_secret", "headers", "confirm", "once_confirmed"}

// movingFields do not either: they change with each attempt, and a writer who was
// told an ETag would never come in time.
var movingFields = []string{"last_at", "last_status", "last_error"}

// untagged are the fields that do not count into an ETag.
var untagged = slices.Concat(secretFields, movingFields)

// record is a subscription's hash: the values of fields, by name.
type record map[string]string

// readRecord reads the values of fields. A missing one is empty.
func readRecord(values []any) record {
	r := make(record, len(fields))
	for i, value := range values {
		if text, ok := value.(string); ok && i < len(fields) {
			r[fields[i]] = text
		}
	}
	return r
}

// etag is what etag in subscription.lua makes of the same values.
func (r record) etag() string {
	var shown []string
	for _, field := range fields {
		if !slices.Contains(untagged, field) {
			shown = append(shown, r[field])
		}
	}
	sum := sha1.Sum([]byte(strings.Join(shown, "\n")))
	return hex.EncodeToString(sum[:])
}

// decode answers the subscription, its secret as it is kept, or false where there
// is none.
func (r record) decode() (s Subscription, found bool, err error) {
	if r["id"] == "" {
		return Subscription{}, false, nil
	}
	s = Subscription{
		ID: r["id"], User: r["user"], Events: strings.Fields(r["event"]), Format: r["format"], TargetURL: r["target_url"],
		Active: r["active"] == "1", InactiveReason: r["inactive_reason"], Description: r["description"],
		Secret: r["secret"], PreviousSecret: r["previous_secret"], Awaits: r["confirm"], ETag: r.etag(),
		Signature: cmp.Or(r["signature"], SignatureV1),
	}
	since := "active_since"
	if !s.Active {
		since = "inactive_since"
	}
	// Where there is no such time, the state has changed with the last write.
	if r[since] == "" {
		since = "updated_at"
	}
	for _, at := range []struct {
		field string
		time  *time.Time
	}{{"created_at", &s.CreatedAt}, {"updated_at", &s.UpdatedAt}, {since, &s.StateSince}, {"expires_at", &s.ExpiresAt}, {"previous_secret_until", &s.PreviousSecretUntil}, {"confirm_by", &s.ConfirmBy}} {
		if *at.time, err = r.time(at.field); err != nil {
			return Subscription{}, false, fmt.Errorf("subscription %s: %w", s.ID, err)
		}
	}
	if s.Options, err = r.options(); err != nil {
		return Subscription{}, false, fmt.Errorf("subscription %s: %w", s.ID, err)
	}
	if s.LastAttempt, err = r.lastAttempt(); err != nil {
		return Subscription{}, false, fmt.Errorf("subscription %s: %w", s.ID, err)
	}
	if r["metadata"] != "" {
		if err := json.Unmarshal([]byte(r["metadata"]), &s.Metadata); err != nil {
			return Subscription{}, false, fmt.Errorf("subscription %s: metadata is not JSON", s.ID)
		}
	}
	return s, true, nil
}

func (r record) lastAttempt() (LastAttempt, error) {
	if r["last_at"] == "" {
		return LastAttempt{}, nil
	}
	at, err := r.time("last_at")
	status, statusErr := strconv.Atoi(cmp.Or(r["last_status"], "0"))
	if err := errors.Join(err, statusErr); err != nil {
		return LastAttempt{}, err
	}
	return LastAttempt{At: at, Status: status, Error: r["last_error"]}, nil
}

// time answers a time that is kept in ms. Those ahead may be missing.
func (r record) time(field string) (time.Time, error) {
	if ahead := field == "expires_at" || field == "previous_secret_until" || field == "confirm_by"; ahead && r[field] == "" {
		return time.Time{}, nil
	}
	ms, err := strconv.ParseInt(r[field], 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s is not a time in ms", field)
	}
	return fromMilli(ms), nil
}

// owned answers the fields that an owner sets. Empty ones are removed from the
// hash.
func (s Subscription) owned() (record, error) {
	r := record{
		"event": joinEvents(s.Events), "format": s.Format, "target_url": s.TargetURL, "active": flag(s.Active),
		"description": s.Description, "metadata": "", "expires_at": "", "signature": s.Signature,
	}
	if s.Signature == SignatureV1 {
		r["signature"] = "" // as it is kept of those older than the choice
	}
	s.Options.record(r)
	if len(s.Metadata) > 0 {
		metadata, err := json.Marshal(s.Metadata)
		if err != nil {
			return nil, fmt.Errorf("encode metadata: %w", err)
		}
		r["metadata"] = string(metadata)
	}
	if !s.ExpiresAt.IsZero() {
		r["expires_at"] = strconv.FormatInt(s.ExpiresAt.UnixMilli(), 10)
	}
	return r, nil
}

// arguments puts the fields behind a script's other arguments.
func (r record) arguments(first ...any) []any {
	for _, field := range slices.Sorted(maps.Keys(r)) {
		first = append(first, field, r[field])
	}
	return first
}

// joinEvents answers events as they are kept: sorted, each once, a space between
// two.
func joinEvents(events []string) string {
	sorted := slices.Sorted(slices.Values(events))
	return strings.Join(slices.Compact(sorted), " ")
}

func fromMilli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func flag(active bool) string {
	if active {
		return "1"
	}
	return "0"
}

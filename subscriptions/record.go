package subscriptions

import (
	"fmt"
	"strconv"
	"time"
)

// fields are those of a subscription's hash that its owner or we write, in the
// order that decode reads them. Delivery keeps its own beside them.
var fields = []string{
	"id", "user", "event", "format", "target_url", "active", "inactive_reason", "secret", "created_at", "updated_at",
}

// decode reads the values of fields. It answers false where there is no
// subscription.
func decode(values []any) (s Subscription, found bool, err error) {
	text := make([]string, len(fields))
	for i, value := range values {
		text[i], _ = value.(string) // nil where the field is missing
	}
	s = Subscription{
		ID: text[0], User: text[1], Event: text[2], Format: text[3], TargetURL: text[4],
		Active: text[5] == "1", InactiveReason: text[6], Secret: text[7],
	}
	if s.ID == "" {
		return Subscription{}, false, nil
	}
	for i, at := range []*time.Time{&s.CreatedAt, &s.UpdatedAt} {
		ms, err := strconv.ParseInt(text[8+i], 10, 64)
		if err != nil {
			return Subscription{}, false, fmt.Errorf("subscription %s: %s is not a time in ms", s.ID, fields[8+i])
		}
		*at = fromMilli(ms)
	}
	return s, true, nil
}

func fromMilli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func flag(active bool) string {
	if active {
		return "1"
	}
	return "0"
}

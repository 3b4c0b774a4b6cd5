package events

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/oklog/ulid/v2"
)

// NewID answers a fresh event id: a ULID in lower case, so that ids sort by time.
func NewID() string {
	var text [ulid.EncodedSize]byte
	_ = ulid.Make().MarshalTextTo(text[:]) // it fails for another size only
	for i := range text {
		text[i] |= 'a' - 'A' // which digits have already
	}
	return string(text[:])
}

// ReplayID answers the id of an event whose request carried an Idempotency-Key
// (draft-ietf-httpapi-idempotency-key-header): the same for each replay of the
// request, so that dispatch drops the repetition. rule and item tell apart the
// several events that one request may cause.
func ReplayID(user, method, path, key, rule string, item int) string {
	h := sha256.New()
	for _, part := range []string{user, method, path, key, rule, strconv.Itoa(item)} {
		// The length first, so that no two lists of parts hash alike.
		_, _ = h.Write([]byte(strconv.Itoa(len(part)) + ":" + part))
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}

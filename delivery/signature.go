package delivery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/hookproxy/hookproxy/subscriptions"
)

// hookSignature is X-Hook-Signature: hex HMAC-SHA256 of the body. Its key is the
// secret's whole text, prefix and all, so that a receiver needs no decoding.
func hookSignature(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write(body) // a hash's Write never fails
	return hex.EncodeToString(mac.Sum(nil))
}

// standardSignature is webhook-signature as Standard Webhooks wants it: HMAC-SHA256
// of "id.timestamp.body", keyed with what the secret's text encodes.
func standardSignature(secret, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, signingKey(secret))
	_, _ = mac.Write([]byte(id + "." + timestamp + "."))
	_, _ = mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// signatures answers webhook-signature: one, or two while the secret is being
// changed, the newer first (Standard Webhooks, "Signature scheme").
func (d *delivery) signatures(timestamp string, body []byte) string {
	signature := standardSignature(d.secret, d.event.ID, timestamp, body)
	if d.previousSecret != "" {
		signature += " " + standardSignature(d.previousSecret, d.event.ID, timestamp, body)
	}
	return signature
}

// signingKey decodes a secret. One that is not base64 is its own key: a
// signature that a receiver may still check beats none.
func signingKey(secret string) []byte {
	text := strings.TrimPrefix(secret, subscriptions.SecretPrefix)
	if key, err := base64.StdEncoding.DecodeString(text); err == nil {
		return key
	}
	return []byte(text)
}

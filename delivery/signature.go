package delivery

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/hookproxy/hookproxy/subscriptions"
)

// errNoKey says that a subscription wants v1a signatures, and nothing to make them with is there.
var errNoKey = errors.New("no signing key is set")

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

// asymmetricSignature is a v1a signature: ed25519 over the same content.
func asymmetricSignature(key ed25519.PrivateKey, id, timestamp string, body []byte) string {
	content := append([]byte(id+"."+timestamp+"."), body...)
	return "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(key, content))
}

// symmetric tells whether the subscription wants signatures by its secret.
func (d *delivery) symmetric() bool { return d.signature != subscriptions.SignatureV1A }

// asymmetric tells whether it wants signatures by its key pair.
func (d *delivery) asymmetric() bool {
	return d.signature == subscriptions.SignatureV1A || d.signature == subscriptions.SignatureBoth
}

// signatures answers webhook-signature: a space between two where the secret or
// the keys are being changed, or both kinds are wanted, the newer first (Standard
// Webhooks, "Signature scheme").
func (d *delivery) signatures(timestamp string, body []byte) string {
	var all []string
	if d.symmetric() {
		all = append(all, standardSignature(d.secret, d.id(), timestamp, body))
		if d.previousSecret != "" {
			all = append(all, standardSignature(d.previousSecret, d.id(), timestamp, body))
		}
	}
	for _, key := range d.keys {
		all = append(all, asymmetricSignature(key, d.id(), timestamp, body))
	}
	return strings.Join(all, " ")
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

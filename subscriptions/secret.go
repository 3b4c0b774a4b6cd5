package subscriptions

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrSealed says that a secret was sealed with a key that is not given, or
	// for another subscription.
	ErrSealed = errors.New("the secret cannot be opened with the keys given")
	// errSecret says what a secret that a subscriber brings must be.
	errSecret = errors.New("must be whsec_ and the base64 of 24 to 64 bytes")
)

const (
	// SecretPrefix begins every secret (Standard Webhooks, "Signature scheme").
	SecretPrefix = "whsec_"
	// secretBytes is how much randomness a secret of ours holds; Standard
	// Webhooks asks for minSecretBytes to maxSecretBytes.
	secretBytes                    = 32
	minSecretBytes, maxSecretBytes = 24, 64
	// sealedPrefix begins what Seal makes: "sealed:<key id>:<base64>".
	sealedPrefix = "sealed:"
	// sealingKeyBytes is how long a sealing key is: AES-256.
	sealingKeyBytes = 32
)

func newSecret() string {
	var secret [secretBytes]byte
	_, _ = rand.Read(secret[:]) // never fails; it ends the process instead
	return SecretPrefix + base64.StdEncoding.EncodeToString(secret[:])
}

// checkSecret answers an error, to be shown, for a secret that is none. There is
// one spelling of each: what receivers decode leniently, others refuse.
func checkSecret(secret string) error {
	text, found := strings.CutPrefix(secret, SecretPrefix)
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	if !found || err != nil || strings.ContainsAny(text, "\r\n") || len(key) < minSecretBytes || len(key) > maxSecretBytes {
		return errSecret
	}
	return nil
}

func sameSecret(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// Sealer keeps secrets from whoever can read Redis, its backups and its
// replicas: AES-256-GCM, with the subscription's id as additional data, so that
// one's secret cannot be put in another's place. A nil *Sealer leaves secrets as
// they are. It is safe for concurrent use.
type Sealer struct {
	seal string // the id of the key to seal with
	keys map[string]cipher.AEAD
}

// NewSealer takes keys of 32 bytes. The first seals; all of them open, so that a
// new key can be put before the old ones. Secrets kept before there were keys
// stay readable.
func NewSealer(keys [][]byte) (*Sealer, error) {
	if len(keys) == 0 {
		return nil, errors.New("no key to seal secrets with")
	}
	s := &Sealer{keys: make(map[string]cipher.AEAD, len(keys))}
	for i, key := range keys {
		if len(key) != sealingKeyBytes {
			return nil, fmt.Errorf("key %d has %d bytes; %d were expected", i+1, len(key), sealingKeyBytes)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		sum := sha256.Sum256(append([]byte("hookproxy key id"), key...))
		id := hex.EncodeToString(sum[:4])
		s.keys[id] = aead
		if i == 0 {
			s.seal = id
		}
	}
	return s, nil
}

// ParseKeys reads keys as a setting has them: base64, a comma between two. Its
// errors hold nothing of the keys.
func ParseKeys(text string) ([][]byte, error) {
	var keys [][]byte
	for one := range strings.SplitSeq(text, ",") {
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(one))
		if err != nil || len(key) != sealingKeyBytes {
			return nil, fmt.Errorf("key %d is not the base64 of 32 bytes", len(keys)+1)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Seal answers a subscription's secret as it is to be kept.
func (s *Sealer) Seal(subscription, secret string) string {
	if s == nil {
		return secret
	}
	sealed := s.keys[s.seal].Seal(nil, nil, []byte(secret), []byte(subscription))
	return sealedPrefix + s.seal + ":" + base64.StdEncoding.EncodeToString(sealed)
}

// Open answers a subscription's secret from how it is kept, sealed or not; or
// ErrSealed.
func (s *Sealer) Open(subscription, kept string) (string, error) {
	text, found := strings.CutPrefix(kept, sealedPrefix)
	if !found {
		return kept, nil
	}
	if s == nil {
		return "", ErrSealed
	}
	id, encoded, _ := strings.Cut(text, ":")
	sealed, err := base64.StdEncoding.DecodeString(encoded)
	aead, known := s.keys[id]
	if err != nil || !known {
		return "", ErrSealed
	}
	secret, err := aead.Open(nil, nil, sealed, []byte(subscription))
	if err != nil {
		return "", ErrSealed
	}
	return string(secret), nil
}

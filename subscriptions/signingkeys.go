package subscriptions

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"

	"github.com/gorilla/mux"

	"github.com/hookproxy/hookproxy/internal/problem"
)

const (
	// publicPrefix begins a public key (Standard Webhooks, §Signature scheme).
	publicPrefix = "whpk_"
	// maxSigningKeys is how many keys there may be at once: each adds a signature to
	// each delivery.
	maxSigningKeys = 4
	// jwksMaxAge is for how many seconds a cache may keep a key set.
	jwksMaxAge = 300
)

// SigningKeys makes the key pairs by which v1a signatures are made. Each
// subscription has its own, as Standard Webhooks asks ("unique per endpoint"):
// what one receiver was sent convinces no other. They are derived and kept
// nowhere. A nil *SigningKeys has none. It is safe for concurrent use.
type SigningKeys struct{ masters [][]byte }

// NewSigningKeys takes keys of 32 bytes to derive from, the newest first. All of
// them sign, so that receivers can change over in their own time.
func NewSigningKeys(masters [][]byte) (*SigningKeys, error) {
	if len(masters) == 0 || len(masters) > maxSigningKeys {
		return nil, fmt.Errorf("there are %d keys; 1 to %d were expected", len(masters), maxSigningKeys)
	}
	for i, master := range masters {
		if len(master) != ed25519.SeedSize {
			return nil, fmt.Errorf("key %d has %d bytes; %d were expected", i+1, len(master), ed25519.SeedSize)
		}
	}
	return &SigningKeys{masters}, nil
}

// Of answers the keys that sign for a subscription, the newest first; nil where
// there are none.
func (k *SigningKeys) Of(subscription string) []ed25519.PrivateKey {
	if k == nil {
		return nil
	}
	keys := make([]ed25519.PrivateKey, len(k.masters))
	for i, master := range k.masters {
		seed, err := hkdf.Key(sha256.New, master, nil, "hookproxy v1a "+subscription, ed25519.SeedSize)
		if err != nil {
			panic(err) // only for lengths beyond what SHA-256 can give
		}
		keys[i] = ed25519.NewKeyFromSeed(seed)
	}
	return keys
}

func (k *SigningKeys) public(subscription string) []ed25519.PublicKey {
	var keys []ed25519.PublicKey
	for _, key := range k.Of(subscription) {
		keys = append(keys, key.Public().(ed25519.PublicKey))
	}
	return keys
}

// jwk is an ed25519 public key (RFC 8037 §2).
type jwk struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	ID        string `json:"kid"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
}

// jwkOf names the key by its thumbprint (RFC 7638), which is the same wherever it
// is made.
func jwkOf(key ed25519.PublicKey) jwk {
	x := base64.RawURLEncoding.EncodeToString(key)
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`))
	return jwk{KeyType: "OKP", Curve: "Ed25519", X: x, ID: base64.RawURLEncoding.EncodeToString(sum[:]), Use: "sig", Algorithm: "EdDSA"}
}

// jwks answers a subscription's public keys to anybody. The id alone decides, so
// that nobody learns here which subscriptions there are.
func (h *handler) jwks(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		h.fail(w, r, errMethod)
		return
	}
	id := mux.Vars(r)["id"]
	if _, ok := laneOf(h.store.layout, id); !ok || h.keys == nil {
		h.fail(w, r, ErrNotFound)
		return
	}
	set := struct {
		Keys []jwk `json:"keys"`
	}{}
	for _, key := range h.keys.public(id) {
		set.Keys = append(set.Keys, jwkOf(key))
	}
	w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", jwksMaxAge))
	problem.Write(w, h.log, http.StatusOK, "application/jwk-set+json", set)
}

package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// minSecret is how long an HMAC secret must be, in bytes: as long as the
	// hash (RFC 7518 section 3.2). A shorter one can be found from any token.
	minSecret = 32
	// minRSA is the least size of an RSA key, in bits (RFC 7518 section 3.3).
	minRSA = 2048
)

// Algorithms are what a JWT may be signed with, "none" not among them (RFC 7518
// section 3.1, RFC 8037).
var Algorithms = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512",
}

// Source is where a key or secret is kept: in a file, or in a variable of the
// environment. Exactly one of the two is set.
type Source struct{ File, Env string }

// load reads what the source holds. Its errors name the source alone.
func (s Source) load() ([]byte, error) {
	switch {
	case (s.File == "") == (s.Env == ""):
		return nil, errors.New("a key needs either a file or a variable of the environment")
	case s.File != "":
		content, err := os.ReadFile(s.File)
		if err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		return content, nil
	}
	value := os.Getenv(s.Env)
	if value == "" {
		return nil, fmt.Errorf("key: the variable %s is not set", s.Env)
	}
	return []byte(value), nil
}

// loadSecret reads an HMAC secret. The end of a line, which editors and echo
// leave, is no part of it. A PEM block is refused: a public key for a secret is
// how algorithms are confused.
func loadSecret(s Source) ([]byte, error) {
	secret, err := s.load()
	if err != nil {
		return nil, err
	}
	secret = bytes.TrimRight(secret, "\r\n")
	switch {
	case bytes.Contains(secret, []byte("-----BEGIN")):
		return nil, fmt.Errorf("key: %s is a PEM block, not a secret", s)
	case len(secret) < minSecret:
		return nil, fmt.Errorf("key: the secret in %s is shorter than %d bytes", s, minSecret)
	}
	return secret, nil
}

// String names the source.
func (s Source) String() string { return s.File + s.Env }

// loadPublic reads the public keys of a source, each a PEM block: a key or a
// certificate.
func loadPublic(s Source, algorithms []string) (keys []jwt.VerificationKey, err error) {
	rest, err := s.load()
	if err != nil {
		return nil, err
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		key, err := publicKey(block)
		if err != nil {
			return nil, fmt.Errorf("key: %s: %w", s, err)
		}
		if !isPublic(key, algorithms) {
			return nil, fmt.Errorf("key: %s holds a %T that fits none of the algorithms, or is too short", s, key)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("key: %s holds no PEM block", s)
	}
	return keys, nil
}

func publicKey(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return certificate.PublicKey, nil
	}
	return nil, fmt.Errorf("a %q is no public key", block.Type)
}

// isPublic says whether a key is a public one that some of the algorithms use.
func isPublic(key any, algorithms []string) bool {
	fits := func(prefixes ...string) bool {
		return slices.ContainsFunc(algorithms, func(a string) bool {
			return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(a, p) })
		})
	}
	switch k := key.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= minRSA && fits("RS", "PS")
	case *ecdsa.PublicKey:
		return fits("ES")
	case ed25519.PublicKey:
		return fits("EdDSA")
	}
	return false
}

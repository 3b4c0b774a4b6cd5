package rules

import (
	"bytes"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// secrets are the keys that are left out of payloads, at any depth, unless a
// rule keeps them: exactly these, in any mixture of capitals. A list of exact
// names rather than patterns, so that everyone can tell what happens to a key.
var secrets = []string{
	"password", "passwd", "passphrase", "password_hash", "password_confirmation", "current_password", "new_password",
	"secret", "secrets", "client_secret", "clientsecret", "secret_key", "secretkey", "shared_secret", "webhook_secret", "signing_secret",
	"token", "access_token", "accesstoken", "refresh_token", "refreshtoken", "id_token", "idtoken", "auth_token", "authtoken",
	"session_token", "csrf_token", "bearer_token", "jwt",
	"api_key", "apikey", "api-key", "x-api-key", "api_secret", "apisecret", "access_key", "secret_access_key",
	"private_key", "privatekey", "encryption_key", "credentials", "authorization", "cookie", "set-cookie",
	"otp_secret", "totp_secret", "recovery_codes", "cvv", "cvc",
}

// How many paths an event names at most, and about how long each may be in
// bytes. What they point at is left out all the same.
const (
	maxRedacted     = 64
	maxRedactedPath = 256
)

var (
	secretSet  = make(map[string]bool)
	longSecret int
)

func init() {
	for _, key := range secrets {
		secretSet[key] = true
		longSecret = max(longSecret, len(key))
	}
}

// SecretKeys answers the keys that are left out of payloads unless a rule's
// keep names them, in lower case.
func SecretKeys() []string { return slices.Clone(secrets) }

// isSecret reports whether a decoded key is on the list. It does not allocate:
// it sees every key of every payload.
func isSecret[text string | []byte](key text) bool {
	if len(key) > longSecret {
		return false
	}
	var lower [64]byte
	for i := range len(key) {
		c := key[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	return secretSet[string(lower[:len(key)])]
}

// redact leaves the secret-like keys out of valid JSON, but for those in keep,
// and answers where they stood ("owner.token", "items.#.token" for each item of
// a list). Every other byte stays as it is: the members are cut out of the raw
// text, each with one comma beside it. Where there is nothing to leave out, it
// answers raw itself.
func redact(raw []byte, keep []string) ([]byte, []string) {
	r := redactor{raw: raw, keep: keep}
	r.value(r.space(0))
	if len(r.cuts) == 0 {
		return raw, nil
	}
	kept := make([]byte, 0, len(raw))
	from := 0
	for _, cut := range r.cuts {
		kept = append(kept, raw[from:cut.start]...)
		from = cut.end
	}
	return append(kept, raw[from:]...), r.found
}

// redactor walks once over raw. Its methods take the position where something
// begins and answer the one behind it. They trust raw to be valid JSON, no
// deeper than maxNesting.
type redactor struct {
	raw   []byte
	keep  []string
	path  [][]byte // keys on the way, as written; nil for a list
	cuts  []span
	found []string
}

func (r *redactor) value(at int) int {
	switch r.raw[at] {
	case '{':
		return r.object(at)
	case '[':
		return r.array(at)
	case '"':
		return r.str(at)
	}
	return r.literal(at)
}

// literal passes a number, true, false or null.
func (r *redactor) literal(at int) int {
	for ; at < len(r.raw); at++ {
		switch r.raw[at] {
		case ',', ']', '}', ' ', '\t', '\r', '\n':
			return at
		}
	}
	return at
}

// object cuts secret members together with the comma before them, or behind
// them as long as no member before them has stayed.
func (r *redactor) object(at int) int {
	kept, before := false, 0 // before: the end of the member before
	at = r.space(at + 1)
	for r.raw[at] != '}' {
		start := at
		at = r.str(at)
		key := r.raw[start:at]
		at = r.space(r.space(at) + 1) // the colon
		secret := r.secret(key)
		if secret {
			at = r.skip(at)
		} else {
			r.path = append(r.path, key)
			at = r.value(at)
			r.path = r.path[:len(r.path)-1]
		}
		end := at
		if at = r.space(at); r.raw[at] == ',' {
			at = r.space(at + 1)
		}
		switch {
		case secret && kept:
			r.cuts = append(r.cuts, span{before, end})
		case secret && r.raw[at] != '}':
			r.cuts = append(r.cuts, span{start, at})
		case secret:
			r.cuts = append(r.cuts, span{start, end})
		}
		kept, before = kept || !secret, end
	}
	return at + 1
}

func (r *redactor) array(at int) int {
	r.path = append(r.path, nil)
	at = r.space(at + 1)
	for r.raw[at] != ']' {
		if at = r.space(r.value(at)); r.raw[at] == ',' {
			at = r.space(at + 1)
		}
	}
	r.path = r.path[:len(r.path)-1]
	return at + 1
}

// skip passes a value without looking for secrets in it.
func (r *redactor) skip(at int) int {
	for depth := 0; ; {
		switch r.raw[at] {
		case '{', '[':
			depth++
			at++
		case '}', ']':
			depth--
			at++
		case '"':
			at = r.str(at)
		case ',', ':':
			at++
		default:
			at = r.literal(at)
		}
		if depth == 0 {
			return at
		}
		at = r.space(at)
	}
}

func (r *redactor) str(at int) int {
	for at++; r.raw[at] != '"'; at++ {
		if r.raw[at] == '\\' {
			at++
		}
	}
	return at + 1
}

func (r *redactor) space(at int) int {
	for at < len(r.raw) && (r.raw[at] == ' ' || r.raw[at] == '\t' || r.raw[at] == '\n' || r.raw[at] == '\r') {
		at++
	}
	return at
}

// secret reports whether a member goes, by its key as written, quotes
// included, and notes where it stood.
func (r *redactor) secret(written []byte) bool {
	key := written[1 : len(written)-1]
	if bytes.IndexByte(key, '\\') >= 0 {
		key = []byte(unquoteJSON(written))
	}
	if !isSecret(key) || slices.Contains(r.keep, strings.ToLower(string(key))) {
		return false
	}
	path := r.where(written)
	if len(r.found) < maxRedacted && !slices.Contains(r.found, path) {
		r.found = append(r.found, path)
	}
	return true
}

// where answers the path of a key below the one being read, shortened where
// it is long: it is built for each secret, and stands in the event's header.
func (r *redactor) where(written []byte) string {
	var b strings.Builder
	for _, key := range r.path {
		if b.Len() > maxRedactedPath {
			b.WriteString("….")
			break
		}
		b.WriteString(shortKey(key) + ".")
	}
	b.WriteString(shortKey(written))
	return b.String()
}

func shortKey(written []byte) string {
	switch {
	case written == nil:
		return "#"
	case len(written) > maxRedactedPath:
		return "…"
	}
	return unquoteJSON(written)
}

// unquoteJSON answers what a JSON string says.
func unquoteJSON(written []byte) string { return gjson.ParseBytes(written).Str }

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
	secretSet = make(map[string]bool)
	// secretLengths are the lengths that keys on the list have, a bit each, by their
	// first letter in either case.
	secretLengths [256]uint64
)

func init() {
	for _, key := range secrets {
		secretSet[key] = true
		for _, first := range []string{key[:1], strings.ToUpper(key[:1])} {
			secretLengths[first[0]] |= 1 << len(key)
		}
	}
}

// SecretKeys answers the keys that are left out of payloads unless a rule's
// keep names them, in lower case.
func SecretKeys() []string { return slices.Clone(secrets) }

// isSecret reports whether a decoded key is on the list. It does not allocate:
// it sees every key of every payload.
func isSecret[text string | []byte](key text) bool {
	if len(key) == 0 || len(key) >= 64 || secretLengths[key[0]]&(1<<len(key)) == 0 {
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
// and all that v does not let out. It answers where the secret-like keys stood
// ("owner.token", "items.#.token" for each item of a list). Every other byte
// stays as it is: the members are cut out of the raw text, each with one comma
// beside it. Where there is nothing to leave out, it answers raw itself.
func redact(raw []byte, keep []string, v view) ([]byte, []string) {
	r := redactor{raw: raw, keep: keep}
	r.value(r.space(0), v)
	if len(r.cuts) == 0 {
		return raw, nil
	}
	size := len(raw) // exactly, since a payload picked from a large body may be kept for long
	for _, cut := range r.cuts {
		size -= cut.end - cut.start
	}
	kept := make([]byte, 0, size)
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
	// masking makes cuts the values of secret-like keys instead of the members.
	masking bool
}

func (r *redactor) value(at int, v view) int {
	switch r.raw[at] {
	case '{':
		return r.object(at, v)
	case '[':
		return r.array(at, v)
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

// siblings are the members of an object, or the items of a list, so far.
type siblings struct {
	kept   bool // some stay
	before int  // the end of the last one
}

// next takes in one from start to end. It is cut together with the comma before
// it, or behind it as long as none before it has stayed; at is behind that
// comma.
func (r *redactor) next(s *siblings, start, end, at int, out bool) {
	switch {
	case out:
		s.kept = true
	case s.kept:
		r.cuts = append(r.cuts, span{s.before, end})
	case r.raw[at] != '}' && r.raw[at] != ']':
		r.cuts = append(r.cuts, span{start, at})
	default:
		r.cuts = append(r.cuts, span{start, end})
	}
	s.before = end
}

// comma passes what is behind a member.
func (r *redactor) comma(at int) int {
	if at = r.space(at); r.raw[at] == ',' {
		return r.space(at + 1)
	}
	return at
}

func (r *redactor) object(at int, v view) int {
	var s siblings
	at = r.space(at + 1)
	for r.raw[at] != '}' {
		start := at
		at = r.str(at)
		written := r.raw[start:at]
		at = r.space(r.space(at) + 1) // the colon
		below, out := r.member(written, at, v)
		value := at
		if out {
			r.path = append(r.path, written)
			at = r.value(at, below)
			r.path = r.path[:len(r.path)-1]
		} else {
			at = r.skip(at)
		}
		end := at
		if !out && r.masking {
			r.cuts, out = append(r.cuts, span{value, end}), true
		}
		at = r.comma(at)
		r.next(&s, start, end, at, out)
	}
	return at + 1
}

// member judges one by its key as written and the value that begins at at.
func (r *redactor) member(written []byte, at int, v view) (below view, out bool) {
	key := written[1 : len(written)-1]
	if bytes.IndexByte(key, '\\') >= 0 {
		key = []byte(unquoteJSON(written))
	}
	out = true
	if !v.all() {
		below, out = v.below(key)
	}
	return below, out && !r.scalarAmong(at, below) && !r.secret(written, key)
}

// scalarAmong reports whether a value has none of the keys that are picked.
func (r *redactor) scalarAmong(at int, v view) bool {
	return v.picking && r.raw[at] != '{' && r.raw[at] != '['
}

func (r *redactor) array(at int, v view) int {
	r.path = append(r.path, nil)
	var s siblings
	at = r.space(at + 1)
	for r.raw[at] != ']' {
		start, out := at, !r.scalarAmong(at, v)
		end := r.value(at, v)
		at = r.comma(end)
		r.next(&s, start, end, at, out)
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

func (r *redactor) str(at int) int { return stringEnd(r.raw, at+1) + 1 }

func (r *redactor) space(at int) int {
	for at < len(r.raw) && (r.raw[at] == ' ' || r.raw[at] == '\t' || r.raw[at] == '\n' || r.raw[at] == '\r') {
		at++
	}
	return at
}

// secret reports whether a member goes by its key, and notes where it stood.
func (r *redactor) secret(written, key []byte) bool {
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

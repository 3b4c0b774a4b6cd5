package identity

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// maxToken is how long a JWT may be, in bytes. Headers have a bound of their
// own, but parsing each megabyte of a stranger's would still cost.
const maxToken = 16 << 10

// token is a JWT as it was sent: nothing in it has been verified.
type token struct {
	raw            string
	header, claims []byte // JSON objects, each name once
}

var errToken = errors.New("the token is not a well-formed JWT")

// parseToken reads a JWS in compact form (RFC 7515 section 7.1) whose payload
// is a JSON object. is tells whether the text is a JWT at all: three parts of
// which the first is a JSON object with an alg. What is one but cannot be read
// without doubt, as with a claim that stands there twice (RFC 7519 section 4),
// is an error.
func parseToken(raw string) (t token, is bool, err error) {
	if strings.Count(raw, ".") != 2 {
		return token{}, false, nil
	}
	if len(raw) > maxToken {
		return token{}, true, errToken
	}
	head, rest, _ := strings.Cut(raw, ".")
	payload, _, _ := strings.Cut(rest, ".")
	t.raw = raw
	if t.header, err = base64.RawURLEncoding.DecodeString(head); err != nil || !gjson.GetBytes(t.header, "alg").Exists() {
		return token{}, false, nil
	}
	t.claims, err = base64.RawURLEncoding.DecodeString(payload)
	if err != nil || !isPlainObject(t.header) || !isPlainObject(t.claims) {
		return token{}, true, errToken
	}
	return t, true, nil
}

// isPlainObject says whether a text is a JSON object that has no name twice.
func isPlainObject(text []byte) bool {
	if !gjson.ValidBytes(text) {
		return false
	}
	object := gjson.ParseBytes(text)
	names := map[string]bool{}
	plain := object.IsObject()
	object.ForEach(func(name, _ gjson.Result) bool {
		plain = plain && !names[name.Str]
		names[name.Str] = true
		return plain
	})
	return plain
}

// bearer answers the credentials of a Bearer scheme (RFC 6750 section 2.1), or
// "" for another scheme.
func bearer(authorization string) string {
	scheme, credentials, _ := strings.Cut(strings.Trim(authorization, " \t"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.Trim(credentials, " \t")
}

// expiryOf answers the earliest exp of the JWTs among credentials, unverified:
// good for nothing but for forgetting them in time. The zero time where there
// is none.
func expiryOf(credentials [][]string) (earliest time.Time) {
	for _, values := range credentials {
		for _, value := range values {
			// Cookies hold tokens too: "session=eyJ…; theme=dark".
			for word := range strings.FieldsFuncSeq(value, func(r rune) bool { return strings.ContainsRune(" \t;,=\"", r) }) {
				t, _, err := parseToken(word)
				exp := gjson.GetBytes(t.claims, "exp")
				if err != nil || exp.Type != gjson.Number {
					continue
				}
				// A bound keeps the conversion defined; 1e11 is the year 5138.
				at := time.Unix(int64(min(max(exp.Num, 0), 1e11)), 0)
				if earliest.IsZero() || at.Before(earliest) {
					earliest = at
				}
			}
		}
	}
	return earliest
}

// soleAuthorization answers the request's Authorization value, or "" and
// whether there are several: which of them the upstream believed would be a
// guess.
func soleAuthorization(r *http.Request) (value string, several bool) {
	values := r.Header["Authorization"]
	if len(values) == 1 {
		return values[0], false
	}
	return "", len(values) > 1
}

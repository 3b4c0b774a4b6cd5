package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// pseudonymBytes of the HMAC become the user: enough that no two keys ever
// share one.
const pseudonymBytes = 20

var pseudonyms = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// apiKey knows a caller by a pseudonym of the API key, which is all that such an
// API may have. Unless the upstream has accepted the key, anybody's made-up one
// makes a user of its own.
type apiKey struct {
	header, query string // exactly one is set
	secret        []byte
	lookup        *lookup // nil: keys are not verified
}

func newKey(o Options, entry Entry) (resolver, error) {
	switch {
	case (entry.Header == "") == (entry.Query == ""):
		return nil, errors.New("needs either a header or a query parameter")
	case entry.Header != "" && !isToken(entry.Header):
		return nil, errors.New("header must name a header")
	case (entry.Get == "") != entry.Unverified:
		return nil, errors.New("needs a path that verifies keys; without one, anybody's key is believed, and unverified must say so")
	}
	secret, err := loadSecret(entry.Secret)
	if err != nil {
		return nil, err
	}
	k := apiKey{header: http.CanonicalHeaderKey(entry.Header), query: entry.Query, secret: secret}
	if entry.Unverified {
		return k, nil
	}
	if entry.Header != "" {
		entry.Credentials = []string{entry.Header}
	}
	k.lookup, err = newLookup(o, entry, nil)
	return k, err
}

func (k apiKey) ask(r *http.Request) *Question {
	value, err := k.find(r)
	switch {
	case err != nil:
		return &Question{err: unauthenticated(err.Error())}
	case value == "":
		return nil
	case k.lookup == nil:
		return &Question{caller: Caller{User: k.pseudonym(value)}}
	}
	q := k.lookup.question(r)
	q.name = k.pseudonym(value)
	if k.query != "" {
		q.inQuery(url.Values{k.query: {value}})
	}
	return &Question{inquiry: q}
}

// find answers the request's API key, or "". Two of them are refused, and so is
// a query that readers differ over: which key the upstream took would be a guess.
func (k apiKey) find(r *http.Request) (string, error) {
	if k.header == "" {
		return parameter(r, k.query)
	}
	var values []string
	for name, v := range r.Header {
		if sameHeader(name, k.header) {
			values = append(values, v...)
		}
	}
	if len(values) == 1 && len(r.Header[k.header]) == 0 && values[0] != "" {
		return "", errors.New("the API key's header is misspelt")
	}
	return oneOf(values)
}

// parameter answers the credential in a parameter of the query, or "".
func parameter(r *http.Request, name string) (string, error) {
	parsed, err := url.ParseQuery(r.URL.RawQuery)
	values := parsed[name]
	if err != nil && (len(values) > 0 || strings.Contains(r.URL.RawQuery, name)) {
		return "", errors.New("the query with the API key is malformed")
	}
	return oneOf(values)
}

func oneOf(values []string) (string, error) {
	values = slices.DeleteFunc(values, func(v string) bool { return v == "" })
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	}
	return "", errors.New("more than one API key")
}

// pseudonym is the same for a key in every process and after every restart, and
// tells nothing about the key to whoever does not have the secret.
func (k apiKey) pseudonym(value string) string {
	mac := hmac.New(sha256.New, k.secret)
	_, _ = mac.Write([]byte("hookproxy API key\n" + value)) // a hash's Write never fails
	return "key_" + pseudonyms.EncodeToString(mac.Sum(nil)[:pseudonymBytes])
}

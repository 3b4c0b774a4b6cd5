package identity

import (
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// basic believes a user name once the upstream has answered 2xx to the very
// credentials that carry it (RFC 7617).
type basic struct{ lookup *lookup }

func newBasic(o Options, entry Entry) (resolver, error) {
	if !slices.ContainsFunc(entry.Credentials, isAuthorization) {
		entry.Credentials = append([]string{"Authorization"}, entry.Credentials...)
	}
	made, err := newLookup(o, entry, nil)
	return basic{made}, err
}

func isAuthorization(name string) bool { return strings.EqualFold(name, "Authorization") }

// ask is responsible for whatever calls itself Basic. Two Authorization headers
// are refused: which of them the upstream believed would be a guess.
func (b basic) ask(r *http.Request) *Question {
	values := r.Header["Authorization"]
	if !slices.ContainsFunc(values, isBasic) {
		return nil
	}
	if len(values) != 1 {
		return &Question{err: unauthenticated("more than one Authorization header")}
	}
	name, err := basicName(values[0])
	if err != nil {
		return &Question{err: unauthenticated(err.Error())}
	}
	q := b.lookup.question(r)
	q.name = name
	return &Question{inquiry: q}
}

func isBasic(authorization string) bool {
	scheme, _, _ := strings.Cut(strings.TrimLeft(authorization, " \t"), " ")
	return strings.EqualFold(scheme, "Basic")
}

// basicName answers the user name in an Authorization value. Its errors hold
// nothing of the value.
func basicName(authorization string) (string, error) {
	_, encoded, _ := strings.Cut(strings.TrimLeft(authorization, " \t"), " ")
	decoded, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", errors.New("the Basic credentials are not base64")
	}
	name, _, found := strings.Cut(string(decoded), ":")
	if !found {
		return "", errors.New("the Basic credentials hold no password")
	}
	return name, checkUser(name)
}

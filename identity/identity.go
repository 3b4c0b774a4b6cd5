// Package identity answers who is calling an API that knows it only by its own
// means, without changing that API. A Chain asks its resolvers in order: the
// first that is responsible for a request decides, and where that one fails the
// chain stops, so that a refused credential never falls through to a weaker
// resolver.
//
//	header     a trusted proxy in front says who it is
//	basic      a user name that the upstream accepted with its password
//	jwt        a token says it, which a known issuer signed for this API
//	whoami     the upstream says who it is, asked with the caller's credentials
//	key        a pseudonym of an API key that the upstream accepted
//	anonymous  everybody is one fixed user
package identity

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	// ErrUnauthenticated says that nobody vouches for the caller: there are no
	// credentials, they were refused, or they are ambiguous. Ask for it with
	// errors.Is; an *UnauthenticatedError carries the challenges.
	ErrUnauthenticated = errors.New("caller not authenticated")
	// ErrUnavailable says that who is calling could not be found out: the
	// upstream did not answer, or not with anything usable. Nothing is known
	// about the caller then, and asking again later may help.
	ErrUnavailable = errors.New("identity unavailable")
)

// maxUser is how long a user may be, in bytes: it becomes part of Redis keys.
const maxUser = 256

// Caller is who a request comes from. One installation serves one set of users:
// where the Host header selects tenants whose user ids overlap, each tenant
// needs a hookproxy, or a Redis namespace, of its own.
type Caller struct {
	// User is the scope of subscriptions and events: a person or an account,
	// as the resolver was told to read it. Never empty in an answer.
	User string
}

// UnauthenticatedError is why a caller is not known, and what to ask for
// instead. It wraps ErrUnauthenticated.
type UnauthenticatedError struct {
	// Challenges are WWW-Authenticate values (RFC 9110 section 11.6.1), those
	// of the upstream where it was asked. Empty where none are known.
	Challenges []string

	reason string
}

// Error says why, without any credential.
func (e *UnauthenticatedError) Error() string { return ErrUnauthenticated.Error() + ": " + e.reason }

// Unwrap makes errors.Is(err, ErrUnauthenticated) true.
func (e *UnauthenticatedError) Unwrap() error { return ErrUnauthenticated }

// unauthenticated answers an error without challenges.
func unauthenticated(reason string) error { return &UnauthenticatedError{reason: reason} }

// checkUser answers why a user cannot be one, or nil. A replacement character
// is refused because it is what invalid UTF-8 turns into: two users that differ
// only there would become one.
func checkUser(user string) error {
	switch {
	case user == "":
		return errors.New("the user is empty")
	case len(user) > maxUser:
		return errors.New("the user is longer than 256 bytes")
	case strings.ContainsRune(user, utf8.RuneError):
		return errors.New("the user is not valid UTF-8")
	case strings.ContainsFunc(user, unicode.IsControl):
		return errors.New("the user holds control characters")
	}
	return nil
}

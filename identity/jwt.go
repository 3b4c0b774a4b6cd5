package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/tidwall/gjson"
)

// What a JWT's times may be off by: clocks differ, but not by more.
const (
	DefaultLeeway = 30 * time.Second
	MaxLeeway     = 5 * time.Minute
)

// jwtChallenge tells a token's owner to get a new one (RFC 6750 section 3.1).
const jwtChallenge = `Bearer error="invalid_token"`

// bearerJWT verifies a JWT that one issuer has signed.
//
// It is responsible for a Bearer token that is a JWT naming the issuer, and for
// a JWT that cannot be read without doubt; whatever is wrong with such a token,
// the chain ends there. An opaque token, and a JWT of another issuer, are the
// next resolver's.
type bearerJWT struct {
	entry  Entry
	parser *jwt.Parser
	// find answers the key for a token, whose algorithm is among those named.
	find func(context.Context, *jwt.Token) (any, error)
}

func newJWT(o Options, entry Entry) (resolver, error) {
	if entry.Leeway == 0 {
		entry.Leeway = DefaultLeeway
	}
	secrets, err := checkJWT(entry)
	if err != nil {
		return nil, err
	}
	b := &bearerJWT{entry: entry, parser: jwt.NewParser(
		jwt.WithValidMethods(entry.Algorithms), jwt.WithIssuer(entry.Issuer), jwt.WithAudience(entry.Audience...),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(entry.Leeway), jwt.WithTimeFunc(o.Now), jwt.WithStrictDecoding(),
	)}
	if entry.JWKS != "" {
		at, err := newEndpoint(o, entry.JWKS, entry.CA)
		set := &jwks{at: at, algorithms: entry.Algorithms, timeout: o.Timeout, now: o.Now, log: o.Log}
		b.find = set.find
		return b, err
	}
	keys, err := loadKeys(entry, secrets)
	b.find = func(context.Context, *jwt.Token) (any, error) { return jwt.VerificationKeySet{Keys: keys}, nil }
	return b, err
}

// checkJWT says whether the entry's keys are secrets. Secrets and public keys
// in one entry are refused: a token that names one algorithm must never be
// tried with a key made for the other.
func checkJWT(entry Entry) (secrets bool, err error) {
	hmacs := 0
	for _, name := range entry.Algorithms {
		if !slices.Contains(Algorithms, name) {
			return false, fmt.Errorf("algorithm %q is not one of %s", name, strings.Join(Algorithms, ", "))
		}
		if strings.HasPrefix(name, "HS") {
			hmacs++
		}
	}
	switch {
	case len(entry.Algorithms) == 0:
		return false, errors.New("the algorithms must be named")
	case hmacs > 0 && hmacs < len(entry.Algorithms):
		return false, errors.New("algorithms with a secret (HS…) and with a public key need an entry each")
	case hmacs > 0 && entry.JWKS != "":
		return false, errors.New("algorithms with a secret (HS…) need keys; a key set at a URL is public")
	case entry.Issuer == "" || len(entry.Audience) == 0 || slices.Contains(entry.Audience, ""):
		return false, errors.New("issuer and audience must be named")
	case entry.User == "":
		return false, errors.New("user must be the path of the user in the claims")
	case (entry.JWKS == "") == (len(entry.Keys) == 0):
		return false, errors.New("needs either a key set's URL or keys")
	case entry.JWKS == "" && entry.CA != "":
		return false, errors.New("certificates of its own are for a key set's URL")
	case entry.Leeway < 0 || entry.Leeway > MaxLeeway:
		return false, fmt.Errorf("leeway must be at most %s", MaxLeeway)
	}
	return hmacs > 0, nil
}

func loadKeys(entry Entry, secrets bool) (keys []jwt.VerificationKey, err error) {
	for _, source := range entry.Keys {
		if secrets {
			secret, err := loadSecret(source)
			if err != nil {
				return nil, err
			}
			keys = append(keys, secret)
			continue
		}
		public, err := loadPublic(source, entry.Algorithms)
		if err != nil {
			return nil, err
		}
		keys = append(keys, public...)
	}
	return keys, nil
}

func (b *bearerJWT) ask(r *http.Request) *Question {
	value, several := soleAuthorization(r)
	if several {
		if slices.ContainsFunc(r.Header["Authorization"], b.concerns) {
			return &Question{err: unauthenticated("more than one Authorization header")}
		}
		return nil
	}
	t, is, err := parseToken(bearer(value))
	switch {
	case !is:
		return nil
	case err != nil:
		return &Question{err: refusedToken(err.Error())}
	case gjson.GetBytes(t.claims, "iss").String() != b.entry.Issuer:
		return nil
	}
	return &Question{inquiry: verification{b, t}}
}

func (b *bearerJWT) concerns(authorization string) bool {
	_, is, _ := parseToken(bearer(authorization))
	return is
}

// verification is the question whether a token is good.
type verification struct {
	*bearerJWT
	token
}

// answer verifies the token at each call: a signature costs less than a lookup
// in a cache would save, and a token that has expired is never believed.
// known answers nothing: verifying takes the keys, which may have to be fetched.
func (v verification) known() (Caller, error, bool) { return Caller{}, nil, false }

func (v verification) answer(ctx context.Context) (Caller, error) {
	if gjson.GetBytes(v.header, "crit").Exists() { // we understand no extension (RFC 7515 section 4.1.11)
		return Caller{}, refusedToken("the token needs an extension")
	}
	_, err := v.parser.Parse(v.raw, func(t *jwt.Token) (any, error) { return v.find(ctx, t) })
	if errors.Is(err, ErrUnavailable) {
		return Caller{}, err
	}
	if err != nil {
		return Caller{}, refusedToken(reasonOf(err))
	}
	user, err := userAt(v.claims, v.entry.User)
	if err != nil {
		return Caller{}, refusedToken(err.Error())
	}
	return Caller{User: user}, nil
}

// forget does nothing: nothing is remembered of a token.
func (verification) forget() {}

func refusedToken(reason string) error {
	return &UnauthenticatedError{Challenges: []string{jwtChallenge}, reason: reason}
}

// reasonOf names what is wrong with a token, and nothing of what is in it.
func reasonOf(err error) string {
	for _, known := range []error{
		jwt.ErrTokenExpired, jwt.ErrTokenNotValidYet, jwt.ErrTokenUsedBeforeIssued, jwt.ErrTokenInvalidAudience,
		jwt.ErrTokenInvalidIssuer, jwt.ErrTokenRequiredClaimMissing, jwt.ErrTokenSignatureInvalid, errNoKey,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "the token cannot be verified"
}

package identity

import "time"

// The kinds of resolver that an Entry may name.
const (
	KindHeader    = "header"
	KindBasic     = "basic"
	KindJWT       = "jwt"
	KindWhoami    = "whoami"
	KindKey       = "key"
	KindAnonymous = "anonymous"
)

// Entry is one resolver, as rules.yaml names it.
type Entry struct {
	// Kind is one of header, basic, jwt, whoami, key and anonymous.
	Kind string
	// Header names the header that a trusted proxy sets (header), or that an
	// API key stands in (key).
	Header string
	// Query stands in place of Header where the API key is a query parameter.
	Query string
	// Get is a path at the upstream, with a query if need be (whoami, basic, key),
	// or an absolute URL (whoami). For basic and key it must be one that the
	// upstream refuses to strangers: any 2xx there makes the name or key believed.
	Get string
	// Post stands in place of Get where the question takes a POST, of Body as
	// JSON (whoami). It must change nothing: it is sent as often as need be.
	Post, Body string
	// User is the gjson path of the user in the answer (whoami) or in the
	// claims (jwt), or the user that everybody is (anonymous).
	User string
	// Credentials are the request headers that are passed on to the upstream
	// and tell callers apart: nothing else of the request is (but for Host).
	// None means Authorization, which basic passes on in any case.
	Credentials []string
	// Parameters are the parameters of the request's query that are passed on and
	// tell callers apart beside them (whoami). None by default.
	Parameters []string

	// JWKS is the key set of a jwt's issuer: a path at the upstream, or an
	// absolute URL. Either it or Keys is set.
	JWKS string
	// Keys are a jwt's keys: secrets for the algorithms HS…, PEM blocks for the
	// others. They are read once.
	Keys []Source
	// Issuer and Audience are what a jwt's iss must be, and one of its aud.
	Issuer   string
	Audience []string
	// Algorithms are those of Algorithms that a jwt may be signed with: either
	// such with a secret or such with a public key.
	Algorithms []string
	// Leeway is what a jwt's times may be off by; DefaultLeeway.
	Leeway time.Duration
	// CA is a file of PEM certificates for an absolute URL's server. Empty: the
	// system's.
	CA string

	// Secret is what pseudonyms are made with (key). Whoever changes it makes
	// every caller a new one.
	Secret Source
	// Unverified says that Get is left out on purpose: any API key is believed,
	// so that anybody can have subscriptions (key).
	Unverified bool
}

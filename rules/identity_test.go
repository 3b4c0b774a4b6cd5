package rules

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAJWTIsReadWithItsKeysAndDefaults(t *testing.T) {
	file := parsed(t, `
identity:
  - jwt: {jwks: 'https://login.example/keys?v=1', issuer: i, audience: [a, b], algorithms: [RS256, EdDSA], user: 'https://x/y\.z.id', leeway: 1m, ca: /ca.pem}
  - jwt: {jwks: /keys, issuer: i, audience: a, algorithms: ES256}
  - jwt: {keys: [{file: /k}, {env: K_1}], issuer: i, audience: a, algorithms: HS256}
`)
	want := []Resolver{
		{Kind: "jwt", User: `https://x/y\.z.id`, Line: 3, JWT: &JWTSettings{JWKS: "https://login.example/keys?v=1", Issuer: "i",
			Audience: []string{"a", "b"}, Algorithms: []string{"RS256", "EdDSA"}, Leeway: time.Minute, CA: "/ca.pem"}},
		{Kind: "jwt", User: "sub", Line: 4, JWT: &JWTSettings{JWKS: "/keys", Issuer: "i", Audience: []string{"a"}, Algorithms: []string{"ES256"}}},
		{Kind: "jwt", User: "sub", Line: 5, JWT: &JWTSettings{Keys: []KeySource{{File: "/k"}, {Env: "K_1"}}, Issuer: "i", Audience: []string{"a"}, Algorithms: []string{"HS256"}}},
	}
	if diff := cmp.Diff(want, file.Identity); diff != "" {
		t.Error(diff)
	}
}

func TestWhoamiMayBeAPOSTAndElsewhere(t *testing.T) {
	file := parsed(t, `
identity:
  - whoami: {post: /graphql, body: '{"query":"{ viewer { id } }"}', user: data.viewer.id}
  - whoami: {get: 'https://login.example/userinfo', user: sub, ca: /ca.pem}
  - whoami: https://login.example/me
`)
	credentials := []string{"Authorization"}
	want := []Resolver{
		{Kind: "whoami", Post: "/graphql", Body: `{"query":"{ viewer { id } }"}`, User: "data.viewer.id", Credentials: credentials, Line: 3},
		{Kind: "whoami", Get: "https://login.example/userinfo", User: "sub", CA: "/ca.pem", Credentials: credentials, Line: 4},
		{Kind: "whoami", Get: "https://login.example/me", User: "id", Credentials: credentials, Line: 5},
	}
	if diff := cmp.Diff(want, file.Identity); diff != "" {
		t.Error(diff)
	}
}

func TestAKeyIsVerifiedUnlessTheFileSaysOtherwise(t *testing.T) {
	file := parsed(t, `
identity:
  - key: {header: x-api-key, secret: {env: A_1}, verify: /me}
  - key: {query: api_key, secret: {file: /run/secrets/a}, unverified: true}
`)
	want := []Resolver{
		{Kind: "key", Get: "/me", Key: &KeySettings{Header: "X-Api-Key", Secret: KeySource{Env: "A_1"}}, Line: 3},
		{Kind: "key", Key: &KeySettings{Query: "api_key", Secret: KeySource{File: "/run/secrets/a"}, Unverified: true}, Line: 4},
	}
	if diff := cmp.Diff(want, file.Identity); diff != "" {
		t.Error(diff)
	}
}

// identityMistakes are entries of identity with one mistake each.
var identityMistakes = map[string]string{
	`whoami: {user: id}`:                                                "expected the key get, or post",
	`whoami: {get: /me, post: /me}`:                                     "expected the key get, or post",
	`whoami: {get: /me, body: '{}'}`:                                    "expected post beside it",
	`whoami: {post: /me, body: 'query'}`:                                "expected JSON as a text",
	`whoami: {post: /me, body: {a: b}}`:                                 "expected JSON as a text",
	`whoami: {get: /me, ca: /ca.pem}`:                                   "beside an absolute URL",
	`whoami: {get: 'https://h/me#x'}`:                                   "expected a path at the API",
	`whoami: 'https://'`:                                                "expected a path at the API",
	`key: X-Api-Key`:                                                    "identity.key: expected a map",
	`key: {secret: {env: A}, verify: /me}`:                              "either header or query",
	`key: {header: a, query: b, secret: {env: A}, verify: /me}`:         "either header or query",
	`key: {header: a, verify: /me}`:                                     "expected the key secret",
	`key: {header: a, secret: 'sec-ret==', verify: /me}`:                "expected {file: …} or {env: …}",
	`key: {header: a, secret: [{env: A}, {env: B}], verify: /me}`:       "expected one secret",
	`key: {header: a, secret: {env: A}}`:                                "or unverified: true",
	`key: {header: a, secret: {env: A}, verify: /me, unverified: true}`: "or unverified: true",
	`key: {header: a, secret: {env: A}, unverified: false}`:             "expected true",
	`key: {header: a, secret: {env: A}, verify: 'https://h/me'}`:        "expected a path at the API",
	`key: {header: 'a b', secret: {env: A}, verify: /me}`:               "expected a header name",
	`jwt: /keys`: "identity.jwt: expected a map",
	`jwt: {jwks: /k, audience: a, algorithms: RS256}`:                            "expected the key issuer",
	`jwt: {jwks: /k, issuer: i, algorithms: RS256}`:                              "expected the key audience",
	`jwt: {jwks: /k, issuer: i, audience: a}`:                                    "expected the key algorithms",
	`jwt: {issuer: i, audience: a, algorithms: RS256}`:                           "expected either jwks or keys",
	`jwt: {jwks: /k, keys: {env: A}, issuer: i, audience: a, algorithms: RS256}`: "expected either jwks or keys",
	`jwt: {jwks: /k, issuer: i, audience: a, algorithms: none}`:                  `found "none"`,
	`jwt: {jwks: /k, issuer: i, audience: a, algorithms: RS265}`:                 `did you mean "RS256"?`,
	`jwt: {keys: {env: A}, issuer: i, audience: a, algorithms: [RS256, HS256]}`:  "an entry of its own",
	`jwt: {jwks: /k, issuer: i, audience: a, algorithms: HS256}`:                 "what stands at a URL is no secret",
	`jwt: {jwks: /k, issuer: i, audience: [], algorithms: RS256}`:                "expected at least one value",
	`jwt: {jwks: /k, issuer: '', audience: a, algorithms: RS256}`:                "expected what iss must be",
	`jwt: {jwks: /k, issuer: i, audience: a, algorithms: RS256, ca: /c}`:         "beside an absolute URL",
	`jwt: {jwks: 'ftp://h/k', issuer: i, audience: a, algorithms: RS256}`:        "expected a path at the API",
	`jwt: {jwks: 'http://a:b@h/k', issuer: i, audience: a, algorithms: RS256}`:   "without a password",
	`jwt: {jwks: //h/k, issuer: i, audience: a, algorithms: RS256}`:              "expected a path at the API",
	`jwt: {jwks: /k, issuer: i, audience: a, algorithms: RS256, user: 'a.*'}`:    "expected keys joined by dots",
	`jwt: {jwks: /k, issuer: i, audience: a, algorithms: RS256, leeway: 1h}`:     "at most 5m0s",
	`jwt: {jwks: /k, issuer: i, audience: a, algorithms: RS256, leeway: 30}`:     "at most 5m0s",
	`jwt: {keys: [k], issuer: i, audience: a, algorithms: HS256}`:                "expected {file: …} or {env: …}",
	`jwt: {keys: {file: a, env: b}, issuer: i, audience: a, algorithms: HS256}`:  "expected {file: …} or {env: …}",
	`jwt: {keys: {env: 'sec-ret=='}, issuer: i, audience: a, algorithms: HS256}`: "not what it holds",
	`jwt: {jwks: /k, issuer: i, audience: a, algorithms: RS256, secret: x}`:      `unknown key "secret"`,
}

func TestMistakesInAnIdentityEntryAreNamed(t *testing.T) {
	for entry, message := range identityMistakes {
		_, err := Parse("rules.yaml", []byte("identity:\n  - "+entry+"\n"))
		if err == nil || !strings.Contains(err.Error(), message) || strings.Contains(err.Error(), "sec-ret==") {
			t.Errorf("%s: %v; want %q", entry, err, message)
		}
	}
}

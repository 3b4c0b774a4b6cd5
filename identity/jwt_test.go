package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	issuer     = "https://login.example/"
	hmacSecret = "0123456789abcdef0123456789abcdef"
)

// rsaKey is made once: finding the primes takes a while.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

var otherRSAKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func publicPEM(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// keyFile writes a key where an entry can name it.
func keyFile(t testing.TB, content []byte) Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return Source{File: path}
}

// now is when the tests' tokens are used.
var now = new(clock).now()

// goodClaims are Ann's, for an hour, changed by pairs of name and value; nil
// takes one away.
func goodClaims(changes ...any) jwt.MapClaims {
	claims := jwt.MapClaims{
		"iss": issuer, "aud": "the-api", "sub": "ann", "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	for i := 0; i < len(changes); i += 2 {
		claims[changes[i].(string)] = changes[i+1]
		if changes[i+1] == nil {
			delete(claims, changes[i].(string))
		}
	}
	return claims
}

func signed(t testing.TB, method jwt.SigningMethod, key any, claims jwt.MapClaims, header map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	maps.Copy(token.Header, header)
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// rsaEntry believes what rsaKey has signed with RS256.
func rsaEntry(t testing.TB) Entry {
	return Entry{
		Kind: KindJWT, Keys: []Source{keyFile(t, publicPEM(t, rsaKey().Public()))},
		Issuer: issuer, Audience: []string{"the-api"}, Algorithms: []string{"RS256"}, User: "sub",
	}
}

func wantToken(t testing.TB, c *Chain, token, want string) {
	t.Helper()
	wantUser(t, c, request("Authorization", "Bearer "+token), want)
}

// wantRefused wants the chain to stop, with a challenge for a better token.
func wantRefused(t testing.TB, c *Chain, token string) {
	t.Helper()
	_, err := c.Ask(request("Authorization", "Bearer "+token)).Answer(t.Context())
	refusal, ok := errors.AsType[*UnauthenticatedError](err)
	if !ok || !slices.Equal(refusal.Challenges, []string{jwtChallenge}) {
		t.Errorf("the error is %v", err)
		return
	}
	for part := range strings.SplitSeq(token, ".") {
		if len(part) > 8 && strings.Contains(err.Error(), part) {
			t.Errorf("the error holds the token: %v", err)
		}
	}
}

func TestATokenThatTheIssuerSignedIsBelieved(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOOKPROXY_TEST_SECRET", hmacSecret)
	for _, c := range []struct {
		method jwt.SigningMethod
		key    any
		source Source
	}{
		{jwt.SigningMethodRS256, rsaKey(), keyFile(t, publicPEM(t, rsaKey().Public()))},
		{jwt.SigningMethodPS512, rsaKey(), keyFile(t, append(publicPEM(t, otherRSAKey().Public()), publicPEM(t, rsaKey().Public())...))},
		{jwt.SigningMethodES256, ec, keyFile(t, publicPEM(t, ec.Public()))},
		{jwt.SigningMethodEdDSA, ed, keyFile(t, publicPEM(t, edPublic))},
		{jwt.SigningMethodHS256, []byte(hmacSecret), Source{Env: "HOOKPROXY_TEST_SECRET"}},
		{jwt.SigningMethodHS512, []byte(hmacSecret), keyFile(t, []byte(hmacSecret+"\n"))},
	} {
		entry := rsaEntry(t)
		entry.Keys, entry.Algorithms = []Source{c.source}, []string{c.method.Alg()}
		chain := newChain(t, Options{Entries: []Entry{entry}, Now: new(clock).now})
		wantToken(t, chain, signed(t, c.method, c.key, goodClaims(), nil), "ann")
		wantRefused(t, chain, signed(t, c.method, c.key, goodClaims("exp", now.Unix()-3600), nil))
	}
}

func TestTheClaimsOfATokenAreReadStrictly(t *testing.T) {
	nested := rsaEntry(t)
	nested.User = `app\.example/account.id`
	c := newChain(t, Options{Entries: []Entry{nested}, Now: new(clock).now})
	sign := func(claims jwt.MapClaims) string { return signed(t, jwt.SigningMethodRS256, rsaKey(), claims, nil) }
	account := func(id any) jwt.MapClaims { return goodClaims("app.example/account", map[string]any{"id": id}) }
	wantToken(t, c, sign(account("acme")), "acme")
	wantToken(t, c, sign(account(json.Number("9007199254740993"))), "9007199254740993")
	for _, id := range []any{"", 1.5, nil, true, []string{"a"}, "a\nb", strings.Repeat("x", 257)} {
		wantRefused(t, c, sign(account(id)))
	}
	wantRefused(t, c, sign(goodClaims()))
}

func TestATokensTimesMayBeOffByTheLeewayAndNoMore(t *testing.T) {
	c := newChain(t, Options{Entries: []Entry{rsaEntry(t)}, Now: new(clock).now})
	at := func(seconds int64) int64 { return now.Unix() + seconds }
	for _, claims := range []jwt.MapClaims{
		goodClaims("exp", at(-29)), goodClaims("nbf", at(30)), goodClaims("iat", at(30)), goodClaims("nbf", nil, "iat", nil),
		goodClaims("aud", []string{"another", "the-api"}), goodClaims("exp", float64(at(1))+.5),
	} {
		wantToken(t, c, signed(t, jwt.SigningMethodRS256, rsaKey(), claims, nil), "ann")
	}
	for _, claims := range []jwt.MapClaims{
		goodClaims("exp", at(-30)), goodClaims("nbf", at(31)), goodClaims("iat", at(31)), goodClaims("exp", nil),
		goodClaims("exp", "2099"), goodClaims("exp", 0), goodClaims("exp", -1e300), goodClaims("nbf", 1e18),
	} {
		wantRefused(t, c, signed(t, jwt.SigningMethodRS256, rsaKey(), claims, nil))
	}
	generous := rsaEntry(t)
	generous.Leeway = MaxLeeway
	c = newChain(t, Options{Entries: []Entry{generous}, Now: new(clock).now})
	wantToken(t, c, signed(t, jwt.SigningMethodRS256, rsaKey(), goodClaims("exp", at(-299)), nil), "ann")
}

func TestWhatIsNoTokenOfThisIssuerIsTheNextResolvers(t *testing.T) {
	u := newUpstream(t, answerJSON(200, `{"id":"whoami"}`))
	c := u.chain(t, Options{Entries: []Entry{rsaEntry(t), whoamiEntry, guest}, Now: new(clock).now})
	elsewhere := signed(t, jwt.SigningMethodRS256, rsaKey(), goodClaims("iss", "https://other.example/"), nil)
	encode := base64.RawURLEncoding.EncodeToString
	for _, token := range []string{"opaque", "a.b", "a.b.c", "a.b.c.d.e", elsewhere, encode([]byte(`{"typ":"JWT"}`)) + ".e30.x"} {
		wantUser(t, c, request("Authorization", "Bearer "+token), "whoami")
	}
	good := signed(t, jwt.SigningMethodRS256, rsaKey(), goodClaims(), nil)
	wantUser(t, c, request("Authorization", "Token "+good), "whoami")
	wantUser(t, c, request("Authorization", "bearer  "+good), "ann")
	wantUser(t, c, request(), "guest")
	wantError(t, c, request("Authorization", "Bearer "+good, "Authorization", "Bearer x"), ErrUnauthenticated)
	_, err := newChain(t, Options{Entries: []Entry{rsaEntry(t)}}).Ask(request()).Answer(t.Context())
	if refusal, ok := errors.AsType[*UnauthenticatedError](err); !ok || !slices.Equal(refusal.Challenges, []string{"Bearer"}) {
		t.Errorf("without credentials the error is %v", err)
	}
}

func TestAJWTEntryThatLeavesSomethingOpenIsRefused(t *testing.T) {
	secret, public := keyFile(t, []byte(hmacSecret)), keyFile(t, publicPEM(t, rsaKey().Public()))
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey())})
	for name, change := range map[string]func(*Entry){
		"no algorithms":       func(e *Entry) { e.Algorithms = nil },
		"none":                func(e *Entry) { e.Algorithms = []string{"none"} },
		"rs256":               func(e *Entry) { e.Algorithms = []string{"rs256"} },
		"mixed algorithms":    func(e *Entry) { e.Algorithms = []string{"RS256", "HS256"} },
		"no issuer":           func(e *Entry) { e.Issuer = "" },
		"no audience":         func(e *Entry) { e.Audience = nil },
		"an empty audience":   func(e *Entry) { e.Audience = []string{""} },
		"no user":             func(e *Entry) { e.User = "" },
		"no keys":             func(e *Entry) { e.Keys = nil },
		"keys and a set":      func(e *Entry) { e.JWKS = "https://login.example/keys" },
		"a set for secrets":   func(e *Entry) { e.Keys, e.JWKS, e.Algorithms = nil, "https://login.example/keys", []string{"HS256"} },
		"a public secret":     func(e *Entry) { e.Algorithms = []string{"HS256"} },
		"a short secret":      func(e *Entry) { e.Algorithms, e.Keys = []string{"HS256"}, []Source{keyFile(t, []byte("short"))} },
		"a secret as a key":   func(e *Entry) { e.Keys = []Source{secret} },
		"a private key":       func(e *Entry) { e.Keys = []Source{keyFile(t, private)} },
		"another algorithm's": func(e *Entry) { e.Algorithms = []string{"ES256"} },
		"no such file":        func(e *Entry) { e.Keys = []Source{{File: "/does/not/exist"}} },
		"no such variable":    func(e *Entry) { e.Keys = []Source{{Env: "HOOKPROXY_TEST_UNSET"}} },
		"file and variable":   func(e *Entry) { e.Keys = []Source{{File: public.File, Env: "HOME"}} },
		"too much leeway":     func(e *Entry) { e.Leeway = time.Hour },
		"certificates":        func(e *Entry) { e.CA = public.File },
	} {
		entry := rsaEntry(t)
		change(&entry)
		if _, err := New(Options{Entries: []Entry{entry}}); err == nil {
			t.Errorf("%s: New took it", name)
		} else if strings.Contains(err.Error(), hmacSecret) {
			t.Errorf("%s: the error holds the secret", name)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	c := newChain(b, Options{Entries: []Entry{rsaEntry(b)}, Now: new(clock).now})
	r := request("Authorization", "Bearer "+signed(b, jwt.SigningMethodRS256, rsaKey(), goodClaims(), nil))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Ask(r).Answer(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

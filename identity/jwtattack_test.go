package identity

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// encoded answers the first two parts of a token, as written.
func encoded(header, claims string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
}

// written signs a header and claims that no library would write.
func written(t testing.TB, header, claims string) string {
	t.Helper()
	text := encoded(header, claims)
	signature, err := jwt.SigningMethodRS256.Sign(text, rsaKey())
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

const plainClaims = `{"iss":"https://login.example/","aud":"the-api","sub":"eve","exp":1700003600}`

// jwtAttacks are tokens that name our issuer, and none of which it has signed
// for this API and this time.
func jwtAttacks(t testing.TB) map[string]string {
	good := signed(t, jwt.SigningMethodRS256, rsaKey(), goodClaims(), nil)
	parts := strings.Split(good, ".")
	forged := func(header map[string]any) string {
		return signed(t, jwt.SigningMethodRS256, otherRSAKey(), goodClaims("sub", "eve"), header)
	}
	ours := func(changes ...any) string {
		return signed(t, jwt.SigningMethodRS256, rsaKey(), goodClaims(changes...), nil)
	}
	unsigned := func(alg string) string { return encoded(`{"alg":"`+alg+`","typ":"JWT"}`, plainClaims) + "." }
	public := publicPEM(t, rsaKey().Public())
	confused := func(secret []byte) string {
		return signed(t, jwt.SigningMethodHS256, secret, goodClaims("sub", "eve"), nil)
	}
	attacks := map[string]string{
		"alg none":                  unsigned("none"),
		"alg None":                  unsigned("None"),
		"alg NONE with a signature": unsigned("NONE") + parts[2],
		"alg empty":                 unsigned(""),
		"alg of our signature none": encoded(`{"alg":"none"}`, plainClaims) + "." + parts[2],
		"alg a number":              written(t, `{"alg":1}`, plainClaims),
		"alg twice":                 written(t, `{"alg":"none","alg":"RS256"}`, plainClaims),
		"alg not named":             signed(t, jwt.SigningMethodRS512, rsaKey(), goodClaims(), nil),
		"alg unknown":               written(t, `{"alg":"RS257"}`, plainClaims),
		"HS256 with the PEM":        confused(public),
		"HS256 with the trimmed":    confused([]byte(strings.TrimSpace(string(public)))),
		"HS256 with the DER":        confused(x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)),
		"HS256 with the modulus":    confused(rsaKey().N.Bytes()),
		"HS256 with nothing":        confused([]byte{}),
		"another's signature":       forged(nil),
		"no signature":              parts[0] + "." + parts[1] + ".",
		"another token's signature": encoded(`{"alg":"RS256"}`, plainClaims) + "." + parts[2],
		"a signature cut short":     good[:len(good)-8],
		"a signature of zeros":      parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
		"a signature not base64":    parts[0] + "." + parts[1] + ".!" + parts[2][1:],
		"padding":                   parts[0] + "." + parts[1] + "." + parts[2] + "==",
		"crit":                      written(t, `{"alg":"RS256","crit":["b64"],"b64":false}`, plainClaims),
		"expired":                   ours("exp", now.Unix()-3600),
		"not yet valid":             ours("nbf", now.Unix()+3600),
		"issued tomorrow":           ours("iat", now.Unix()+86400),
		"without exp":               ours("exp", nil),
		"without aud":               ours("aud", nil),
		"for another API":           ours("aud", "another"),
		"for other APIs":            ours("aud", []string{"another", "a-third"}),
		"for a prefix":              ours("aud", "the-api-2"),
		"for nobody":                ours("aud", []string{}),
		"aud an object":             ours("aud", map[string]any{"the-api": true}),
		"aud in an array in one":    ours("aud", []any{[]any{"the-api"}}),
		"sub twice":                 written(t, `{"alg":"RS256"}`, strings.Replace(plainClaims, `"sub"`, `"sub":"ann","sub"`, 1)),
		"iss twice":                 written(t, `{"alg":"RS256"}`, strings.Replace(plainClaims, `"iss"`, `"iss":"https://other.example/","iss"`, 1)),
		"exp twice, once escaped":   written(t, `{"alg":"RS256"}`, strings.Replace(plainClaims, `"exp"`, `"\u0065xp":1,"exp"`, 1)),
		"claims a list":             written(t, `{"alg":"RS256"}`, `[`+plainClaims+`]`),
		"claims not JSON":           written(t, `{"alg":"RS256"}`, plainClaims+"}"),
		"claims empty":              parts[0] + "..",
		"huge":                      ours("pad", strings.Repeat("x", maxToken)),
	}
	maps.Copy(attacks, kidAttacks(t))
	return attacks
}

// kidAttacks name keys that a careless reader would look for in a file, a
// database or elsewhere.
func kidAttacks(t testing.TB) map[string]string {
	attacks := map[string]string{}
	for name, kid := range map[string]any{
		"up": "../../../../dev/null", "etc": "/etc/passwd", "SQL": "x' UNION SELECT 'key' --", "shell": "|cat /etc/passwd",
		"URL": "http://127.0.0.1/keys", "NUL": "a\x00b", "number": 1, "list": []string{"1"}, "empty": "", "null": nil,
	} {
		attacks["kid: "+name] = signed(t, jwt.SigningMethodRS256, otherRSAKey(), goodClaims("sub", "eve"), map[string]any{"kid": kid})
	}
	return attacks
}

func TestNoForgedTokenIsBelieved(t *testing.T) {
	set := newKeySet(t, jwkOf("1", &rsaKey().PublicKey))
	fromSet := rsaEntry(t)
	fromSet.Keys, fromSet.JWKS = nil, set.URL+"/keys"
	for name, entry := range map[string]Entry{"static key": rsaEntry(t), "key set": fromSet} {
		c := newChain(t, Options{Entries: []Entry{entry, guest}, Now: new(clock).now})
		t.Cleanup(func() { _ = c.Close() })
		wantToken(t, c, signed(t, jwt.SigningMethodRS256, rsaKey(), goodClaims(), nil), "ann")
		for attack, token := range jwtAttacks(t) {
			t.Run(name+"/"+attack, func(t *testing.T) { wantRefused(t, c, token) })
		}
	}
}

// A token names keys of its own, or where to get them; nobody may ask there.
func TestKeysThatATokenBringsAlongAreIgnored(t *testing.T) {
	var asked atomic.Int64
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer evil.Close()
	set := newKeySet(t, jwkOf("1", &rsaKey().PublicKey))
	fromSet := rsaEntry(t)
	fromSet.Keys, fromSet.JWKS = nil, set.URL+"/keys"
	own := map[string]any{"kty": "RSA", "n": base64.RawURLEncoding.EncodeToString(otherRSAKey().N.Bytes()), "e": "AQAB"}
	for _, entry := range []Entry{rsaEntry(t), fromSet} {
		c := newChain(t, Options{Entries: []Entry{entry}, Now: new(clock).now})
		t.Cleanup(func() { _ = c.Close() })
		for _, header := range []map[string]any{
			{"jku": evil.URL}, {"x5u": evil.URL}, {"jwk": own}, {"x5c": []string{"MIIB"}}, {"kid": "1", "jku": evil.URL, "jwk": own},
			{"kid": evil.URL, "x5u": evil.URL},
		} {
			wantRefused(t, c, signed(t, jwt.SigningMethodRS256, otherRSAKey(), goodClaims("sub", "eve"), header))
			wantToken(t, c, signed(t, jwt.SigningMethodRS256, rsaKey(), goodClaims(), map[string]any{"jku": evil.URL, "jwk": own}), "ann")
		}
	}
	if asked.Load() != 0 {
		t.Error("a token's own key was asked for")
	}
}

func TestGarbageIsNeverACaller(t *testing.T) {
	c := newChain(t, Options{Entries: []Entry{rsaEntry(t)}, Now: new(clock).now})
	for _, token := range []string{
		"", ".", "..", "...", "a..", "eyJ.eyJ.x", strings.Repeat(".", 3000), strings.Repeat("a", 1<<20) + "..", "\xff.\xff.\xff",
		encoded("null", "null") + ".", encoded(`{"alg":"RS256"}`, "null") + ".", encoded(strings.Repeat("[", 9000), "{}") + ".x",
	} {
		wantError(t, c, request("Authorization", "Bearer "+token), ErrUnauthenticated)
	}
}

func FuzzToken(f *testing.F) {
	for _, token := range jwtAttacks(f) {
		f.Add(token)
	}
	c := newChain(f, Options{Entries: []Entry{rsaEntry(f)}, Now: new(clock).now})
	f.Fuzz(func(t *testing.T, token string) {
		// Nobody but the holder of the key can make one; the corpus holds none.
		if caller, err := c.Ask(request("Authorization", "Bearer "+token)).Answer(t.Context()); err == nil {
			t.Errorf("%q is believed to be %s", token, caller.User)
		}
		_ = expiryOf([][]string{{token}})
	})
}

// jwkOf writes a public key as a JWK.
func jwkOf(kid string, key *rsa.PublicKey) map[string]any {
	return map[string]any{
		"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256",
		"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
	}
}

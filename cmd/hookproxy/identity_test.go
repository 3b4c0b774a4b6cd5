package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/hookproxy/hookproxy/internal/sample"
)

// login tells which of the sample's accounts a request is from, or nil: in
// front of the sample it makes an API with other credentials than bearer tokens.
type login func(r *http.Request) *sample.Account

// startSampleWith serves the sample API behind another login. keys, if not nil,
// is its key set.
func startSampleWith(t *testing.T, who login, keys http.HandlerFunc) string {
	t.Helper()
	api := sample.NewAPI().Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if keys != nil && r.URL.Path == "/keys" {
			keys(w, r)
			return
		}
		account := who(r)
		r.Header.Del("Authorization")
		if account != nil {
			r.Header.Set("Authorization", "Bearer "+account.Token)
		}
		api.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// sendAs sends one JSON request with credentials, and answers status and body.
func sendAs(t *testing.T, credentials http.Header, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = credentials.Clone()
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(got)
}

func authorization(value string) http.Header { return http.Header{"Authorization": {value}} }

// ownHooksOnly is what identity is for: each account gets the events of its own
// writes, a stranger gets nothing, and all of it with the API's own credentials.
func ownHooksOnly(t *testing.T, api, identity string, alice, bob, stranger http.Header) {
	t.Helper()
	server := redistest.Mini(t)
	proxy := start(t, "--upstream", api, "--redis", "redis://"+server.Addr, "--spool", "none",
		"--rules", writeRules(t, identity+"\nresources: {contact: /contacts}\n"))
	receiver := sample.NewReceiver(100)
	target := httptest.NewServer(receiver)
	t.Cleanup(target.Close)
	subscription := `{"event":"contact.create","target_url":"` + target.URL + `"}`
	if status, body := sendAs(t, stranger, "POST", proxy.front+"/api/v1/subscription/", subscription); status != 401 {
		t.Errorf("a stranger subscribes: %d %s", status, body)
	}
	status, body := sendAs(t, alice, "POST", proxy.front+"/api/v1/subscription/", subscription)
	var made struct{ ID, Secret string }
	if err := json.Unmarshal([]byte(body), &made); status != 201 || err != nil {
		t.Fatalf("Alice subscribes: %d %s\n%s", status, body, proxy.log)
	}
	receiver.Expect(made.ID, made.Secret)
	if status, body := sendAs(t, bob, "GET", proxy.front+"/api/v1/subscription/", ""); status != 200 || strings.TrimSpace(body) != "[]" {
		t.Errorf("Bob sees %d %s", status, body)
	}
	for _, write := range []struct {
		as     http.Header
		name   string
		status int
	}{{bob, "Bob's", 201}, {stranger, "a stranger's", 401}, {alice, "Alice's", 201}} {
		if status, body := sendAs(t, write.as, "POST", proxy.front+"/contacts", `{"name":"`+write.name+`"}`); status != write.status {
			t.Fatalf("create %s: %d %s", write.name, status, body)
		}
	}
	hook := awaitHook(t, receiver, proxy)
	if hook.Verified != nil || !strings.Contains(string(hook.Data), "Alice's") {
		t.Errorf("delivered %s, %v", hook.Data, hook.Verified)
	}
}

func TestCallersAreKnownByWhoami(t *testing.T) {
	t.Parallel()
	ownHooksOnly(t, startSample(t), "identity: [{whoami: {get: /me, user: id}}]",
		authorization("Bearer alice-token"), authorization("Bearer bob-token"), authorization("Bearer eve-token"))
}

func TestCallersAreKnownByBasic(t *testing.T) {
	t.Parallel()
	api := startSampleWith(t, func(r *http.Request) *sample.Account {
		name, password, _ := r.BasicAuth()
		i := slices.IndexFunc(sample.Accounts, func(a sample.Account) bool { return a.Name == name && a.Token == password })
		if i < 0 {
			return nil
		}
		return &sample.Accounts[i]
	}, nil)
	basic := func(name, password string) http.Header {
		return authorization("Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password)))
	}
	ownHooksOnly(t, api, "identity: [{basic: /me}]", basic("Alice", "alice-token"), basic("Bob", "bob-token"), basic("Alice", "bob-token"))
}

func TestCallersAreKnownByJWT(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	token := func(account, audience string) http.Header {
		text, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
			"iss": "https://login.example/", "aud": audience, "sub": account, "exp": time.Now().Add(time.Hour).Unix(),
		}).SignedString(private)
		if err != nil {
			t.Fatal(err)
		}
		return authorization("Bearer " + text)
	}
	api := startSampleWith(t, func(r *http.Request) *sample.Account {
		claims := &jwt.RegisteredClaims{}
		bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		_, err := jwt.ParseWithClaims(bearer, claims, func(*jwt.Token) (any, error) { return public, nil }, jwt.WithAudience("sample"))
		i := slices.IndexFunc(sample.Accounts, func(a sample.Account) bool { return strconv.Itoa(a.ID) == claims.Subject })
		if err != nil || i < 0 {
			return nil
		}
		return &sample.Accounts[i]
	}, func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]any{
			"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "1", "x": base64.RawURLEncoding.EncodeToString(public),
		}}})
	})
	ownHooksOnly(t, api, "identity: [{jwt: {jwks: /keys, issuer: 'https://login.example/', audience: sample, algorithms: EdDSA}}]",
		token("42", "sample"), token("43", "sample"), token("42", "another API"))
}

func TestCallersAreKnownByAPIKey(t *testing.T) {
	t.Setenv("HOOKPROXY_TEST_KEY_SECRET", "0123456789abcdef0123456789abcdef")
	api := startSampleWith(t, func(r *http.Request) *sample.Account {
		i := slices.IndexFunc(sample.Accounts, func(a sample.Account) bool { return a.Token == r.Header.Get("X-Api-Key") })
		if i < 0 {
			return nil
		}
		return &sample.Accounts[i]
	}, nil)
	key := func(key string) http.Header { return http.Header{"X-Api-Key": {key}} }
	ownHooksOnly(t, api, "identity: [{key: {header: X-Api-Key, secret: {env: HOOKPROXY_TEST_KEY_SECRET}, verify: /me}}]",
		key("alice-token"), key("bob-token"), key("eve-token"))
}

package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/hookproxy/hookproxy/internal/sample"
)

// confidential is part of every credential of this test, and of nothing else.
const confidential = "Zq7-confidential-Xw3"

// credentialed is an API that takes any credentials. Who is calling it tells
// only while it knows.
func credentialed(t *testing.T, knows *atomic.Bool) string {
	t.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.Contains(r.Header.Get("Authorization"), "revoked"):
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/me" && !knows.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path == "/me":
			_, _ = io.WriteString(w, `{"id":42}`)
		default:
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"id":1,"name":"visible"}`)
		}
	}))
	t.Cleanup(api.Close)
	return api.URL
}

// everyCredential has the secret wherever credentials stand.
func everyCredential(scheme string) http.Header {
	secret := confidential
	if scheme == "Basic" {
		secret = base64.StdEncoding.EncodeToString([]byte("ann:" + confidential))
	}
	return http.Header{
		"Authorization": {scheme + " " + secret}, "Proxy-Authorization": {"Bearer " + confidential},
		"Cookie": {"session=" + confidential}, "X-Api-Key": {confidential}, "X-Auth-Token": {confidential},
	}
}

func TestCredentialsAreNeverLoggedSpooledOrStored(t *testing.T) {
	t.Setenv("HOOKPROXY_TEST_KEY_SECRET", confidential+"0123456789abcdef")
	redistest.Run(t, func(t *testing.T, server *redistest.Server) {
		var knows atomic.Bool
		api, spool := credentialed(t, &knows), filepath.Join(t.TempDir(), "spool")
		receiver := sample.NewReceiver(100)
		target := httptest.NewServer(receiver)
		t.Cleanup(target.Close)
		proxy := start(t, "--upstream", api, "--redis", "redis://"+server.Addr, "--spool", spool, "--log-level", "debug", "--rules", writeRules(t, `
identity:
  - basic: /me
  - whoami: {get: /me, user: id, credentials: [Authorization, Cookie, X-Api-Key], query: [access_token, api_key]}
  - key: {query: api_key, secret: {env: HOOKPROXY_TEST_KEY_SECRET}, verify: /me}
resources: {contact: /contacts}
rules: [{on: POST /contacts, emit: contact.seen, fetch: {after: "/contacts/{response.body.id}"}}]
`))
		create := func(credentials http.Header) {
			t.Helper()
			if status, body := sendAs(t, credentials, "POST", proxy.front+"/contacts?api_key="+confidential, `{"name":"visible"}`); status != 201 && status != 401 {
				t.Fatalf("create: %d %s", status, body)
			}
		}
		everyone := []http.Header{everyCredential("Bearer"), everyCredential("Basic"), everyCredential("Bearer revoked"), {}}
		for _, as := range everyone {
			create(as) // parked, or not an event at all: nobody knows the caller
			sendAs(t, as, "GET", proxy.front+"/api/v1/subscription/?api_key="+confidential, "")
		}
		parked := dump(t, server)
		search(t, "Redis while identity is unavailable", parked)
		knows.Store(true)
		subscription := `{"event":"contact.create","target_url":"` + target.URL + `"}`
		for _, as := range everyone {
			sendAs(t, as, "POST", proxy.front+"/api/v1/subscription/?api_key="+confidential, subscription)
			create(as)
		}
		hook := awaitHook(t, receiver, proxy)
		search(t, "a delivery", fmt.Sprint(hook.Header, string(hook.Body)))
		search(t, "Redis", dump(t, server))
		server.Stop(t)
		for _, as := range everyone {
			create(as)
		}
		spooled, err := os.ReadFile(spool)
		if err != nil {
			t.Fatal(err)
		}
		search(t, "the spool", string(spooled))
		_, metrics := get(t, proxy.admin+"/metrics")
		proxy.kill()
		search(t, "the log", proxy.log.whole())
		search(t, "the metrics", metrics)
		holdsWhatIsNoSecret(t, proxy, parked, string(spooled), string(hook.Body))
	})
}

// holdsWhatIsNoSecret makes sure that the search was not one of empty places.
func holdsWhatIsNoSecret(t *testing.T, proxy *instance, parked, spooled, delivered string) {
	t.Helper()
	for where, text := range map[string]string{"Redis": parked, "the spool": spooled, "the delivery": delivered} {
		if !strings.Contains(text, `"visible"`) {
			t.Errorf("%s does not even hold the payload", where)
		}
	}
	if !strings.Contains(proxy.log.whole(), `"path":"/contacts"`) || !strings.Contains(parked, "identity_unavailable") {
		t.Error("the log lacks the requests, or Redis the parked events")
	}
}

// search looks for the secret as it is, and as it would look in some encodings.
func search(t *testing.T, where, text string) {
	t.Helper()
	for name, form := range map[string]string{
		"as it is": confidential, "in hex": hex.EncodeToString([]byte(confidential)),
		"in base64":            base64.RawStdEncoding.EncodeToString([]byte(confidential)),
		"as Basic credentials": base64.RawStdEncoding.EncodeToString([]byte("ann:" + confidential)),
	} {
		if at := strings.Index(strings.ToLower(text), strings.ToLower(form)); at >= 0 {
			t.Errorf("%s holds the secret %s: …%s", where, name, text[max(0, at-100):min(len(text), at+50)])
		}
	}
}

// dump answers every key of a Redis with its value.
func dump(t *testing.T, server *redistest.Server) string {
	t.Helper()
	ctx, c := t.Context(), server.Client
	keys, err := c.Keys(ctx, "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, key := range keys {
		var value any
		switch kind := c.Type(ctx, key).Val(); kind {
		case "string":
			value = c.Get(ctx, key).Val()
		case "list":
			value = c.LRange(ctx, key, 0, -1).Val()
		case "hash":
			value = c.HGetAll(ctx, key).Val()
		case "set":
			value = c.SMembers(ctx, key).Val()
		case "zset":
			value = c.ZRangeWithScores(ctx, key, 0, -1).Val()
		case "stream":
			value = c.XRange(ctx, key, "-", "+").Val()
		case "none": // gone meanwhile
		default:
			t.Fatalf("%s is a %s, which nobody looks into", key, kind)
		}
		fmt.Fprintf(&all, "%s = %v\n", key, value)
	}
	return all.String()
}

// whole answers every line of the log so far.
func (b *logBuffer) whole() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.lines, "\n")
}

func TestAnEventIsDeliveredOnceIdentityIsBack(t *testing.T) {
	t.Parallel()
	redistest.Run(t, func(t *testing.T, server *redistest.Server) {
		var knows atomic.Bool
		knows.Store(true)
		api := credentialed(t, &knows)
		receiver := sample.NewReceiver(100)
		target := httptest.NewServer(receiver)
		t.Cleanup(target.Close)
		proxy := start(t, "--upstream", api, "--redis", "redis://"+server.Addr, "--spool", "none", "--rules", writeRules(t, sampleRules))
		subscribe(t, proxy.front, "contact.create", target.URL, receiver)
		knows.Store(false)
		// Other credentials of the same caller: nothing of them is remembered.
		begun := time.Now()
		if status, body := sendAs(t, authorization("Bearer other"), "POST", proxy.front+"/contacts", `{}`); status != 201 {
			t.Fatalf("create: %d %s", status, body)
		}
		if n := server.Client.LLen(t.Context(), "hookproxy:{0}:parked").Val(); n != 1 {
			t.Errorf("%d events are parked after the response, want 1", n)
		}
		knows.Store(true)
		hook := awaitHook(t, receiver, proxy)
		if hook.Verified != nil || !strings.Contains(string(hook.Data), "visible") {
			t.Errorf("delivered %s, %v", hook.Data, hook.Verified)
		}
		if n := server.Client.LLen(t.Context(), "hookproxy:{0}:parked").Val(); n != 0 {
			t.Errorf("%d events are still parked after %s", n, time.Since(begun))
		}
	})
}

package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/hookproxy/hookproxy/internal/sample"
)

// verifyInNode has a delivery verified with the reference library for JavaScript,
// and with node's own ed25519. It answers what the script says, and its error.
func verifyInNode(script string, body []byte, header http.Header, secrets []string, jwks json.RawMessage) (string, error) {
	headers := map[string]string{}
	for _, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
		headers[name] = header.Get(name)
	}
	input, err := json.Marshal(map[string]any{"body": string(body), "headers": headers, "secrets": secrets, "jwks": jwks})
	if err != nil {
		return "", err
	}
	command := exec.Command("node", script)
	command.Stdin = bytes.NewReader(input)
	out, err := command.CombinedOutput()
	return string(out), err
}

// keyedSubscription is what an owner is told of a subscription's keys.
type keyedSubscription struct {
	ID, Secret string
	PublicKeys []string          `json:"public_keys"`
	Headers    map[string]string `json:"headers"`
}

func TestReferenceLibrariesVerifyWhatIsSignedWhileSecretAndKeyChange(t *testing.T) {
	t.Parallel()
	wantNode(t, "standardwebhooks")
	script := "testdata/npm/verify.cjs"
	redistest.Run(t, func(t *testing.T, server *redistest.Server) {
		receiver := sample.NewReceiver(10)
		target := httptest.NewServer(receiver)
		t.Cleanup(target.Close)
		master := func(b byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32)) }
		proxy := start(t, "--upstream", startSample(t), "--redis", "redis://"+server.Addr, "--spool", "none", "--log-level", "debug",
			"--rules", writeRules(t, sampleRules), "--signing-key", master(8)+","+master(7), "--secret-key", master(6))
		var made, rotated keyedSubscription
		status, body := send(t, "POST", proxy.front+"/api/v1/subscription/",
			`{"event":"contact.create","target_url":"`+target.URL+`","signature":"both","headers":{"x-env":"prod","Authorization":"Bearer `+confidential+`"}}`)
		if err := json.Unmarshal(body, &made); status != 201 || err != nil {
			t.Fatalf("subscribe: %d %s", status, body)
		}
		_, body = send(t, "POST", proxy.front+"/api/v1/subscription/"+made.ID+"/rotate-secret", "")
		if err := json.Unmarshal(body, &rotated); err != nil || len(rotated.PublicKeys) != 2 {
			t.Fatalf("rotate: %v, %s", err, body)
		}
		send(t, "POST", proxy.front+"/contacts", `{"name":"Ada <Lovelace> & co \u20ac"}`)
		hook := awaitHook(t, receiver, proxy)

		if hook.Header.Get("X-Env") != "prod" || hook.Header.Get("Authorization") != "Bearer "+confidential {
			t.Errorf("the subscriber's headers arrived as %v", hook.Header)
		}
		secrets := []string{rotated.Secret, made.Secret}
		for _, secret := range secrets {
			webhook, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := webhook.Verify(hook.Body, hook.Header); err != nil {
				t.Errorf("the library for Go: %v", err)
			}
		}
		for _, key := range rotated.PublicKeys {
			if !signedBy(t, key, hook) {
				t.Errorf("no signature by %s among %q", key, hook.Header.Get("Webhook-Signature"))
			}
		}
		jwks := publishedKeys(t, proxy.front+"/api/v1/subscription/"+made.ID+"/jwks.json")
		if out, err := verifyInNode(script, hook.Body, hook.Header, secrets, jwks); err != nil || !strings.Contains(out, "verified 2 secrets, 2 keys") {
			t.Errorf("in JavaScript: %v: %s", err, out)
		}
		if out, err := verifyInNode(script, append(hook.Body, ' '), hook.Header, nil, jwks); err == nil {
			t.Errorf("a changed body was verified by the keys: %s", out)
		}
		search(t, "Redis", dump(t, server))
		search(t, "the log", proxy.log.whole())
		search(t, "the answer", string(body))
		for _, hidden := range []string{master(8), master(7)} {
			if strings.Contains(proxy.log.whole()+dump(t, server), hidden) {
				t.Error("the log or Redis holds a signing key")
			}
		}
	})
}

// publishedKeys reads a key set as anybody may.
func publishedKeys(t *testing.T, url string) json.RawMessage {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var set json.RawMessage
	if err := json.NewDecoder(response.Body).Decode(&set); err != nil || response.StatusCode != 200 {
		t.Fatalf("%d, %v", response.StatusCode, err)
	}
	if got := response.Header.Get("Cache-Control"); got != "public, max-age=300" {
		t.Errorf("Cache-Control is %q", got)
	}
	if got := response.Header.Get("Content-Type"); got != "application/jwk-set+json" {
		t.Errorf("Content-Type is %q", got)
	}
	return set
}

// signedBy tells whether one of a delivery's v1a signatures is by a key (Standard
// Webhooks, §Signature scheme).
func signedBy(t *testing.T, public string, hook sample.Hook) bool {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(public, "whpk_"))
	if err != nil || len(key) != ed25519.PublicKeySize {
		t.Fatalf("%s is no public key: %v", public, err)
	}
	content := hook.Header.Get("Webhook-Id") + "." + hook.Header.Get("Webhook-Timestamp") + "." + string(hook.Body)
	for one := range strings.FieldsSeq(hook.Header.Get("Webhook-Signature")) {
		encoded, found := strings.CutPrefix(one, "v1a,")
		signature, err := base64.StdEncoding.DecodeString(encoded)
		if found && err == nil && ed25519.Verify(key, []byte(content), signature) {
			return true
		}
	}
	return false
}

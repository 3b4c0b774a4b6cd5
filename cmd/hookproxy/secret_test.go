package main

import (
	"bytes"
	"encoding/base64"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/hookproxy/hookproxy/internal/sample"
)

func TestSecretsAreSealedInRedisAndDeliveriesSignedAllTheSame(t *testing.T) {
	t.Parallel()
	redistest.Run(t, func(t *testing.T, server *redistest.Server) {
		receiver := sample.NewReceiver(10)
		target := httptest.NewServer(receiver)
		t.Cleanup(target.Close)
		args := []string{"--upstream", startSample(t), "--redis", "redis://" + server.Addr,
			"--rules", writeRules(t, sampleRules), "--spool", "none"}
		key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
		sealing := start(t, append(args, "--secret-key", key)...)
		subscribe(t, sealing.front, "contact.create", target.URL, receiver)

		kept := sealedSecret(t, server)
		if !strings.HasPrefix(kept, "sealed:") || strings.Contains(kept, "whsec_") {
			t.Errorf("Redis has the secret as %q", kept)
		}
		send(t, "POST", sealing.front+"/contacts", `{"n":1}`)
		if hook := awaitHook(t, receiver, sealing); hook.Verified != nil {
			t.Errorf("the signature: %v", hook.Verified)
		}

		// Without the key nothing goes out unsigned, and nothing is lost.
		if err := sealing.stop(t); err != nil {
			t.Fatal(err)
		}
		keyless := start(t, args...)
		send(t, "POST", keyless.front+"/contacts", `{"n":2}`)
		awaitLog(t, keyless, `"class":"secret_sealed"`)
		if err := keyless.stop(t); err != nil {
			t.Fatal(err)
		}
		if len(receiver.Hooks) != 0 {
			t.Errorf("a delivery went out without its key: %s", (<-receiver.Hooks).Body)
		}
		retries, err := server.Client.Keys(t.Context(), "hookproxy:{0}:retry:*").Result()
		if err != nil || len(retries) != 1 {
			t.Errorf("what could not be signed waits in %v, %v; want one subscription's retries", retries, err)
		}
	})
}

// sealedSecret answers the one subscription's secret as Redis has it.
func sealedSecret(t *testing.T, server *redistest.Server) string {
	t.Helper()
	keys, err := server.Client.Keys(t.Context(), "hookproxy:{0}:subscription:*").Result()
	if err != nil || len(keys) != 1 {
		t.Fatalf("the subscriptions are %v, %v; want one", keys, err)
	}
	return server.Client.HGet(t.Context(), keys[0], "secret").Val()
}

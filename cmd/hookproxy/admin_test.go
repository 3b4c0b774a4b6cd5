package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/console"
)

// The API is not public by accident: off loopback it needs a token, and says so.
func TestTheAdminAPIIsServedOnLoopbackOrWithAToken(t *testing.T) {
	const token = "0123456789abcdef"
	ask := func(i *instance, path, token string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, i.admin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	up := func(args ...string) *instance {
		return start(t, append([]string{"--upstream", startSample(t), "--rules", writeRules(t, sampleRules), "--redis", "embedded", "--spool", "none"}, args...)...)
	}
	const list = console.Path + "subscriptions"
	if got := ask(up(), list, ""); got != http.StatusOK {
		t.Errorf("on loopback: %d", got)
	}
	public := up("--admin", "0.0.0.0:0")
	if api, health := ask(public, list, ""), ask(public, "/healthz", ""); api != http.StatusNotFound || health != http.StatusOK {
		t.Errorf("off loopback without a token: %d, and /healthz %d", api, health)
	}
	if !strings.Contains(public.log.String(), "the admin API is not served") {
		t.Errorf("the log does not say why:\n%s", public.log)
	}
	guarded := up("--admin", "0.0.0.0:0", "--admin-token", token)
	if without, with := ask(guarded, list, ""), ask(guarded, list, token); without != http.StatusUnauthorized || with != http.StatusOK {
		t.Errorf("off loopback with a token: %d without it, %d with it", without, with)
	}
	if strings.Contains(guarded.log.String(), token) {
		t.Error("the token is in the log")
	}
}

package console

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// guarded sends a request through a guard and answers the status: 200 where it got
// through.
func guarded(t *testing.T, token, method, host string, headers map[string]string) int {
	t.Helper()
	g := guard{token: token, refuse: (&console{}).fail}
	through := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	r := httptest.NewRequestWithContext(t.Context(), method, Path+"subscriptions", nil)
	r.Host = host
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	g.around(through).ServeHTTP(w, r)
	return w.Code
}

func TestABrowserCannotDriveTheAPI(t *testing.T) {
	plain := map[string]string{"Content-Type": "application/json"}
	for _, c := range []struct {
		name, method, host string
		headers            map[string]string
		want               int
	}{
		{"curl reads", "GET", "127.0.0.1:9901", nil, 200},
		{"curl by name", "GET", "localhost:9901", nil, 200},
		{"curl by IPv6", "GET", "[::1]:9901", nil, 200},
		{"curl writes", "POST", "127.0.0.1:9901", plain, 200},
		{"curl deletes", "DELETE", "127.0.0.1", nil, 200},
		{"a rebound name", "GET", "evil.example:9901", nil, 403},
		{"a name that begins so", "GET", "127.0.0.1.evil.example", nil, 403},
		{"a name below localhost", "GET", "localhost.evil.example", nil, 403},
		{"no name", "GET", "", nil, 403},
		{"another machine's address", "GET", "10.0.0.7:9901", nil, 403},
		{"a form", "POST", "127.0.0.1:9901", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, 415},
		{"a form as text", "POST", "127.0.0.1:9901", map[string]string{"Content-Type": "text/plain"}, 415},
		{"no body and no type", "POST", "127.0.0.1:9901", nil, 415},
		{"another site's script", "POST", "127.0.0.1:9901", map[string]string{"Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"}, 403},
		{"an old browser's", "POST", "127.0.0.1:9901", map[string]string{"Content-Type": "application/json", "Origin": "https://evil.example"}, 403},
		{"another port's page", "DELETE", "127.0.0.1:9901", map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:3000"}, 403},
	} {
		if got := guarded(t, "", c.method, c.host, c.headers); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestWithATokenNothingIsAnsweredWithoutIt(t *testing.T) {
	const token = "0123456789abcdef"
	for authorization, want := range map[string]int{
		"": 401, "Bearer": 401, "Bearer ": 401, "Bearer 0123456789abcdeF": 401, "Bearer 0123456789abcde": 401, "Bearer 0123456789abcdef0": 401,
		"Basic " + token: 401, token: 401, "Bearer " + token: 200, "bearer " + token: 200, "Bearer " + strings.Repeat("x", 1<<16): 401,
	} {
		for _, host := range []string{"127.0.0.1", "hooks.internal:9901"} {
			if got := guarded(t, token, "GET", host, map[string]string{"Authorization": authorization}); got != want {
				t.Errorf("%.40q at %s: %d, want %d", authorization, host, got, want)
			}
		}
	}
	if got := guarded(t, token, "POST", "h", map[string]string{"Authorization": "Bearer " + token, "Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"}); got != 403 {
		t.Errorf("from another site: %d", got)
	}
}

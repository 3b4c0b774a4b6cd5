package proxy

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mccutchen/go-httpbin/v2/httpbin"
	"github.com/prometheus/client_golang/prometheus"
)

// TestAnAPIAnswersThroughTheProxyAsItDoesDirectly asks go-httpbin the same
// twice.
func TestAnAPIAnswersThroughTheProxyAsItDoesDirectly(t *testing.T) {
	overTransports(t, testAnAPIAnswersThroughTheProxyAsItDoesDirectly)
}

func testAnAPIAnswersThroughTheProxyAsItDoesDirectly(t *testing.T) {
	upstream := serve(t, httpbin.New().ServeHTTP)
	// Everything is captured, so that the holding is compared as well.
	s, _ := capturing(t, `
rules:
  - {on: "POST /{any:.+}", emit: any.post}
  - {on: "PUT /{any:.+}", emit: any.put}
  - {on: "GET /{any:.+}", emit: any.get}
`, upstream, nil)
	for _, c := range []struct{ method, target, body string }{
		{"GET", "/", ""}, {"GET", "/get?a=1&a=2;b&%zz", ""}, {"POST", "/post?x", `{"a":"<&>"}`}, {"PUT", "/put", "x=1"}, {"PATCH", "/patch", "y"},
		{"DELETE", "/delete", ""}, {"HEAD", "/get", ""}, {"OPTIONS", "/get", ""}, {"PURGE", "/anything/a%2Fb", "body"}, {"POST", "/get", ""},
		{"GET", "/gzip", ""}, {"GET", "/deflate", ""}, {"GET", "/brotli", ""}, {"GET", "/encoding/utf8", ""}, {"GET", "/headers", ""},
		{"GET", "/status/201", ""}, {"GET", "/status/204", ""}, {"GET", "/status/304", ""}, {"GET", "/status/418", ""}, {"GET", "/status/503", ""},
		{"GET", "/redirect/2", ""}, {"GET", "/absolute-redirect/1", ""}, {"GET", "/redirect-to?url=http://x/", ""}, {"GET", "/cookies/set?a=1", ""},
		{"GET", "/basic-auth/u/p", ""}, {"GET", "/bearer", ""}, {"GET", "/bytes/5000?seed=1", ""}, {"GET", "/stream-bytes/5000?seed=1&chunk_size=100", ""},
		{"GET", "/stream/3", ""}, {"GET", "/range/100", ""}, {"GET", "/etag/x", ""}, {"GET", "/cache/60", ""}, {"GET", "/response-headers?X-A=1&X-A=2", ""},
		{"GET", "/html", ""}, {"GET", "/xml", ""}, {"GET", "/json", ""}, {"GET", "/image/png", ""}, {"GET", "/robots.txt", ""}, {"GET", "/deny", ""},
		{"GET", "/trailers?X-Sum=1", ""}, {"GET", "/links/3/0", ""}, {"GET", "/base64/aGk=", ""}, {"GET", "/nothing", ""},
		{"GET", "/sse?count=2&duration=0", ""}, {"POST", "/status/201", strings.Repeat("x", 70_000)}, {"POST", "/redirect-to?url=/y", "x"},
	} {
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			direct, proxied := ask(t, s.client, upstream.String(), c.method, c.target, c.body), ask(t, s.client, s.url, c.method, c.target, c.body)
			if diff := cmp.Diff(direct, proxied); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func ask(t *testing.T, client *http.Client, base, method, target, body string) message {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, base+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "api.example"
	r.Header.Set("User-Agent", "") // none
	r.Header.Set("Content-Type", "text/plain")
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	m := message{Status: res.StatusCode, Header: res.Header, Body: string(text), Length: res.ContentLength, Trailer: res.Trailer}
	if err != nil {
		m.Error = err.Error()
	}
	if m.Header.Del("Date"); res.StatusCode == http.StatusNotModified {
		m.Header.Del("Content-Type") // net/http leaves it out, as RFC 9110 §15.4.5 asks
	}
	unlimited := lease{budget: &budget{gauge: prometheus.NewGauge(prometheus.GaugeOpts{})}, most: 1 << 20}
	if plain, omitted := decodeWhole(res.Header, text, 1<<20, &unlimited); omitted == "" {
		m.Body = string(plain) // that it comes untouched is looked at elsewhere
	}
	m.Body = withoutForwarding(m.Body)
	if strings.HasPrefix(target, "/sse") {
		m.Header.Del("Server-Timing")
		m.Body, m.Trailer = "", nil // timestamps
	}
	if m.Body != string(text) {
		m.Length = 0
		m.Header.Del("Content-Length")
	}
	return m
}

// withoutForwarding takes what we add out of a body that echoes headers: one
// JSON object, or a line of them.
func withoutForwarding(body string) string {
	var kept strings.Builder
	for objects := json.NewDecoder(strings.NewReader(body)); objects.More(); {
		var echo map[string]any
		if err := objects.Decode(&echo); err != nil {
			return body
		}
		headers, ok := echo["headers"].(map[string]any)
		if !ok {
			return body
		}
		for _, name := range []string{forwardedFor, forwardedHost, forwardedProto} {
			delete(headers, name)
		}
		if err := json.NewEncoder(&kept).Encode(echo); err != nil {
			return body
		}
	}
	return kept.String()
}

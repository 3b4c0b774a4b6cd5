package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestOwnPathsAreAnsweredHereInEverySpelling(t *testing.T) {
	upstream := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "upstream ", r.RequestURI) })
	own := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "own ", r.URL.EscapedPath(), "?", r.URL.RawQuery)
	})
	s := setUp(t, Options{Upstream: upstream, Ruling: Ruling{Own: own, OwnPaths: []string{"/api/v1/subscription/", "/api/v1/event/"}}})
	for target, want := range map[string]string{
		"/api/v1/subscription":                  "own /api/v1/subscription?",
		"/api/v1/subscription/":                 "own /api/v1/subscription/?",
		"/api/v1/subscription/0-1/?a=b":         "own /api/v1/subscription/0-1/?a=b",
		"/api//v1/./subscription":               "own /api/v1/subscription?",
		"//api/v1/x/%2e%2e/%73ubscription/":     "own /api/v1/subscription/?",
		"/api/v1/subscription/a%2Fb":            "own /api/v1/subscription/a%2Fb?",
		"/api/v1/event/":                        "own /api/v1/event/?",
		"/api/v1/subscriptions":                 "upstream /api/v1/subscriptions",
		"/api/v1/subscription%2F":               "upstream /api/v1/subscription%2F",
		"/api/v1/Subscription/":                 "upstream /api/v1/Subscription/",
		"/x/api/v1/subscription/":               "upstream /x/api/v1/subscription/",
		"/api/v1/subscription/../contacts":      "upstream /api/v1/subscription/../contacts",
		"/contacts/?next=/api/v1/subscription/": "upstream /contacts/?next=/api/v1/subscription/",
	} {
		_, body, err := readResponse(t, converse(t, s.addr, "GET "+target+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), "GET")
		if err != nil || body != want {
			t.Errorf("%s: %q, %v; want %q", target, body, err, want)
		}
	}
	eventually(t, s.proxy.metrics.requests.WithLabelValues("200", "GET", kindOwn), 7)
	eventually(t, s.proxy.metrics.requests.WithLabelValues("200", "GET", kindForwarded), 6)
}

func TestNewNamesEverythingThatIsWrong(t *testing.T) {
	own := http.NotFoundHandler()
	for want, o := range map[string]Options{
		"missing":              {},
		"must begin with http": {Upstream: parse(t, "ftp://x")},
		"has no host":          {Upstream: parse(t, "http:///x")},
		"a user or password":   {Upstream: parse(t, "http://u:secret@x")},
		"a query or fragment":  {Upstream: parse(t, "http://x?y")},
		"without a publisher":  {Upstream: parse(t, "http://x"), Ruling: Ruling{Rules: rulesOf(t, contacts)}},
		"without a handler":    {Upstream: parse(t, "http://x"), Ruling: Ruling{OwnPaths: []string{"/own"}}},
		"would hide the whole": {Upstream: parse(t, "http://x"), Ruling: Ruling{OwnPaths: []string{"/"}, Own: own}},
	} {
		_, err := New(o)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

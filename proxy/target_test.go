package proxy

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ourHeaders are what the upstream gets from us on top of the client's.
var ourHeaders = []string{forwardedFor, forwardedHost, forwardedProto, "Connection"}

func TestTheUpstreamGetsTheVeryBytesOfTheRequestTarget(t *testing.T) {
	overTransports(t, testTheUpstreamGetsTheVeryBytesOfTheRequestTarget)
}

func testTheUpstreamGetsTheVeryBytesOfTheRequestTarget(t *testing.T) {
	for _, target := range []string{
		"/", "/contacts", "/contacts/", "//", "///", "//contacts", "/contacts//1", "/a/./b", "/a/../b", "/../..", "/.", "/a/..",
		"/%2F", "/a%2Fb", "/%2e%2e/x", "/%2E/", "/%7Eme", "/~me", "/a%20b", "/a+b", "/a;b=c;d", "/a,b", "/a:b", "/a@b", "/a=b&c",
		"/a|b", `/a"b`, "/a^b", "/a`b", "/a{b}", "/a<b>", `/a\b`, "/a#b", "/ü", "/\xff\xfe", "/%ff", "/%00", "/a%0d%0ab", "/[x]", "/a!$'()*",
		"/a|b//c", "/%7C|", "/a%2Fb|c", "/x?", "/x??", "/x?a=1&a=2", "/x?a=1;b=2", "/x?%", "/x?%zz=%1", "/x?a=%2F/?", "/x?a|b", `/x?"`, "/x?ü",
		"/x?a=b#c", "/|?|", "/x?" + strings.Repeat("a&", 11_000), "*",
	} {
		t.Run(target[:min(len(target), 20)], func(t *testing.T) {
			upstream := serveRaw(t, say(emptyAnswer))
			s := setUp(t, Options{Upstream: upstream.url})
			request := "GET " + target + " HTTP/1.1\r\nHost: api.example:81\r\nConnection: close\r\n\r\n"
			converse(t, upstream.url.Host, request)
			converse(t, s.addr, request)
			direct, proxied := headLines(receive(t, upstream.heads), "Connection"), headLines(receive(t, upstream.heads), ourHeaders...)
			if diff := cmp.Diff(direct, proxied); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestRequestTargetsThatCannotGoOutAsTheyCame(t *testing.T) {
	overTransports(t, testRequestTargetsThatCannotGoOutAsTheyCame)
}

func testRequestTargetsThatCannotGoOutAsTheyCame(t *testing.T) {
	for target, want := range map[string]string{
		"//a|b":                         "GET //a%7Cb HTTP/1.1",     // see upstream.direct
		"http://api.example/a%2Fb|c?d;": "GET /a%2Fb|c?d; HTTP/1.1", // RFC 9112 §3.2.2
		"http://u:p@api.example":        "GET / HTTP/1.1",
		"http://api.example?x":          "GET /?x HTTP/1.1",
	} {
		upstream := serveRaw(t, say(emptyAnswer))
		s := setUp(t, Options{Upstream: upstream.url})
		converse(t, s.addr, "GET "+target+" HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n")
		if got := headLines(receive(t, upstream.heads))[0]; got != want {
			t.Errorf("%s went out as %q, want %q", target, got, want)
		}
	}
}

func TestTheUpstreamsBasePathComesFirst(t *testing.T) {
	overTransports(t, testTheUpstreamsBasePathComesFirst)
}

func testTheUpstreamsBasePathComesFirst(t *testing.T) {
	for target, want := range map[string]string{
		"/": "/v1%2F/", "/x": "/v1%2F/x", "//x": "/v1%2F//x", "//a|b": "/v1%2F//a|b", "/a%2Fb?c": "/v1%2F/a%2Fb?c", "*": "*",
	} {
		upstream := serveRaw(t, say(emptyAnswer))
		s := setUp(t, Options{Upstream: parse(t, upstream.url.String()+"/v1%2F/")})
		converse(t, s.addr, "OPTIONS "+target+" HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n")
		if got := headLines(receive(t, upstream.heads))[0]; got != "OPTIONS "+want+" HTTP/1.1" {
			t.Errorf("%s went out as %q, want %q", target, got, want)
		}
	}
}

func TestMethodsGoThrough(t *testing.T) { overTransports(t, testMethodsGoThrough) }

func testMethodsGoThrough(t *testing.T) {
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE", "PROPFIND", "M-SEARCH", "get", "X!#"} {
		upstream := serveRaw(t, say(emptyAnswer))
		s := setUp(t, Options{Upstream: upstream.url, Ruling: Ruling{Rules: rulesOf(t, contacts)}, Publisher: newPublisher()})
		converse(t, s.addr, method+" /contacts HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n")
		if got := headLines(receive(t, upstream.heads))[0]; got != method+" /contacts HTTP/1.1" {
			t.Errorf("%s went out as %q", method, got)
		}
	}
}

func TestWhatNoOriginServerIsAskedForIsRefusedHere(t *testing.T) {
	overTransports(t, testWhatNoOriginServerIsAskedForIsRefusedHere)
}

func testWhatNoOriginServerIsAskedForIsRefusedHere(t *testing.T) {
	for request, want := range map[string]int{
		"CONNECT api.example:443": http.StatusNotImplemented,
		"CONNECT /rpc":            http.StatusNotImplemented,
		"GET mailto:me":           http.StatusBadRequest,
	} {
		upstream := serveRaw(t, nil)
		s := setUp(t, Options{Upstream: upstream.url})
		res, body, err := readResponse(t, converse(t, s.addr, request+" HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n"), "GET")
		if err != nil || res.StatusCode != want || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %q, %v; want the problem %d", request, res.StatusCode, body, err, want)
		}
		if len(upstream.heads) > 0 {
			t.Errorf("%s reached the upstream", request)
		}
	}
}

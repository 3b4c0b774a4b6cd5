package proxy

import (
	"fmt"
	"strings"
)

// More attempts for TestNoRequestIsSmuggled.

// lines are heads that are not made of lines and fields as RFC 9112 §2.2, §3
// and §5 have them.
func lines() []attempt {
	var all []attempt
	for _, head := range []string{
		"GET /contacts HTTP/1.1\r\nHost: a\r\nX : 1", "GET /contacts HTTP/1.1\r\nHost: a\r\nX\t: 1", "GET /contacts HTTP/1.1\r\nHost: a\r\n: 1",
		"GET /contacts HTTP/1.1\r\nHost: a\r\nX", "GET /contacts HTTP/1.1\r\nHost: a\r\nX: 1\r2", "GET /contacts HTTP/1.1\r\nHost: a\r\nX: 1\x002",
		"GET /contacts HTTP/1.1\r\nHost: a\r\nX: \x01", "GET /contacts HTTP/1.1\r\nHost: a\r\nX: \x7f", "GET /contacts HTTP/1.1\r\nHost: a\r\nX\x00: 1",
		"GET /contacts HTTP/1.1\r\nHost: a\r\n\xff: 1", "GET /contacts HTTP/1.1\r\nHost: a\r\nX(: 1", "GET /contacts HTTP/1.1\r\nHost: a\r\n\x0bX: 1",
		"GET /contacts HTTP/1.1\r\n Host: a", "GET /contacts HTTP/1.1\r\n\tX: 1\r\nHost: a", "GET /contacts HTTP/1.1\r\nHost: a\r\n\rX: 1",
		"GET  /contacts HTTP/1.1\r\nHost: a", "GET /contacts  HTTP/1.1\r\nHost: a", "GET /contacts HTTP/1.1 \r\nHost: a", "GET\t/contacts\tHTTP/1.1\r\nHost: a",
		" GET /contacts HTTP/1.1\r\nHost: a", "G(T /contacts HTTP/1.1\r\nHost: a", "GET /con\x00tacts HTTP/1.1\r\nHost: a", "GET /con\rtacts HTTP/1.1\r\nHost: a",
		"GET /con\x7ftacts HTTP/1.1\r\nHost: a", "GET /con tacts HTTP/1.1\r\nHost: a", "GET /contacts HTTP/1.2.3\r\nHost: a", "GET /contacts HTTP/11\r\nHost: a",
		"GET /contacts http/1.1\r\nHost: a", "GET /contacts HTTP/0.9\r\nHost: a", "GET /contacts HTTP/2.0\r\nHost: a", "GET /contacts HTTP/3\r\nHost: a", "GET /contacts",
		"GET /contacts HTTP/+1.1\r\nHost: a", "GET /contacts HTTP/1.1\x00\r\nHost: a", "\x00GET /contacts HTTP/1.1\r\nHost: a", "/contacts HTTP/1.1\r\nHost: a", "GET HTTP/1.1\r\nHost: a",
		"\r\rGET /contacts HTTP/1.1\r\nHost: a",
	} {
		all = append(all, attempt{fmt.Sprintf("%q", head), head + "\r\n\r\n", nothing})
	}
	return append(all,
		attempt{"a huge field", create("X: "+strings.Repeat("x", 2<<20)+"\r\n", ""), nothing},
		attempt{"a huge name", create(strings.Repeat("x", 2<<20)+": x\r\n", ""), nothing},
		attempt{"a huge target", "GET /" + strings.Repeat("x", 2<<20) + " HTTP/1.1\r\nHost: a\r\n\r\n", nothing},
		attempt{"too many fields", create(strings.Repeat("X: y\r\n", 400_000), ""), nothing},
		// What RFC 9112 §2.2 lets a server be lenient about goes on in its strict
		// form.
		attempt{"an empty line first", "\r\n" + create("Content-Length: 2\r\n", "{}"), nothing},
		attempt{"lines that end with LF", "POST /contacts HTTP/1.1\nHost: a\nContent-Length: 2\n\n{}", []string{"POST /contacts {}", "GET /last "}},
		attempt{"a folded line", create("X: 1\r\n  2\r\n", ""), []string{"POST /contacts ", "GET /last "}},
		attempt{"bytes beyond ASCII", create("X: \xff\xfe\r\n", ""), []string{"POST /contacts ", "GET /last "}},
	)
}

// targets are request targets that are not the origin form (RFC 9112 §3.2).
func targets() []attempt {
	get := func(target, want string) attempt {
		a := attempt{target, "GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n", nothing}
		if want != "" {
			a.want = []string{want, "GET /last "}
		}
		return a
	}
	return []attempt{
		get("http://a/contacts", "GET /contacts "),
		get("http://evil/contacts", "GET /contacts "),
		get("http://evil:80@a/contacts", "GET /contacts "),
		get("http://a", "GET / "),
		get("//evil/contacts", "GET //evil/contacts "),
		get("/contacts#GET", "GET /contacts#GET "),
		get("/contacts%0d%0aX:%201", "GET /contacts%0d%0aX:%201 "),
		get("/%2e%2e/contacts", "GET /%2e%2e/contacts "),
		get("/contacts\\..", "GET /contacts\\.. "),
		get("/contacts%zz", ""),
		get("contacts", ""),
		{"a:443", "GET a:443 HTTP/1.1\r\nHost: a\r\n\r\n", lastOnly},
		get("http://a b/contacts", ""),
		get("http://[::1/contacts", ""),
		get("?x", ""),
		{"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\n", nothing},
		{"the preface of HTTP/2 for HTTP/1.1", "PRI * HTTP/1.1\r\nHost: a\r\n\r\n", nothing},
		{"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", nothing},
		{"CONNECT with a body that is a request", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n" + smuggled, nothing},
		{"an asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", []string{"OPTIONS * ", "GET /last "}},
		{"an asterisk for another method", "POST * HTTP/1.1\r\nHost: a\r\n\r\n", []string{"POST * ", "GET /last "}},
	}
}

// hosts are requests that do not say for which host, or say it twice
// (RFC 9112 §3.2).
func hosts() []attempt {
	var all []attempt
	for _, lines := range []string{
		"", "Host: a\r\nHost: a\r\n", "Host: a\r\nhost: b\r\n", "Host : a\r\n", "Host: a/b\r\n", "Host: a b\r\n", "Host: a\x00\r\n", "Host: a\r\n b\r\n", "Host: \xff\r\n", "Host: a\x01\r\n",
	} {
		all = append(all, attempt{fmt.Sprintf("%q", "GET "+lines), "GET /contacts HTTP/1.1\r\n" + lines + "\r\n", nothing})
	}
	return append(all,
		attempt{"an absolute target and another Host", "GET http://a/contacts HTTP/1.1\r\nHost: b\r\n\r\n", []string{"GET /contacts ", "GET /last "}},
		attempt{"Host in Connection", "GET /contacts HTTP/1.1\r\nHost: a\r\nConnection: Host\r\n\r\n", []string{"GET /contacts ", "GET /last "}},
	)
}

// tricks are requests that are well-formed, and mean more than meets the eye.
func tricks() []attempt {
	both := []string{"POST /contacts {}", "GET /last "}
	return []attempt{
		{"two in a row", create("Content-Length: 2\r\n", "{}") + create("Content-Length: 2\r\n", "{}"), []string{"POST /contacts {}", "POST /contacts {}", "GET /last "}},
		{"a body that is a request", create("Content-Length: 65\r\n", smuggled+"\r\n\r\n"), []string{"POST /contacts " + smuggled + "\r\n\r\n", "GET /last "}},
		{"an expectation", create("Expect: 100-continue\r\nContent-Length: 2\r\n", "{}"), both},
		{"an expectation in capitals", create("expect: 100-CONTINUE\r\nContent-Length: 2\r\n", "{}"), both},
		{"an expectation without a body", create("Expect: 100-continue\r\n", ""), []string{"POST /contacts ", "GET /last "}},
		{"an expectation of a GET", "GET /contacts HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", []string{"GET /contacts ", "GET /last "}},
		{"another expectation", create("Expect: 200-ok\r\nContent-Length: 2\r\n", "{}"), nothing},
		{"an expectation of more", create("Expect: 100-continue, x\r\nContent-Length: 2\r\n", "{}"), both},
		{"an expectation with a chunked body", create("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"), both},
		{"an upgrade to h2c", create("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 2\r\n", "{}"), both},
		{"an upgrade that is not taken", create("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n", "{}"), both},
		{"an upgrade with a control byte", create("Connection: Upgrade\r\nUpgrade: \xff\r\nContent-Length: 2\r\n", "{}"), lastOnly},
		{"TE of more than trailers", create("TE: gzip, trailers\r\nConnection: TE\r\nContent-Length: 2\r\n", "{}"), both},
		{"HTTP/1.0", "POST /contacts HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}", []string{"POST /contacts {}"}},
		{"HTTP/1.0 with a Host", "POST /contacts HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", []string{"POST /contacts {}"}},
		{"a later minor version", "POST /contacts HTTP/1.2\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", both},
		{"a method that overrides", create("X-HTTP-Method-Override: GET\r\nContent-Length: 2\r\n", "{}"), both},
	}
}

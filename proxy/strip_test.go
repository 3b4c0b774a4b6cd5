package proxy

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

const stripping = "matching: {mount: [/api/v1, /old, /], strip: true}\n"

func TestTheUpstreamGetsTheVeryBytesBehindTheMount(t *testing.T) {
	overTransports(t, testTheUpstreamGetsTheVeryBytesBehindTheMount)
}

func testTheUpstreamGetsTheVeryBytesBehindTheMount(t *testing.T) {
	for target, want := range map[string]string{
		"/api/v1/contacts": "/contacts", "/api/v1": "/", "/api/v1/": "/", "/api/v1?a=%2F": "/?a=%2F", "/old/x?": "/x?",
		"/api/v1/a%2Fb": "/a%2Fb", "/api/v1/a|b": "/a|b", "/api/v1//b": "//b", "/api/v1/ü": "/ü", "/api/v1/./b": "/./b", "/api/v1/old/x": "/old/x",
		// Not below it: as they came.
		"/api/v10/x": "/api/v10/x", "/API/v1/x": "/API/v1/x", "/api/v1/../v2/x": "/api/v1/../v2/x", "/api/v1/%2e%2e/x": "/api/v1/%2e%2e/x",
		"/%61pi/v1/x": "/%61pi/v1/x", "/api%2Fv1/x": "/api%2Fv1/x", "//api/v1/x": "//api/v1/x", "/": "/", "/contacts": "/contacts",
	} {
		for base, before := range map[string]string{"": "", "/b%2Fc/": "/b%2Fc"} {
			upstream := serveRaw(t, say(emptyAnswer))
			s := setUp(t, Options{Upstream: parse(t, upstream.url.String()+base), Ruling: Ruling{Rules: rulesOf(t, stripping)}, Publisher: newPublisher()})
			converse(t, s.addr, "GET "+target+" HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n")
			if got := headLines(receive(t, upstream.heads))[0]; got != "GET "+before+want+" HTTP/1.1" {
				t.Errorf("%s went out as %q, want %s%s", target, got, before, want)
			}
		}
	}
}

func TestTheMountIsCutOffInWhateverCaseWhereCaseIsIgnored(t *testing.T) {
	runCases(t, "matching: {mount: /api/v1, strip: true, ignore_case: true}\nresources: {contact: /contacts}", []exchangeCase{
		{"in capitals", "PUT /API/V1/Contacts/7", "{}", echoing, `contact.update 42/7 {"got":"PUT /Contacts/7"}`},
	})
}

// What clients know it by is what events say: below the mount.
func TestEventsKnowResourcesBelowTheMount(t *testing.T) {
	cases := make([]exchangeCase, 0, 8)
	for location, url := range map[string]string{
		"/contacts/7": "/api/v1/contacts/7", "/api/v1/contacts/7": "/api/v1/contacts/7", "contacts/7": "/api/v1/contacts/7",
		"http://internal:81/contacts/7": "/api/v1/contacts/7", "https://api.example/api/v1/contacts/7": "/api/v1/contacts/7",
	} {
		cases = append(cases, exchangeCase{"created " + location, "POST /api/v1/contacts", "{}", answering(201, "Location: "+location, ""),
			`contact.create 42/7 {"id":"7","url":"` + url + `"}`})
	}
	cases = append(cases,
		exchangeCase{"updated", "PUT /api/v1/contacts/7", "{}", answering(204, "", ""), `contact.update 42/7 {"id":"7","url":"/api/v1/contacts/7"}`},
		exchangeCase{"outside", "PUT /contacts/7", "{}", answering(204, "", ""), `contact.update 42/7 {"id":"7","url":"/contacts/7"}`})
	runCases(t, stripping+"resources: {contact: {path: /contacts, payload: thin}}", cases)
}

func TestAFetchIsOfTheResourceThatTheUpstreamKnows(t *testing.T) {
	for _, location := range []string{"", "/contacts/8", "/api/v1/contacts/8", "http://internal/base/contacts/8", "/base/contacts/8", "contacts/8"} {
		a := newRecords(map[string]string{})
		a.location = location
		upstream := serve(t, http.StripPrefix("/base", a).ServeHTTP)
		upstream.Path = "/base"
		s, p := capturing(t, stripping+"resources: {contact: {path: /contacts, fetch: [before, after]}}\n", upstream, nil)
		s.do(t, "POST /api/v1/contacts", `{"id":8,"n":1}`)
		want := `contact.create 42/8 {"id":8,"n":1}`
		if location == "" {
			want = `contact.create 42/ omitted:fetch_failed parked:resource_unknown`
		}
		if got := s.outcomeOf(t, p); got != want {
			t.Errorf("Location %q: %s", location, got)
		}
		s.do(t, "PUT /api/v1/contacts/8", `{"n":2}`)
		if got := s.outcomeOf(t, p); got != `contact.update 42/8 {"n":2}` {
			t.Errorf("PUT: %s", got)
		}
	}
}

// An API makes links by what it is told of the prefix: nobody but us, and who we
// trust, may tell it.
func TestTheUpstreamIsToldOfTheMount(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for _, c := range []struct {
		rules, path, claim string
		trusted            []netip.Prefix
		want               string
	}{
		{stripping, "/api/v1/x", "", nil, "X-Forwarded-Prefix: /api/v1"},
		{stripping, "/api/v1/x", "X-Forwarded-Prefix: /evil", nil, "X-Forwarded-Prefix: /api/v1"},
		{stripping, "/x", "X_Forwarded-Prefix: /evil", nil, ""},
		{stripping, "/x", "X-Forwarded-Prefix: /evil", nil, ""},
		{stripping, "/old/x", "X-Forwarded-Prefix: /shop/", trusted, "X-Forwarded-Prefix: /shop/old"},
		{stripping, "/x", "X-Forwarded-Prefix: /shop", trusted, "X-Forwarded-Prefix: /shop"},
		{"matching: {mount: /api/v1}", "/api/v1/x", "X-Forwarded-Prefix: /as it came", nil, "X-Forwarded-Prefix: /as it came"},
	} {
		upstream := serveRaw(t, say(emptyAnswer))
		s := setUp(t, Options{Upstream: upstream.url, TrustedProxies: c.trusted, Ruling: Ruling{Rules: rulesOf(t, c.rules)}, Publisher: newPublisher()})
		claim := c.claim
		if claim != "" {
			claim += "\r\n"
		}
		converse(t, s.addr, "GET "+c.path+" HTTP/1.1\r\nHost: api.example\r\n"+claim+"Connection: close\r\n\r\n")
		var got []string
		for _, line := range headLines(receive(t, upstream.heads), ourHeaders...) {
			if strings.Contains(strings.ToLower(strings.ReplaceAll(line, "_", "-")), "x-forwarded-prefix") {
				got = append(got, line)
			}
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%s with %q: the upstream was told %q, want %q", c.path, c.claim, got, c.want)
		}
	}
}

// Byte for byte: an API that does not heed X-Forwarded-Prefix answers in its own
// terms, and so does hookproxy.
func TestAnswersStayAsTheyAre(t *testing.T) {
	upstream := serve(t, answering(302, "Location: /login\nSet-Cookie: a=b; Path=/", "see /login"))
	s := setUp(t, Options{Upstream: upstream, Ruling: Ruling{Rules: rulesOf(t, stripping)}, Publisher: newPublisher()})
	res, body := s.do(t, "GET /api/v1/me", "")
	if res.Header.Get("Location") != "/login" || res.Header.Get("Set-Cookie") != "a=b; Path=/" || body != "see /login" {
		t.Errorf("%q %q", res.Header, body)
	}
}

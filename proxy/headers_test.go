package proxy

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookproxy/hookproxy/identity"
)

// sent answers the head that the upstream gets for a request with more header
// lines.
func sent(t *testing.T, o Options, lines ...string) http.Header {
	t.Helper()
	upstream := serveRaw(t, say(emptyAnswer))
	o.Upstream = upstream.url
	s := setUp(t, o)
	converse(t, s.addr, "GET / HTTP/1.1\r\nHost: api.example\r\n"+strings.Join(append(lines, "\r\n"), "\r\n"))
	h := http.Header{}
	for _, line := range headLines(receive(t, upstream.heads))[1:] {
		name, value, _ := strings.Cut(line, ": ")
		h[name] = append(h[name], value)
	}
	return h
}

func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

func TestHeadersGoThroughAsTheyCame(t *testing.T) { overTransports(t, testHeadersGoThroughAsTheyCame) }

func testHeadersGoThroughAsTheyCame(t *testing.T) {
	got := sent(t, Options{}, "X-Twice: b", "Accept: x/y", "X-Twice: a", "X-Twice: b", "X-Empty:", "Authorization: Bearer x", "Cookie: a=b; c=d",
		"Te: trailers", "Accept-Encoding: br;q=0.1", "X_Under_Score: 1", "Connection: close")
	want := http.Header{
		"Host": {"api.example"}, "X-Twice": {"b", "a", "b"}, "Accept": {"x/y"}, "X-Empty": {""}, "Authorization": {"Bearer x"}, "Cookie": {"a=b; c=d"},
		"Te": {"trailers"}, "Accept-Encoding": {"br;q=0.1"}, "X_under_score": {"1"},
		forwardedFor: {"127.0.0.1"}, forwardedHost: {"api.example"}, forwardedProto: {"http"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestAStrangersForwardedHeadersAreReplaced(t *testing.T) {
	overTransports(t, testAStrangersForwardedHeadersAreReplaced)
}

func testAStrangersForwardedHeadersAreReplaced(t *testing.T) {
	for _, trusted := range [][]netip.Prefix{nil, {netip.MustParsePrefix("10.0.0.0/8")}} {
		got := sent(t, Options{TrustedProxies: trusted}, "Forwarded: for=1.2.3.4", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-For: 5.6.7.8",
			"X-Forwarded-Host: evil", "X-Forwarded-Proto: https", "X_Forwarded_For: 6.6.6.6", "X-Forwarded_host: evil", "Connection: close")
		want := http.Header{"Host": {"api.example"}, forwardedFor: {"127.0.0.1"}, forwardedHost: {"api.example"}, forwardedProto: {"http"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestATrustedProxysForwardedHeadersAreKeptAndExtended(t *testing.T) {
	overTransports(t, testATrustedProxysForwardedHeadersAreKeptAndExtended)
}

func testATrustedProxysForwardedHeadersAreKeptAndExtended(t *testing.T) {
	for _, trusted := range []string{"127.0.0.0/8", "::ffff:127.0.0.1/128"} {
		got := sent(t, Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix(trusted)}}, "Forwarded: for=1.2.3.4", "X-Forwarded-For: 1.2.3.4",
			"X-Forwarded-For: 5.6.7.8", "X-Forwarded-Host: shop.example", "X-Forwarded-Proto: https", "Connection: close")
		want := http.Header{
			"Host": {"api.example"}, forwardedHeader: {"for=1.2.3.4"}, forwardedFor: {"1.2.3.4, 5.6.7.8, 127.0.0.1"},
			forwardedHost: {"shop.example"}, forwardedProto: {"https"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestConnectionCannotTakeAwayWhatTheProxySets(t *testing.T) {
	overTransports(t, testConnectionCannotTakeAwayWhatTheProxySets)
}

func testConnectionCannotTakeAwayWhatTheProxySets(t *testing.T) {
	for _, trusted := range [][]netip.Prefix{nil, loopback()} {
		got := sent(t, Options{TrustedProxies: trusted}, "Connection: close, X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, X-Hop",
			"X-Hop: 1", "Keep-Alive: 5", "Proxy-Connection: keep-alive")
		want := http.Header{"Host": {"api.example"}, forwardedFor: {"127.0.0.1"}, forwardedHost: {"api.example"}, forwardedProto: {"http"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestConnectionTakesAwayOnlyItsSendersOwnFields(t *testing.T) {
	overTransports(t, testConnectionTakesAwayOnlyItsSendersOwnFields)
}

func testConnectionTakesAwayOnlyItsSendersOwnFields(t *testing.T) {
	// RFC 9110 §7.6.1 has us take away what it names; the client could as well
	// not have sent it. The request stays framed and routed as it was.
	got := sent(t, Options{}, "Connection: close, Authorization, Cookie, Host, Content-Length, Transfer-Encoding, Te, Connection, ü", "Connection: X-Two",
		"Authorization: Bearer x", "Cookie: a=b", "X-Two: 2", "X-Three: 3", "Content-Length: 0")
	want := http.Header{"Host": {"api.example"}, "X-Three": {"3"}, forwardedFor: {"127.0.0.1"}, forwardedHost: {"api.example"}, forwardedProto: {"http"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestAnUpgradeToH2CIsNotPassedOn(t *testing.T) {
	overTransports(t, testAnUpgradeToH2CIsNotPassedOn)
}

func testAnUpgradeToH2CIsNotPassedOn(t *testing.T) {
	got := sent(t, Options{}, "Connection: Upgrade, HTTP2-Settings, close", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
	for _, name := range []string{"Connection", "Upgrade", "Http2-Settings"} {
		if got[name] != nil {
			t.Errorf("the upstream got %s: %q", name, got[name])
		}
	}
}

func TestNobodyTellsTheUpstreamWhoTheyAreButATrustedProxy(t *testing.T) {
	overTransports(t, testNobodyTellsTheUpstreamWhoTheyAreButATrustedProxy)
}

func testNobodyTellsTheUpstreamWhoTheyAreButATrustedProxy(t *testing.T) {
	strip := func(trusted []netip.Prefix) http.Header {
		chain, err := identity.New(identity.Options{Entries: []identity.Entry{{Kind: identity.KindHeader, Header: "X-User"}}, TrustedProxies: trusted})
		if err != nil {
			t.Fatal(err)
		}
		return sent(t, Options{Ruling: Ruling{Identity: chain}}, "X-User: 1", "X_User: 2", "Connection: close")
	}
	if got := strip(nil); got["X-User"] != nil || got["X_user"] != nil {
		t.Errorf("a stranger's identity reached the upstream: %v", got)
	}
	if got := strip(loopback()); !slices.Equal(got["X-User"], []string{"1"}) {
		t.Errorf("a trusted proxy's identity did not reach the upstream: %v", got)
	}
}

func TestResponsesComeBackAsTheyWere(t *testing.T) {
	overTransports(t, testResponsesComeBackAsTheyWere)
}

func testResponsesComeBackAsTheyWere(t *testing.T) {
	for name, answer := range map[string]string{
		"repeated headers": "HTTP/1.1 200 OK\r\nSet-Cookie: b=1\r\nSet-Cookie: a=2\r\nSet-Cookie: b=1\r\nX-Empty:\r\nContent-Length: 2\r\n\r\nhi",
		"no content type":  "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<html>sniff it!",
		"early hints":      "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<html>sniff it!",
		"no body":          "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
		"not modified":     "HTTP/1.1 304 Not Modified\r\nEtag: \"x\"\r\n\r\n",
		"empty":            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Type: x/y\r\n\r\n",
		"redirect":         "HTTP/1.1 302 Found\r\nLocation: http://internal/x?y\r\nContent-Length: 0\r\n\r\n",
		"server error":     "HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops",
		"odd status":       "HTTP/1.1 299 Odd\r\nContent-Length: 0\r\n\r\n",
		"odd high status":  "HTTP/1.1 799 Odd\r\nContent-Length: 0\r\n\r\n",
		"gzip":             "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n\x1f\x8bxyz",
		"chunked":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
		"trailers":         "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n",
		"surprise trailer": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n",
		"dated":            "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: x\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			upstream := serveRaw(t, say(answer))
			plain := setUp(t, Options{Upstream: upstream.url})
			// The same once more through a capture, which holds the response.
			held, _ := capturing(t, "rules: [{on: POST /x, emit: x.y, status: [200, 204, 299]}]", upstream.url, nil)
			request := "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
			want := digest(t, converse(t, upstream.url.Host, request))
			for name, s := range map[string]*stand{"forwarded": plain, "captured": held} {
				if diff := cmp.Diff(want, digest(t, converse(t, s.addr, request))); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
			}
		})
	}
}

// message is a response as a client sees it.
type message struct {
	Early   string
	Status  int
	Header  http.Header
	Body    string
	Length  int64
	Trailer http.Header
	Error   string
	// Announced are the trailers named in the head.
	Announced http.Header
}

func digest(t *testing.T, text string) message {
	t.Helper()
	var m message
	if head, rest, found := strings.Cut(text, "\r\n\r\n"); found && strings.HasPrefix(head, "HTTP/1.1 103") {
		m.Early, text = head, rest
	}
	head, _, _ := strings.Cut(text, "\r\n\r\n")
	announcing, _, _ := readResponse(t, head+"\r\n\r\n", "POST")
	m.Announced = announcing.Trailer
	res, body, err := readResponse(t, text, "POST")
	m.Status, m.Header, m.Body, m.Length, m.Trailer = res.StatusCode, res.Header, body, res.ContentLength, res.Trailer
	if err != nil {
		m.Error = err.Error()
	}
	if m.Header.Get("Date") != "Thu, 01 Jan 1970 00:00:00 GMT" {
		m.Header.Del("Date") // proxies add it (RFC 9110 §6.6.1)
	}
	m.Header.Del("Connection")
	return m
}

func TestRequestTrailersReachTheUpstream(t *testing.T) {
	overTransports(t, testRequestTrailersReachTheUpstream)
}

func testRequestTrailersReachTheUpstream(t *testing.T) {
	for name, announced := range map[string]string{"announced": "Trailer: X-Sum\r\n", "unannounced": ""} {
		t.Run(name, func(t *testing.T) {
			bodies := make(chan string, 1)
			upstream := serveRaw(t, func(conn net.Conn) {
				bodies <- readUntil(conn, "0\r\nX-Sum: 1\r\n\r\n")
				say(emptyAnswer)(conn)
			})
			chain, err := identity.New(identity.Options{Entries: []identity.Entry{{Kind: identity.KindHeader, Header: "X-User"}}})
			if err != nil {
				t.Fatal(err)
			}
			s := setUp(t, Options{Upstream: upstream.url, Ruling: Ruling{Identity: chain}})
			converse(t, s.addr, "POST / HTTP/1.1\r\nHost: a\r\n"+announced+"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"+
				"3\r\nabc\r\n0\r\nX-Sum: 1\r\nX-User: evil\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n")
			if got, want := receive(t, bodies), "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"; got != want {
				t.Fatalf("the upstream got %q, want %q", got, want)
			}
		})
	}
}

// readUntil reads until the text ends as it should, or there is no more.
func readUntil(r io.Reader, end string) string {
	var text strings.Builder
	one := make([]byte, 1)
	for !strings.HasSuffix(text.String(), end) {
		if _, err := io.ReadFull(r, one); err != nil {
			break
		}
		text.Write(one)
	}
	return text.String()
}

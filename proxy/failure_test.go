package proxy

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// problemOf checks that a response is a problem of ours.
func problemOf(t *testing.T, res *http.Response, status int) {
	t.Helper()
	defer res.Body.Close()
	var got problem
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: got.Detail, UpstreamStatus: got.UpstreamStatus}
	if diff := cmp.Diff(want, got); diff != "" || got.Detail == "" || res.StatusCode != status || res.Header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%d %v: %s", res.StatusCode, res.Header, diff)
	}
}

func TestAnUnreachableUpstreamIs502(t *testing.T) { overTransports(t, testAnUnreachableUpstreamIs502) }

func testAnUnreachableUpstreamIs502(t *testing.T) {
	s := setUp(t, Options{Upstream: parse(t, "http://"+closedPort(t))})
	res, err := s.client.Post(s.url+"/contacts?token=secret", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	problemOf(t, res, http.StatusBadGateway)
	eventually(t, s.proxy.metrics.requests.WithLabelValues("502", "POST", kindForwarded), 1)
	if log := s.log.String(); !strings.Contains(log, "outcome=upstream_unreachable") || strings.Contains(log, "secret") {
		t.Fatal(log)
	}
}

func closedPort(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestASlowUpstreamIs504WhereTheTransportSaysSo(t *testing.T) {
	overTransports(t, testASlowUpstreamIs504WhereTheTransportSaysSo)
}

func testASlowUpstreamIs504WhereTheTransportSaysSo(t *testing.T) {
	transport := transportUnderTest(TransportOptions{ResponseHeaderTimeout: time.Millisecond})
	t.Cleanup(transport.CloseIdleConnections)
	upstream := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s := setUp(t, Options{Upstream: upstream, Transport: transport})
	res, err := s.client.Get(s.url)
	if err != nil {
		t.Fatal(err)
	}
	problemOf(t, res, http.StatusGatewayTimeout)
}

func TestATooLargeRequestIs413(t *testing.T) { overTransports(t, testATooLargeRequestIs413) }

func testATooLargeRequestIs413(t *testing.T) {
	upstream := serve(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	o := Options{Upstream: upstream}
	limited := httptest.NewServer(http.MaxBytesHandler(newStand(t, &o).proxy, 10))
	t.Cleanup(limited.Close)
	res, err := newClient(t, NewTransport(TransportOptions{NetHTTP: true})).Post(limited.URL, "text/plain", strings.NewReader("more than ten"))
	if err != nil {
		t.Fatal(err)
	}
	problemOf(t, res, http.StatusRequestEntityTooLarge)
}

func TestAMalformedRequestBodyIs400(t *testing.T) { overTransports(t, testAMalformedRequestBodyIs400) }

func testAMalformedRequestBodyIs400(t *testing.T) {
	upstream := serve(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	s := setUp(t, Options{Upstream: upstream})
	got := converse(t, s.addr, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nnonsense\r\n")
	res, _, _ := readResponse(t, got, "POST")
	if res.StatusCode != http.StatusBadRequest {
		t.Fatalf("got %q", got)
	}
}

func TestAnUpstreamThatDiesBeforeItsHeadersIs502AndItsOutcomeUnknown(t *testing.T) {
	overTransports(t, testAnUpstreamThatDiesBeforeItsHeadersIs502AndItsOutcomeUnknown)
}

func testAnUpstreamThatDiesBeforeItsHeadersIs502AndItsOutcomeUnknown(t *testing.T) {
	for name, answer := range map[string]func(net.Conn){"silence": nil, "half a head": say("HTTP/1.1 200 OK\r\nX-Se"), "nonsense": say("my secret\r\n\r\n")} {
		t.Run(name, func(t *testing.T) {
			upstream := serveRaw(t, answer)
			s, p := capturing(t, contacts, upstream.url, nil)
			res, err := s.client.Post(s.url+"/contacts", "application/json", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			problemOf(t, res, http.StatusBadGateway)
			eventually(t, s.proxy.metrics.outcomeUnknown, 1)
			p.none(t)
			if log := s.log.String(); strings.Contains(log, "secret") {
				t.Fatal(log)
			}
		})
	}
}

func TestAReadHasNoOutcomeToBeUnknown(t *testing.T) {
	overTransports(t, testAReadHasNoOutcomeToBeUnknown)
}

func testAReadHasNoOutcomeToBeUnknown(t *testing.T) {
	s, _ := capturing(t, named, serveRaw(t, nil).url, nil)
	res, err := s.client.Get(s.url + "/7")
	if err != nil {
		t.Fatal(err)
	}
	problemOf(t, res, http.StatusBadGateway)
	eventually(t, s.proxy.metrics.requests.WithLabelValues("502", "GET", kindForwarded), 1)
	if got := countOf(t, s.proxy.metrics.outcomeUnknown); got != 0 {
		t.Fatalf("outcome unknown: %v", got)
	}
}

func TestAnUpstreamThatWasNeverReachedHasAKnownOutcome(t *testing.T) {
	overTransports(t, testAnUpstreamThatWasNeverReachedHasAKnownOutcome)
}

func testAnUpstreamThatWasNeverReachedHasAKnownOutcome(t *testing.T) {
	s, _ := capturing(t, contacts, parse(t, "http://"+closedPort(t)), nil)
	res, err := s.client.Post(s.url+"/contacts", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	problemOf(t, res, http.StatusBadGateway)
	eventually(t, s.proxy.metrics.requests.WithLabelValues("502", "POST", kindForwarded), 1)
	if got := countOf(t, s.proxy.metrics.outcomeUnknown); got != 0 {
		t.Fatalf("outcome unknown: %v", got)
	}
}

// What a client sees of an upstream that dies midway: what it had said, and
// then a break, never a clean end.
func TestAnUpstreamThatDiesMidwayLooksAsItDoesDirectly(t *testing.T) {
	overTransports(t, testAnUpstreamThatDiesMidwayLooksAsItDoesDirectly)
}

func testAnUpstreamThatDiesMidwayLooksAsItDoesDirectly(t *testing.T) {
	big := strings.Repeat("x", 100_000)
	for name, answer := range map[string]string{
		"with a length":     "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nX-A: 1\r\n\r\nhalf",
		"nothing yet":       "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
		"chunked":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"within a chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf",
		"before any chunk":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"a lot of it":       "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + big,
		"before trailers":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4\r\nhalf\r\n0\r\nX-S",
		"a malformed chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			upstream := serveRaw(t, say(answer))
			plain := setUp(t, Options{Upstream: upstream.url})
			held, p := capturing(t, named, upstream.url, nil)
			request := "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
			want := digest(t, converse(t, upstream.url.Host, request))
			for name, s := range map[string]*stand{"forwarded": plain, "captured": held} {
				got := digest(t, converse(t, s.addr, request))
				if got.Error == "" || want.Error == "" {
					t.Errorf("%s: a clean end", name)
				}
				got.Error, want.Error = "", ""
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
				want.Error = "broken"
			}
			if e := p.one(t); e.Omitted != omittedTruncated || e.Payload != nil {
				t.Errorf("the event is %+v", e)
			}
		})
	}
}

func TestAClientThatLeavesEndsItsRequestAtTheUpstream(t *testing.T) {
	overTransports(t, testAClientThatLeavesEndsItsRequestAtTheUpstream)
}

func testAClientThatLeavesEndsItsRequestAtTheUpstream(t *testing.T) {
	for name, request := range map[string]string{
		"unmatched":       "POST /other HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
		"while uploading": "POST /contacts HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf",
		"while chunking":  "POST /contacts HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			arrived, ended := make(chan struct{}), make(chan struct{})
			upstream := serve(t, func(_ http.ResponseWriter, r *http.Request) {
				close(arrived)
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
				close(ended)
			})
			s, p := capturing(t, contacts, upstream, func(o *Options) { o.DetachGrace = time.Hour })
			conn := dial(t, s.addr)
			fmt.Fprint(conn, request)
			receive(t, arrived)
			conn.Close()
			receive(t, ended)
			eventually(t, s.proxy.metrics.requests.WithLabelValues("499", "POST", kindForwarded), 1)
			p.none(t)
		})
	}
}

func TestAClientThatOnlyStoppedSendingIsNotToldOfASuccess(t *testing.T) {
	overTransports(t, testAClientThatOnlyStoppedSendingIsNotToldOfASuccess)
}

func testAClientThatOnlyStoppedSendingIsNotToldOfASuccess(t *testing.T) {
	arrived := make(chan struct{})
	upstream := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})
	s := setUp(t, Options{Upstream: upstream})
	conn := dial(t, s.addr)
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	receive(t, arrived)
	_ = conn.CloseWrite() // which net/http takes for leaving
	answer, _ := io.ReadAll(conn)
	if res, body, _ := readResponse(t, string(answer), "GET"); res.StatusCode != statusClientGone || body != "" {
		t.Fatalf("got %q", answer)
	}
}

func TestAPanicThatAbortsIsPassedOn(t *testing.T) {
	own := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	o := Options{Upstream: serve(t, func(http.ResponseWriter, *http.Request) {}), Ruling: Ruling{OwnPaths: []string{"/own/"}, Own: own}}
	p := newStand(t, &o).proxy
	defer func() {
		if v := recover(); v != http.ErrAbortHandler {
			t.Fatalf("recovered %v", v)
		}
	}()
	p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/own/", nil))
}

func TestWhatFollowsAnUnreadBodyIsNoRequest(t *testing.T) {
	overTransports(t, testWhatFollowsAnUnreadBodyIsNoRequest)
}

func testWhatFollowsAnUnreadBodyIsNoRequest(t *testing.T) {
	upstream := serveRaw(t, say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
	s := setUp(t, Options{Upstream: upstream.url})
	conn := dial(t, s.addr)
	fmt.Fprint(conn, "POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
	if got := readUntil(conn, "\r\n\r\n"); !strings.Contains(got, "Connection: close") {
		t.Fatalf("answered early with %q", got)
	}
	fmt.Fprint(conn, "zz\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n")
	if rest, _ := io.ReadAll(conn); len(rest) > 0 {
		t.Fatalf("answered once more: %q", rest)
	}
	receive(t, upstream.heads)
	if len(upstream.heads) > 0 {
		t.Fatalf("the upstream got %q", <-upstream.heads)
	}
}

package proxy

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"
)

func get(t *testing.T, s *stand) (int, string) {
	t.Helper()
	res, err := s.client.Get(s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestAnUpstreamOverHTTPSIsCheckedAgainstItsCA(t *testing.T) {
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto, " ", r.Host) }))
	upstream.Config = NewServer(ServerOptions{Handler: upstream.Config.Handler})
	upstream.EnableHTTP2 = true
	upstream.StartTLS()
	t.Cleanup(upstream.Close)

	if status, body := get(t, setUp(t, Options{Upstream: parse(t, upstream.URL)})); status != http.StatusBadGateway {
		t.Fatalf("an unknown CA's certificate was taken: %d %q", status, body)
	}
	pool := x509.NewCertPool()
	pool.AddCert(upstream.Certificate())
	transport := NewTransport(TransportOptions{CA: pool})
	t.Cleanup(transport.CloseIdleConnections)
	s := setUp(t, Options{Upstream: parse(t, upstream.URL), Transport: transport})
	if status, body := get(t, s); status != http.StatusOK || body != "HTTP/2.0 "+s.addr {
		t.Fatalf("got %d %q", status, body)
	}
}

func TestAWebSocketReachesAnUpstreamThatSpeaksHTTP2(t *testing.T) {
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := websocket.Accept(w, r, nil); err == nil {
			_ = conn.Close(websocket.StatusGoingAway, "seen")
		}
	}))
	upstream.EnableHTTP2 = true
	upstream.StartTLS()
	t.Cleanup(upstream.Close)
	pool := x509.NewCertPool()
	pool.AddCert(upstream.Certificate())
	transport := NewTransport(TransportOptions{CA: pool})
	t.Cleanup(transport.CloseIdleConnections)
	s := setUp(t, Options{Upstream: parse(t, upstream.URL), Transport: transport})
	conn, _, err := websocket.Dial(t.Context(), s.url, &websocket.DialOptions{HTTPClient: s.client})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Fatal(err)
	}
}

func TestAnUpstreamMaySpeakH2C(t *testing.T) {
	upstream := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto, " ", r.RequestURI) })
	transport := NewTransport(TransportOptions{H2C: true})
	t.Cleanup(transport.CloseIdleConnections)
	s := setUp(t, Options{Upstream: upstream, Transport: transport})
	for _, target := range []string{"/a%2Fb", "//x", "/a|b?c;d", "/ü"} {
		got := converse(t, s.addr, "GET "+target+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		if _, body, err := readResponse(t, got, "GET"); err != nil || body != "HTTP/2.0 "+target {
			t.Errorf("%s: %q, %v", target, body, err)
		}
	}
}

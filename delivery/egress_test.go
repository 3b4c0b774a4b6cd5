package delivery

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/addresses"
	"github.com/hookproxy/hookproxy/internal/nametest"
)

// egressProxy is a proxy that takes CONNECT with the right credentials, and notes
// what it was asked for.
type egressProxy struct {
	mu     sync.Mutex
	asked  []string
	answer int // to CONNECT; 0: do it
}

func (p *egressProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" "+r.Host)
	answer := p.answer
	p.mu.Unlock()
	if r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("joe:hush@1")) {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	if answer != 0 {
		w.WriteHeader(answer)
		return
	}
	target, err := net.Dial("tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	client, read, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = target.Close()
		return
	}
	go func() { _, _ = io.Copy(target, read); _ = target.Close() }()   // ends with client
	go func() { _, _ = io.Copy(client, target); _ = client.Close() }() // ends with target
}

func (p *egressProxy) asks() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.asked, ", ")
}

func startEgress(t *testing.T, p *egressProxy, start func(http.Handler) *httptest.Server) *url.URL {
	t.Helper()
	server := start(p)
	t.Cleanup(server.Close)
	u := must(url.Parse(server.URL))
	u.User = url.UserPassword("joe", "hush@1")
	return u
}

// throughEgress answers a sender that knows every name as 127.0.0.2, of which alone
// it may dial any, and trusts what httptest signs.
func throughEgress(t *testing.T, proxy *url.URL, change func(*Options)) *sender {
	t.Helper()
	return testSender(t, func(o *Options) {
		o.EgressProxy = proxy
		o.Addresses = addresses.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}}
		o.Resolver = nametest.Resolver(t, func(string) []string { return []string{"127.0.0.1", "127.0.0.2"} })
		if change != nil {
			change(o)
		}
	})
}

// onSecondLoopback serves on 127.0.0.2, and answers the port.
func onSecondLoopback(t *testing.T, server *httptest.Server, start func()) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skipf("this machine has only one loopback address: %v", err)
	}
	_ = server.Listener.Close()
	server.Listener = ln
	start()
	t.Cleanup(server.Close)
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

func TestAnEgressProxyGetsTheCheckedAddressAndTheTargetItsName(t *testing.T) {
	proxy := &egressProxy{}
	through := startEgress(t, proxy, httptest.NewServer)
	hosts := make(chan string, 10)
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		name := ""
		if r.TLS != nil {
			name = r.TLS.ServerName + " " + r.Proto
		}
		hosts <- r.Host + " " + name
	})
	plain, secure := httptest.NewUnstartedServer(handler), httptest.NewUnstartedServer(handler)
	secure.EnableHTTP2 = true
	port := onSecondLoopback(t, plain, plain.Start)
	securePort := onSecondLoopback(t, secure, secure.StartTLS)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	s := throughEgress(t, through, func(o *Options) { o.TLS = &tls.Config{RootCAs: roots} })
	for target, want := range map[string]string{
		"http://hook.test:" + port: "hook.test:" + port + " ", "https://example.com:" + securePort: "example.com:" + securePort + " example.com HTTP/2.0",
	} {
		for range 2 { // the second by the same tunnel
			if a := s.send(t.Context(), testDelivery(target)); a.outcome != Delivered {
				t.Fatalf("%s: %+v", target, a)
			}
			if got := <-hosts; got != want {
				t.Errorf("%s arrived as %q, want %q", target, got, want)
			}
		}
	}
	for _, want := range []string{"CONNECT 127.0.0.2:" + port, "CONNECT 127.0.0.2:" + securePort} {
		if asked := proxy.asks(); strings.Count(asked, want) != 1 || strings.Contains(asked, "127.0.0.1") || strings.Contains(asked, "test") {
			t.Errorf("the proxy was asked for %s", asked)
		}
	}
}

func TestARefusedAddressIsNotAskedOfAnEgressProxy(t *testing.T) {
	proxy := &egressProxy{}
	own := &addresses.Own{}
	s := throughEgress(t, startEgress(t, proxy, httptest.NewServer), func(o *Options) { o.Addresses.Own = own })
	for _, target := range []string{"http://127.0.0.1:8080/", "http://169.254.169.254/", "http://[::ffff:10.0.0.1]/", "http://127.0.0.2:6379/"} {
		if a := s.send(t.Context(), testDelivery(target)); a.outcome != Failed || a.class != classRefused {
			t.Errorf("%s: %+v", target, a)
		}
	}
	if asked := proxy.asks(); asked != "" {
		t.Errorf("the proxy was asked for %s", asked)
	}
}

func TestAnEgressProxyThatDoesNotWorkChargesNobody(t *testing.T) {
	for code, want := range map[int]struct {
		outcome Outcome
		class   string
	}{
		407: {Released, classOurEgress}, 400: {Released, classOurEgress}, 500: {Released, classOurEgress}, 302: {Released, classOurEgress},
		403: {Failed, classEgressRefused}, 502: {Failed, classConnect}, 503: {Failed, classConnect}, 504: {Failed, classTimeout},
	} {
		s := throughEgress(t, startEgress(t, &egressProxy{answer: code}, httptest.NewServer), nil)
		if a := s.send(t.Context(), testDelivery("http://hook.test:8080/")); a.outcome != want.outcome || a.class != want.class {
			t.Errorf("%d: %+v", code, a)
		}
	}
	away := must(net.Listen("tcp", "127.0.0.1:0"))
	_ = away.Close()
	garbage := "http://" + rawReceiver(t, true, "SSH-2.0-x\r\n\r\n")
	untrusted := startEgress(t, &egressProxy{}, httptest.NewTLSServer).String()
	for name, proxy := range map[string]string{"away": "http://joe:hush@" + away.Addr().String(), "no proxy": garbage, "not trusted": untrusted} {
		s := throughEgress(t, must(url.Parse(proxy)), nil)
		a := s.send(t.Context(), testDelivery("http://hook.test:8080/"))
		if a.outcome != Released || a.class != classOurEgress || a.after != ownFaultPause {
			t.Errorf("%s: %+v", name, a)
		}
		if strings.Contains(a.err.Error(), "hush") {
			t.Errorf("%s: the error holds the password: %v", name, a.err)
		}
	}
}

func TestAnEgressProxyMayItselfBeHTTPS(t *testing.T) {
	target := httptest.NewUnstartedServer(status(200))
	port := onSecondLoopback(t, target, target.Start)
	server := httptest.NewUnstartedServer(&egressProxy{})
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	u := must(url.Parse(server.URL))
	u.User = url.UserPassword("joe", "hush@1")
	s := throughEgress(t, u, func(o *Options) { o.TLS = &tls.Config{RootCAs: roots} })
	if a := s.send(t.Context(), testDelivery("http://hook.test:"+port)); a.outcome != Delivered {
		t.Errorf("attempt %+v", a)
	}
}

// net/http lets a dial outlive the request that it was for. Through a proxy that
// never answers, each attempt would leave a connection behind for ten seconds.
func TestADialThroughASilentEgressProxyEndsWithItsAttempt(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		ln := must(net.Listen("tcp", "127.0.0.1:0"))
		defer ln.Close()
		ended := make(chan time.Duration, 1)
		go func() { // ends with the dial, or with ln
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			begun := time.Now()
			_, _ = io.Copy(io.Discard, conn)
			ended <- time.Since(begun)
		}()
		s := throughEgress(t, must(url.Parse("http://"+ln.Addr().String())), func(o *Options) { o.Timeout = 50 * time.Millisecond })
		if a := s.send(t.Context(), testDelivery(scheme+"://hook.test:8080/")); a.class != classTimeout {
			t.Errorf("attempt %+v", a)
		}
		if took := <-ended; took > connectTimeout/2 {
			t.Errorf("the dial to %s ended after %s", scheme, took)
		}
	}
}

func TestATargetSilentBehindAnEgressProxyIsCutAtTheDeadline(t *testing.T) {
	silent := rawReceiver(t, false, "") // takes CONNECT and never answers
	s := throughEgress(t, must(url.Parse("http://"+silent)), func(o *Options) { o.Timeout = 100 * time.Millisecond })
	if a := s.send(t.Context(), testDelivery("http://hook.test:8080/")); a.outcome != Failed || a.class != classTimeout {
		t.Errorf("attempt %+v", a)
	}
}

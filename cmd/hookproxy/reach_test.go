package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/internal/nametest"
	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/hookproxy/hookproxy/internal/sample"
)

func TestNoHookIsSentToHookproxyItselfOrItsRedisWhateverIsAllowed(t *testing.T) {
	t.Parallel()
	redistest.Run(t, func(t *testing.T, server *redistest.Server) {
		proxy := start(t, "--upstream", startSample(t), "--redis", "redis://"+server.Addr, "--spool", "none", "--log-level", "debug",
			"--allow-networks", "0.0.0.0/0,::/0", "--target-ports", "all", "--rules", writeRules(t, sampleRules))
		_, redisPort, _ := net.SplitHostPort(server.Addr)
		for _, own := range []string{proxy.front, proxy.admin, "http://" + server.Addr, "http://127.0.0.2:" + redisPort, "http://[::ffff:127.0.0.1]:" + redisPort} {
			status, body := send(t, "POST", proxy.front+"/api/v1/subscription/", `{"event":"contact.create","target_url":"`+own+`/x"}`)
			if status != http.StatusUnprocessableEntity || !strings.Contains(string(body), "target_url") {
				t.Errorf("%s: %d %s", own, status, body)
			}
		}
		// What a name means is known when it is dialled.
		for _, own := range []string{proxy.front, proxy.admin, "http://" + server.Addr} {
			subscribe(t, proxy.front, "contact.create", strings.NewReplacer("127.0.0.1", "localhost").Replace(own)+"/x", nil)
		}
		send(t, "POST", proxy.front+"/contacts", `{}`)
		awaitLog(t, proxy, `"class":"address_refused"`)
		if log := proxy.log.whole(); strings.Contains(log, `"outcome":"delivered"`) || strings.Contains(log, `"path":"/x"`) {
			t.Errorf("something arrived:\n%s", log)
		}
	})
}

// runProgram runs a whole program in this process, whose names mean what resolver
// says, and answers where it listens.
func runProgram(t *testing.T, s settings, resolver *net.Resolver) string {
	t.Helper()
	c, err := readConfig(s)
	if err != nil {
		t.Fatal(err)
	}
	p := &program{config: c, log: slog.New(slog.DiscardHandler), openSpoolFile: events.OpenSpool, resolver: resolver}
	if err := p.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.run(t.Context()) }() // ends with the test's context, before its cleanups
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return p.front.url()
}

func TestANameThatTurnsToLoopbackReachesNothingThere(t *testing.T) {
	receiver := sample.NewReceiver(10)
	target := httptest.NewUnstartedServer(receiver)
	outside, err := net.Listen("tcp", "127.0.0.2:0") // stands for an address in the world
	if err != nil {
		t.Skipf("this machine has only one loopback address: %v", err)
	}
	target.Config.SetKeepAlivesEnabled(false) // so that each attempt resolves anew
	_ = target.Listener.Close()
	target.Listener = outside
	target.Start()
	t.Cleanup(target.Close)
	_, port, _ := net.SplitHostPort(outside.Addr().String())
	trap, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Skipf("port %s is taken: %v", port, err)
	}
	defer trap.Close()
	var asked atomic.Int64
	turned := make(chan struct{}, 10)
	resolver := nametest.Resolver(t, func(string) []string {
		if asked.Add(1) == 1 {
			return []string{"127.0.0.2"}
		}
		turned <- struct{}{}
		return []string{"127.0.0.1"}
	})
	front := runProgram(t, settings{
		Listen: "127.0.0.1:0", Admin: none, Upstream: startSample(t), Rules: writeRules(t, sampleRules), Role: roleAll,
		Redis: redisEmbedded, Namespace: "hookproxy", Lanes: 1, Spool: none, SpoolBytes: "1MiB", MaxConnections: 10, UpstreamTransport: transportDirect, Workers: 4, DrainTimeout: time.Second,
		LogFormat: "text", LogLevel: "info", AllowNetworks: []string{"127.0.0.2"},
	}, resolver)
	subscribe(t, front, "contact.create", "http://hook.test:"+port+"/x", receiver)
	send(t, "POST", front+"/contacts", `{"n":1}`)
	select {
	case <-receiver.Hooks:
	case <-time.After(patience):
		t.Fatal("nothing arrived while the name was honest")
	}
	send(t, "POST", front+"/contacts", `{"n":2}`)
	select {
	case <-turned:
	case <-time.After(patience):
		t.Fatal("the name was not asked for again")
	}
	_ = trap.(*net.TCPListener).SetDeadline(time.Now().Add(100 * time.Millisecond))
	if conn, err := trap.Accept(); err == nil {
		t.Errorf("%s has reached loopback", conn.RemoteAddr())
		_ = conn.Close()
	}
}

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestATargetOfOnesOwnCAIsTrustedAndShownOurCertificate(t *testing.T) {
	t.Parallel()
	receiver := sample.NewReceiver(10)
	var shown atomic.Pointer[x509.Certificate]
	target := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown.Store(r.TLS.PeerCertificates[0])
		receiver.ServeHTTP(w, r)
	}))
	target.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	target.StartTLS()
	t.Cleanup(target.Close)
	pair := target.TLS.Certificates[0] // one for both sides will do
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate := writePEM(t, "CERTIFICATE", pair.Certificate[0])
	proxy := start(t, "--upstream", startSample(t), "--redis", "embedded", "--spool", "none", "--rules", writeRules(t, sampleRules),
		"--target-ca", certificate, "--target-cert", certificate, "--target-key", writePEM(t, "PRIVATE KEY", key))
	subscribe(t, proxy.front, "contact.create", target.URL, receiver)
	send(t, "POST", proxy.front+"/contacts", `{}`)
	if hook := awaitHook(t, receiver, proxy); hook.Verified != nil || !shown.Load().Equal(target.Certificate()) {
		t.Errorf("verified: %v; shown %v", hook.Verified, shown.Load())
	}
}

func TestAnEgressProxyIsAskedForTheAddressWithItsCredentials(t *testing.T) {
	t.Parallel()
	egress, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan *http.Request, 1)
	done := make(chan struct{})
	t.Cleanup(func() { _ = egress.Close(); <-done })
	go func() { // ends with the listener
		defer close(done)
		for {
			conn, err := egress.Accept()
			if err != nil {
				return
			}
			if request, err := http.ReadRequest(bufio.NewReader(conn)); err == nil && len(asked) == 0 {
				asked <- request
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 403 No\r\n\r\n")
			_ = conn.Close()
		}
	}()
	proxy := start(t, "--upstream", startSample(t), "--redis", "embedded", "--spool", "none", "--rules", writeRules(t, sampleRules),
		"--egress-proxy", "http://joe:"+confidential+"@"+egress.Addr().String())
	subscribe(t, proxy.front, "contact.create", "http://localhost:8099/x", nil)
	send(t, "POST", proxy.front+"/contacts", `{}`)
	select {
	case request := <-asked:
		user, password, _ := (&http.Request{Header: http.Header{"Authorization": request.Header["Proxy-Authorization"]}}).BasicAuth()
		if request.Method != "CONNECT" || request.Host != "127.0.0.1:8099" || user != "joe" || password != confidential {
			t.Errorf("asked %s %s as %s", request.Method, request.Host, user)
		}
	case <-time.After(patience):
		t.Fatalf("the egress proxy was not asked\n%s", proxy.log)
	}
	awaitLog(t, proxy, `"class":"egress_refused"`)
	search(t, "the log", proxy.log.whole())
}

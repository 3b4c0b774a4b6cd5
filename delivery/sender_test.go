package delivery

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hookproxy/hookproxy/internal/addresses"

	"github.com/hookproxy/hookproxy/subscriptions"
)

// loopback is what receivers in tests listen on.
var loopback = addresses.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}

func testSender(t testing.TB, change func(*Options)) *sender {
	t.Helper()
	o := Options{Addresses: loopback, Timeout: 5 * time.Second}
	if change != nil {
		change(&o)
	}
	o.setDefaults()
	s := newSender(o)
	t.Cleanup(s.close)
	return s
}

func testDelivery(target string) *delivery {
	return &delivery{
		lease: "0-a|e1|7|2|t", subscription: "0-a", sequence: 7, tries: 2, event: event(1),
		target: target, secret: testSecret, format: subscriptions.FormatRESTHooks,
	}
}

// received is what a receiver was posted.
type received struct {
	header http.Header
	body   []byte
}

// receive starts a receiver that remembers what it gets and answers so.
func receive(t testing.TB, answer http.HandlerFunc) (string, <-chan received) {
	t.Helper()
	got := make(chan received, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- received{r.Header, body}
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func TestASignatureConvincesTheReferenceVerifier(t *testing.T) {
	url, got := receive(t, status(200))
	d := testDelivery(url + "/hook?a=1&b=<2>")
	if a := testSender(t, nil).send(t.Context(), d); a.outcome != Delivered {
		t.Fatalf("attempt: %+v", a)
	}
	r := <-got
	verifier, err := standardwebhooks.NewWebhook(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(r.body, r.header); err != nil {
		t.Errorf("verify: %v", err)
	}
	if err := verifier.Verify(append(r.body, ' '), r.header); err == nil {
		t.Error("a changed body was verified too")
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "hookproxy/dev", "X-Hook-Event": "contact.create",
		"X-Hook-Id": "e1", "Webhook-Id": "e1", "X-Hook-Subscription": "0-a", "X-Hook-Sequence": "7", "X-Hook-Attempt": "3",
		"X-Hook-Signature": hookSignature(testSecret, r.body), "Idempotency-Key": "", "Accept-Encoding": "",
	} {
		if r.header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, r.header.Get(name), want)
		}
	}
}

func TestTheHookSignatureIsHexHMACOfTheBody(t *testing.T) {
	// RFC 4231, test case 2.
	if got := hookSignature("Jefe", []byte("what do ya want for nothing?")); got != "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" {
		t.Errorf("signature %s", got)
	}
}

func TestAPayloadArrivesByteForByte(t *testing.T) {
	url, got := receive(t, status(204))
	s := testSender(t, nil)
	for _, payload := range []string{
		`{"id": 12345678901234567890, "a":[] ,"b":{}, "html":"<b>&amp;</b>", "u":"\u00e9\/", "n":1.0e+2}`,
		"[1,\n 2]\n", `"text"`, `7`, `null`, strings.Repeat("[", 2000) + strings.Repeat("]", 2000),
	} {
		d := testDelivery(url + "/x?q=<&>")
		d.event.Payload = []byte(payload)
		s.send(t.Context(), d)
		if body, want := string((<-got).body), `{"hook":{"id":"0-a","event":"contact.create","target":"`+url+`/x?q=<&>"},"data":`+payload+`}`; body != want {
			t.Errorf("posted %s\nwant   %s", body, want)
		}
		d.format = subscriptions.FormatRaw
		s.send(t.Context(), d)
		if body := string((<-got).body); body != payload {
			t.Errorf("posted raw %s, want %s", body, payload)
		}
	}
}

func TestAnEventWithoutPayloadSaysWhy(t *testing.T) {
	url, got := receive(t, status(200))
	s := testSender(t, nil)
	d := testDelivery(url)
	d.event.Payload, d.event.Omitted, d.event.Redacted = nil, "too_large", []string{"password"}
	s.send(t.Context(), d)
	var body struct {
		Hook map[string]any
		Data *json.RawMessage
	}
	if err := json.Unmarshal((<-got).body, &body); err != nil {
		t.Fatal(err)
	}
	if body.Data != nil || body.Hook["data_omitted"] != "too_large" || len(body.Hook["data_redacted"].([]any)) != 1 {
		t.Errorf("posted %+v", body)
	}
	d.format = subscriptions.FormatRaw
	s.send(t.Context(), d)
	if r := <-got; string(r.body) != "null" {
		t.Errorf("posted raw %q, want null", r.body)
	}
}

func TestEveryStatusHasItsOutcome(t *testing.T) {
	want := func(code int) (Outcome, string) {
		switch {
		case code < 300:
			return Delivered, classNone
		case code < 400:
			return Rejected, classHTTP3xx
		case code == 410:
			return Gone, classGone
		case code < 500:
			return Failed, classHTTP4xx
		case code < 600:
			return Failed, classHTTP5xx
		}
		return Failed, classHTTPOther
	}
	var code int
	url, _ := receive(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/elsewhere")
		w.Header().Set("Retry-After", "77")
		w.WriteHeader(code)
	})
	s := testSender(t, func(o *Options) { o.Timeout = time.Minute })
	for _, code = range []int{200, 201, 202, 204, 205, 206, 226, 299, 300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404,
		405, 406, 408, 409, 410, 411, 413, 415, 418, 422, 425, 429, 451, 499, 500, 501, 502, 503, 504, 507, 511, 599, 600, 999} {
		a := s.send(t.Context(), testDelivery(url))
		outcome, class := want(code)
		if a.outcome != outcome || a.class != class || a.status != code {
			t.Errorf("%d: %s %q, want %s %q", code, a.outcome, a.class, outcome, class)
		}
		if honoured := a.after == 77*time.Second; honoured != (code == 429 || code == 503) {
			t.Errorf("%d: Retry-After honoured: %v", code, honoured)
		}
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	elsewhere, reached := receive(t, status(200))
	url, _ := receive(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
	})
	if a := testSender(t, nil).send(t.Context(), testDelivery(url)); a.outcome != Rejected {
		t.Errorf("outcome %s", a.outcome)
	}
	if len(reached) != 0 {
		t.Error("the redirect's target was asked")
	}
}

func TestARefusedAddressGetsNothing(t *testing.T) {
	url, reached := receive(t, status(200))
	s := testSender(t, func(o *Options) { o.Addresses = addresses.Policy{} })
	a := s.send(t.Context(), testDelivery(url+"/?token=hush"))
	if a.outcome != Failed || a.class != classRefused || !errors.Is(a.err, addresses.ErrRefused) {
		t.Errorf("attempt %+v", a)
	}
	if strings.Contains(a.err.Error(), "hush") {
		t.Errorf("the error shows the query: %v", a.err)
	}
	if len(reached) != 0 {
		t.Error("the receiver was asked")
	}
}

func TestAProxyOfTheEnvironmentIsIgnored(t *testing.T) {
	proxy, asked := receive(t, status(200))
	t.Setenv("HTTP_PROXY", proxy)
	testSender(t, nil).send(t.Context(), testDelivery("http://127.0.0.2:1/"))
	if len(asked) != 0 {
		t.Error("the proxy was asked")
	}
}

func TestATargetThatIsNoHTTPURLIsRejected(t *testing.T) {
	s := testSender(t, nil)
	for _, target := range []string{"", "ftp://127.0.0.1/", "http://", "http://a b/?token=hush", "/path", "http://127.0.0.1:x/?token=hush", "\x00"} {
		a := s.send(t.Context(), testDelivery(target))
		if a.outcome != Rejected || a.class != classTarget || strings.Contains(a.err.Error(), "hush") {
			t.Errorf("%q: %+v", target, a)
		}
	}
}

func TestSlowReceiversAreCutOffAtTheDeadline(t *testing.T) {
	end := make(chan struct{})
	defer close(end)
	silent, _ := receive(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-end:
		case <-r.Context().Done():
		}
	})
	s := testSender(t, func(o *Options) { o.Timeout = 50 * time.Millisecond })
	if a := s.send(t.Context(), testDelivery(silent)); a.outcome != Failed || a.class != classTimeout {
		t.Errorf("a silent one: %+v", a)
	}
	if a := s.send(t.Context(), testDelivery("http://"+rawReceiver(t, false, ""))); a.class != classTimeout {
		t.Errorf("one that never reads: %+v", a)
	}
	drip, _ := receive(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	if a := s.send(t.Context(), testDelivery(drip)); a.outcome != Delivered || a.took > 4*time.Second {
		t.Errorf("one whose 2xx body never ends: %+v", a)
	}
}

// rawReceiver listens, answers with these bytes once it has read a request head
// (or never reads), and answers its address. Empty bytes: it closes, if it reads.
func rawReceiver(t *testing.T, reads bool, answer string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = ln.Close(); <-done })
	go func() { // ends with ln, awaited by the cleanup
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			if !reads {
				t.Cleanup(func() { _ = conn.Close() })
				continue
			}
			if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.Copy(io.Discard, req.Body)
			}
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}()
	return ln.Addr().String()
}

func TestABrokenReceiverIsOneCleanFailedAttempt(t *testing.T) {
	s := testSender(t, nil)
	nobody := must(net.Listen("tcp", "127.0.0.1:0"))
	_ = nobody.Close()
	plain := "http://" + rawReceiver(t, true, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	for _, c := range []struct{ name, target, class string }{
		{"hangs up", "http://" + rawReceiver(t, true, ""), classLost},
		{"no HTTP", "http://" + rawReceiver(t, true, "SSH-2.0-OpenSSH_9.6\r\n"), classProtocol},
		{"half a head", "http://" + rawReceiver(t, true, "HTTP/1.1 200 OK\r\nContent-"), classProtocol},
		{"a huge head", "http://" + rawReceiver(t, true, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X-Big: "+strings.Repeat("x", 8192)+"\r\n", 100)+"\r\n"), classProtocol},
		{"two lengths", "http://" + rawReceiver(t, true, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), classProtocol},
		{"nobody listens", "http://" + nobody.Addr().String(), classConnect},
		{"a port of others'", "http://127.0.0.1:25", classRefused},
		{"no TLS", "https" + strings.TrimPrefix(plain, "http"), classTLS},
	} {
		a := s.send(t.Context(), testDelivery(c.target))
		if a.outcome != Failed || a.class != c.class {
			t.Errorf("%s: %s %q (%v), want failed %q", c.name, a.outcome, a.class, a.err, c.class)
		}
	}
	untrusted := httptest.NewUnstartedServer(status(200))
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	if a := s.send(t.Context(), testDelivery(untrusted.URL)); a.class != classTLS {
		t.Errorf("an untrusted certificate: %+v", a)
	}
}

func TestAnEndlessBodyAfterA2xxIsCutAndDelivered(t *testing.T) {
	endless, _ := receive(t, func(w http.ResponseWriter, r *http.Request) {
		chunk := bytes.Repeat([]byte("x"), 32<<10)
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	if a := testSender(t, nil).send(t.Context(), testDelivery(endless)); a.outcome != Delivered {
		t.Errorf("attempt %+v", a)
	}
}

func TestAnAttemptBrokenOffByShutdownIsReleased(t *testing.T) {
	arrived := make(chan struct{}, 1)
	url, _ := receive(t, func(_ http.ResponseWriter, r *http.Request) { arrived <- struct{}{}; <-r.Context().Done() })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }() // ends with the request's arrival
	if a := testSender(t, nil).send(ctx, testDelivery(url)); a.outcome != Released || a.class != classShutdown {
		t.Errorf("attempt %+v", a)
	}
}

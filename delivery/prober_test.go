package delivery

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookproxy/hookproxy/subscriptions"
)

func testProber(t *testing.T, change func(*Options)) *Prober {
	t.Helper()
	o := Options{Addresses: loopback, Timeout: 5 * time.Second, Version: "1.2"}
	if change != nil {
		change(&o)
	}
	p := NewProber(o)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func probed(target string) subscriptions.Subscription {
	return subscriptions.Subscription{
		ID: "0-a", TargetURL: target, Secret: testSecret, Format: subscriptions.FormatRESTHooks, Signature: subscriptions.SignatureV1,
		Headers: map[string]string{"X-Own": "theirs"},
	}
}

func TestAHandshakeCarriesTheSecretAndNoEvent(t *testing.T) {
	url, got := receive(t, status(200))
	reply := testProber(t, nil).Handshake(t.Context(), probed(url+"/hooks?a=1"), "hush")
	r := <-got
	for name, want := range map[string]string{
		"X-Hook-Secret": "hush", "X-Hook-Subscription": "0-a", "Content-Type": "application/json", "User-Agent": "hookproxy/1.2", "X-Own": "theirs",
		"X-Hook-Event": "", "X-Hook-Signature": "", "Webhook-Id": "",
	} {
		if have := r.header.Get(name); have != want {
			t.Errorf("%s is %q, want %q", name, have, want)
		}
	}
	if string(r.body) != "{}" || reply.Status != 200 || reply.Class != "" || reply.Took <= 0 {
		t.Errorf("posted %s, answered %+v", r.body, reply)
	}
}

// A test differs from a delivery of the same event in nothing but what it says of
// itself.
func TestATestIsSentAsADeliveryIs(t *testing.T) {
	url, got := receive(t, status(200))
	for _, format := range []string{subscriptions.FormatRESTHooks, subscriptions.FormatRaw, subscriptions.FormatStandard, subscriptions.FormatCloudEvents} {
		d := testDelivery(url)
		d.format, d.previousSecret, d.headers = format, "whsec_old", map[string]string{"X-Own": "theirs"}
		testSender(t, nil).send(t.Context(), d)
		delivered := <-got

		sub := probed(url)
		sub.Format, sub.PreviousSecret = format, "whsec_old"
		test := subscriptions.TestEvent{ID: d.event.ID, Name: d.event.Name, Data: d.event.Payload}
		if reply := testProber(t, func(o *Options) { o.Version = "" }).Test(t.Context(), sub, test); reply.Status != 200 || reply.Class != "" {
			t.Fatalf("%s: %+v", format, reply)
		}
		tested := <-got
		if tested.header.Get("X-Hook-Test") != "true" || tested.header.Get("X-Hook-Attempt") != "1" {
			t.Errorf("%s: the test's headers are %v", format, tested.header)
		}
		for _, own := range []string{"X-Hook-Test", "X-Hook-Sequence", "X-Hook-Attempt", "Ce-Subject", "Ce-Time"} {
			delivered.header.Del(own)
			tested.header.Del(own)
		}
		if format == subscriptions.FormatStandard { // whose body and signatures tell the time
			delivered.body, tested.body = nil, nil
			for _, header := range []http.Header{delivered.header, tested.header} {
				header.Del("Content-Length")
				header.Del("X-Hook-Signature")
				header.Del("X-Hook-Signature-Previous")
			}
		}
		for _, header := range []http.Header{delivered.header, tested.header} {
			header.Del("Webhook-Timestamp")
			header.Del("Webhook-Signature")
		}
		if diff := cmp.Diff(delivered.header, tested.header); diff != "" || string(delivered.body) != string(tested.body) {
			t.Errorf("%s: (-delivered +tested)\n%s\n%s\n%s", format, diff, delivered.body, tested.body)
		}
	}
}

func TestATestOfASkinnySubscriptionIsSkinny(t *testing.T) {
	url, got := receive(t, status(200))
	sub := probed(url)
	sub.Format, sub.Options.Skinny = subscriptions.FormatRaw, true
	test := subscriptions.TestEvent{ID: "test-1", Name: "contact.create", Data: []byte(`{"id":7,"name":"Ada"}`)}
	testProber(t, nil).Test(t.Context(), sub, test)
	if r := <-got; string(r.body) != `{"id":"test-1","url":null}` {
		t.Errorf("posted %s", r.body)
	}
}

func TestATestAnswersTheBeginningOfWhatTheTargetSays(t *testing.T) {
	for _, code := range []int{200, 500} {
		url, _ := receive(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(code)
			_, _ = w.Write([]byte("it says " + strings.Repeat("so ", 5000)))
		})
		reply := testProber(t, nil).Test(t.Context(), probed(url), subscriptions.TestEvent{ID: "t", Name: "hook.test"})
		if reply.Status != code || len(reply.Body) > maxHead || !strings.HasPrefix(reply.Body, "it says so") || reply.Header.Get("Content-Type") != "text/plain" {
			t.Errorf("replied %+v", reply)
		}
	}
}

// Neither goes where no delivery goes, and neither follows a redirect there.
func TestProbesObeyTheAddressRules(t *testing.T) {
	url, got := receive(t, status(200))
	redirect := httptest.NewServer(http.RedirectHandler(url, http.StatusTemporaryRedirect))
	t.Cleanup(redirect.Close)
	for target, want := range map[string]struct {
		change func(*Options)
		status int
		class  string
	}{
		url:                      {func(o *Options) { o.Addresses.Allow = nil }, 0, classRefused},
		"http://169.254.169.254": {nil, 0, classRefused},
		redirect.URL:             {nil, 307, classHTTP3xx},
		"ftp://hooks.example":    {nil, 0, classTarget},
	} {
		p := testProber(t, want.change)
		for _, reply := range []subscriptions.Reply{
			p.Handshake(t.Context(), probed(target), "s"), p.Test(t.Context(), probed(target), subscriptions.TestEvent{ID: "t", Name: "hook.test"}),
		} {
			if reply.Status != want.status || reply.Class != want.class {
				t.Errorf("%s: %+v", target, reply)
			}
		}
	}
	if len(got) > 0 {
		t.Error("something arrived")
	}
}

func TestWhatCannotBeSignedIsNotSent(t *testing.T) {
	url, got := receive(t, status(200))
	for class, change := range map[string]func(*subscriptions.Subscription){
		classSealed: func(s *subscriptions.Subscription) { s.Secret = "" },
		classNoKey:  func(s *subscriptions.Subscription) { s.Signature = subscriptions.SignatureV1A },
	} {
		sub := probed(url)
		change(&sub)
		if reply := testProber(t, nil).Test(t.Context(), sub, subscriptions.TestEvent{ID: "t", Name: "hook.test"}); reply.Class != class {
			t.Errorf("%+v, want %s", reply, class)
		}
	}
	if len(got) > 0 {
		t.Error("something arrived")
	}
}

func TestAHandshakeTakesFiveSecondsAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewProber(Options{})
		p.sender.transport.plain.DialContext = func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, theirs) }() // takes all, says nothing, ends with ours
			return ours, nil
		}
		reply := p.Handshake(t.Context(), probed("http://hooks.example"), "s")
		if reply.Took != handshakeTimeout || reply.Class != classTimeout {
			t.Errorf("replied %+v", reply)
		}
	})
}

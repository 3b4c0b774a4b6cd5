package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/internal/sample"
)

// handshaker is a target that answers a handshake in one of the ways there are,
// and takes what comes after it.
type handshaker struct {
	receiver *sample.Receiver
	echo     bool
	status   int
	secrets  chan string
}

func (h *handshaker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secret := r.Header.Get("X-Hook-Secret")
	if secret == "" {
		h.receiver.ServeHTTP(w, r)
		return
	}
	if h.echo {
		w.Header().Set("X-Hook-Secret", secret)
	}
	h.secrets <- secret
	w.WriteHeader(h.status)
}

func serveHandshaker(t *testing.T, receiver *sample.Receiver, echo bool, status int) (string, *handshaker) {
	t.Helper()
	h := &handshaker{receiver, echo, status, make(chan string, 10)}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL, h
}

// made is what the endpoints answer about a subscription.
type made struct{ ID, Secret, State string }

func readMade(t *testing.T, body []byte) (sub made) {
	t.Helper()
	if err := json.Unmarshal(body, &sub); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return sub
}

// The handshake both ways and its refusal, with real targets.
func TestTargetsAreAskedBeforeTheyGetHooks(t *testing.T) {
	t.Parallel()
	receiver := sample.NewReceiver(10)
	quick, _ := serveHandshaker(t, receiver, true, http.StatusOK)
	slow, later := serveHandshaker(t, receiver, false, http.StatusNoContent)
	unwilling, _ := serveHandshaker(t, receiver, true, http.StatusNotFound)
	proxy := start(t, "--upstream", startSample(t), "--redis", "embedded", "--spool", "none",
		"--rules", writeRules(t, sampleRules+"subscriptions: {intent: handshake}\n"))
	path := proxy.front + "/api/v1/subscription/"
	ask := func(target string, status int) []byte {
		got, body := send(t, "POST", path, `{"event":"contact.create","target_url":"`+target+`/hooks"}`)
		if got != status {
			t.Fatalf("subscribing %s: %d %s", target, got, body)
		}
		return body
	}
	if body := ask(unwilling, 422); !strings.Contains(string(body), `"target":{"status":404,"error_class":"http_4xx"`) {
		t.Errorf("refused with %s", body)
	}
	if body := ask("http://169.254.169.254", 422); strings.Contains(string(body), "169.254") {
		t.Errorf("refused with %s", body)
	}
	atOnce, pending := readMade(t, ask(quick, 201)), readMade(t, ask(slow, 201))
	if atOnce.State != "active" || pending.State != "pending" {
		t.Fatalf("made %+v and %+v", atOnce, pending)
	}
	receiver.Expect(atOnce.ID, atOnce.Secret)
	receiver.Expect(pending.ID, pending.Secret)

	// The first event is for the confirmed one alone; the second is for both.
	send(t, "POST", proxy.front+"/contacts", `{"name":"first"}`)
	if hook := awaitHook(t, receiver, proxy); hook.Header.Get("X-Hook-Subscription") != atOnce.ID {
		t.Errorf("the pending one got %s", hook.Body)
	}
	request, err := http.NewRequestWithContext(t.Context(), "POST", path+pending.ID+"/confirm", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+sample.Accounts[0].Token)
	request.Header.Set("X-Hook-Secret", <-later.secrets)
	response, err := http.DefaultClient.Do(request)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("confirm: %v, %v", response, err)
	}
	response.Body.Close()
	send(t, "POST", proxy.front+"/contacts", `{"name":"second"}`)
	for range 2 {
		if hook := awaitHook(t, receiver, proxy); hook.Verified != nil || !strings.Contains(string(hook.Data), "second") {
			t.Errorf("got %s, %v", hook.Body, hook.Verified)
		}
	}
	if status, _ := send(t, "DELETE", path+pending.ID, ""); status != http.StatusNoContent {
		t.Errorf("deleting answered %d", status)
	}
	wantTestUncounted(t, proxy, receiver, atOnce.ID)
}

// wantTestUncounted wants a test to arrive signed, and to leave no gap in what is
// counted: two hooks went before it.
func wantTestUncounted(t *testing.T, proxy *instance, receiver *sample.Receiver, id string) {
	t.Helper()
	status, body := send(t, "POST", proxy.front+"/api/v1/subscription/"+id+"/test", "")
	if status != 200 || !strings.Contains(string(body), `"status":204,"error_class":""`) {
		t.Errorf("a test answered %d %s", status, body)
	}
	if hook := awaitHook(t, receiver, proxy); hook.Verified != nil || hook.Header.Get("X-Hook-Test") != "true" {
		t.Errorf("the test arrived as %v, %v", hook.Header, hook.Verified)
	}
	send(t, "POST", proxy.front+"/contacts", `{"name":"third"}`)
	if hook := awaitHook(t, receiver, proxy); hook.Header.Get("X-Hook-Sequence") != "3" {
		t.Errorf("after a test the next is number %s", hook.Header.Get("X-Hook-Sequence"))
	}
}

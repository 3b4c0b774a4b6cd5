package delivery

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hookproxy/hookproxy/subscriptions"
)

func TestAStandardPayloadIsAsStandardWebhooksHasIt(t *testing.T) {
	url, got := receive(t, status(200))
	d := testDelivery(url)
	d.format, d.event.Payload = subscriptions.FormatStandard, []byte(`{"n":12345678901234567890,"html":"<b>"}`)
	if a := testSender(t, nil).send(t.Context(), d); a.outcome != Delivered {
		t.Fatalf("attempt: %+v", a)
	}
	r := <-got
	if err := must(standardwebhooks.NewWebhook(testSecret)).Verify(r.body, r.header); err != nil {
		t.Errorf("verify: %v", err)
	}
	var body struct {
		Type      string
		Timestamp time.Time
		Data      json.RawMessage
	}
	if err := json.Unmarshal(r.body, &body); err != nil {
		t.Fatalf("%s: %v", r.body, err)
	}
	if body.Type != "contact.create" || !body.Timestamp.Equal(d.event.Time) || string(body.Data) != string(d.event.Payload) {
		t.Errorf("posted %s", r.body)
	}
}

func TestACloudEventIsReadByTheReferenceSDK(t *testing.T) {
	url, got := receive(t, status(200))
	s := testSender(t, nil)
	for _, resource := range []string{"7", "a \"b\" 100% \u00e9\u20ac", ""} {
		d := testDelivery(url)
		d.format, d.event.Resource = subscriptions.FormatCloudEvents, resource
		if a := s.send(t.Context(), d); a.outcome != Delivered {
			t.Fatalf("attempt: %+v", a)
		}
		r := <-got
		req := must(http.NewRequest(http.MethodPost, url, strings.NewReader(string(r.body))))
		req.Header = r.header
		e, err := cloudevents.NewEventFromHTTPRequest(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Validate(); err != nil {
			t.Errorf("validate: %v", err)
		}
		if e.ID() != "e1" || e.Type() != "contact.create" || e.Source() != "hookproxy" || e.SpecVersion() != "1.0" ||
			!e.Time().Equal(d.event.Time) || string(e.Data()) != `{"id":1}` || e.DataContentType() != "application/json" {
			t.Errorf("read as %s", e)
		}
		// This SDK leaves decoding to its caller.
		if e.Subject() != percent(resource) {
			t.Errorf("subject %q, want %q encoded", e.Subject(), resource)
		}
		if err := must(standardwebhooks.NewWebhook(testSecret)).Verify(r.body, r.header); err != nil {
			t.Errorf("verify: %v", err)
		}
	}
}

func TestACloudEventWithoutPayloadSaysWhy(t *testing.T) {
	url, got := receive(t, status(200))
	d := testDelivery(url)
	d.format, d.event.Payload, d.event.Omitted = subscriptions.FormatCloudEvents, nil, "too_large"
	testSender(t, nil).send(t.Context(), d)
	if r := <-got; string(r.body) != "null" || r.header.Get("Ce-Dataomitted") != "too_large" {
		t.Errorf("posted %s with %v", r.body, r.header)
	}
}

func TestHeaderValuesArePercentEncoded(t *testing.T) {
	// The example of the HTTP protocol binding, §3.1.3.2.
	if got := percent("Euro \u20ac \U0001F600"); got != "Euro%20%E2%82%AC%20%F0%9F%98%80" {
		t.Errorf("encoded as %s", got)
	}
}

const otherSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

func TestWhileASecretIsChangedBothSign(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, status(200))
		id := r.subscribe("a", "contact.create", url)
		until := time.Now().Add(time.Hour).UnixMilli()
		r.client.HSet(r.Context(), r.lane.Subscription(id), "previous_secret", otherSecret, "previous_secret_until", until)
		r.pushMany(0, 2)
		r.dispatchAll()
		s := testSender(r, nil)
		verified := func(d *delivery, secret string) bool {
			s.send(r.Context(), d)
			one := r.arrive(got, 1)[0]
			return must(standardwebhooks.NewWebhook(secret)).Verify(one.body, one.header) == nil
		}
		if d := r.takeOne(); !verified(d, testSecret) || !verified(d, otherSecret) {
			r.Error("one of both secrets does not verify during the change")
		}
		r.pass(time.Hour + time.Second)
		r.client.Del(r.Context(), r.lane.Leases())
		if d := r.takeOne(); !verified(d, testSecret) || verified(d, otherSecret) {
			r.Error("the old secret still signs after the change")
		}
	})
}

func TestACloudEventHoldsWithOddNamesAndPayloads(t *testing.T) {
	url, got := receive(t, status(200))
	s := testSender(t, nil)
	for _, c := range []struct{ name, payload string }{
		{"a_1.b_2.c_3", `[]`}, {"contact." + strings.Repeat("x", 200), `"text"`}, {"deal.won", `12345678901234567890`},
		{"deal.won", `{"specversion":"0.3","data":null}`}, {"deal.won", "{\"n\":\"\u20ac <&> \\u2028\"}"}, {"deal.won", `null`},
	} {
		d := testDelivery(url)
		d.format, d.event.Name, d.event.Payload = subscriptions.FormatCloudEvents, c.name, []byte(c.payload)
		if a := s.send(t.Context(), d); a.outcome != Delivered {
			t.Fatalf("%s: %+v", c.name, a)
		}
		r := <-got
		req := must(http.NewRequest(http.MethodPost, url, strings.NewReader(string(r.body))))
		req.Header = r.header
		e, err := cloudevents.NewEventFromHTTPRequest(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Validate(); err != nil || e.Type() != c.name || string(e.Data()) != c.payload {
			t.Errorf("%s with %s is read as %s: %v", c.name, c.payload, e, err)
		}
		if err := must(standardwebhooks.NewWebhook(testSecret)).Verify(r.body, r.header); err != nil {
			t.Errorf("verify: %v", err)
		}
	}
}

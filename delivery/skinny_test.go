package delivery

import (
	"net/http"
	"strings"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hookproxy/hookproxy/subscriptions"
)

// posted claims what is due for a subscription, sends it and answers what arrived.
func (r *rig) posted(s *sender, got <-chan received) received {
	r.Helper()
	d := r.takeOne()
	if a := s.send(r.Context(), d); a.outcome != Delivered {
		r.Fatalf("attempt: %+v", a)
	}
	r.end(d, stepDelivered, 0)
	return r.arrive(got, 1)[0]
}

func TestASkinnyDeliveryHoldsIDAndURLInEachFormat(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, status(200))
		s := testSender(t, nil)
		id := r.subscribe("a", "contact.create", url)
		r.set(id, "skinny", "1")
		const thin = `{"id":"7","url":"/contacts/7?a=<b>&c"}`
		for i, format := range []string{subscriptions.FormatRaw, subscriptions.FormatCloudEvents, subscriptions.FormatStandard, subscriptions.FormatRESTHooks} {
			r.set(id, "format", format)
			e := about(i, "7")
			e.URL, e.Redacted = "/contacts/7?a=<b>&c", []string{"password"}
			if i%2 == 1 {
				e.Payload, e.Redacted, e.Omitted = nil, nil, "too_large" // which nobody misses here
			}
			r.push(e)
			r.dispatchAll()
			one := r.posted(s, got)
			body := string(one.body)
			if !strings.Contains(body, thin) || strings.Contains(body, "omitted") || strings.Contains(body, "redacted") ||
				one.header.Get("Ce-Dataomitted") != "" {
				r.Errorf("%s: posted %s, %v", format, body, one.header)
			}
			if err := must(standardwebhooks.NewWebhook(testSecret)).Verify(one.body, one.header); err != nil {
				r.Errorf("%s: verify: %v", format, err)
			}
			switch format {
			case subscriptions.FormatRaw:
				if body != thin {
					r.Errorf("posted %s", body)
				}
			case subscriptions.FormatCloudEvents:
				req := must(http.NewRequest(http.MethodPost, url, strings.NewReader(body)))
				req.Header = one.header
				if ce, err := cloudevents.NewEventFromHTTPRequest(req); err != nil || ce.Validate() != nil || string(ce.Data()) != thin || ce.Subject() != "7" {
					r.Errorf("read as %s, %v", ce, err)
				}
			}
		}
		r.wantNothingLeft()
	})
}

func TestOneSubscribersSkinninessIsNobodyElses(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		skinnyURL, thin := receive(r, status(200))
		wholeURL, whole := receive(r, status(200))
		s := testSender(t, nil)
		r.set(r.subscribe("a", "contact.create", skinnyURL), "skinny", "1", "format", subscriptions.FormatRaw)
		r.set(r.subscribe("b", "contact.create", wholeURL), "format", subscriptions.FormatRaw)
		e := about(1, "7")
		e.URL = "/contacts/7"
		r.push(e)
		r.dispatchAll()
		for range 2 {
			s.send(r.Context(), r.takeOne())
		}
		if a, b := string(r.arrive(thin, 1)[0].body), string(r.arrive(whole, 1)[0].body); a != `{"id":"7","url":"/contacts/7"}` || b != `{"id":1}` {
			r.Errorf("posted %s and %s", a, b)
		}
	})
}

func TestWhatIsNotKnownOfAResourceIsNull(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, status(200))
		s := testSender(t, nil)
		id := r.subscribe("a", "contact.create", url)
		r.set(id, "format", subscriptions.FormatRaw)
		r.push(about(1, "7"), about(2, ""))
		r.dispatchAll()
		r.set(id, "skinny", "1") // also of what waits already, though its URL is not kept
		for _, want := range []string{`{"id":"7","url":null}`, `{"id":null,"url":null}`} {
			if body := string(r.posted(s, got).body); body != want {
				r.Errorf("posted %s, want %s", body, want)
			}
		}
	})
}

func TestAURLIsStoredForSkinnyDeliveriesAlone(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		e := about(1, "7")
		e.URL = "/contacts/7"
		r.push(e)
		r.dispatchAll()
		r.set(id, "skinny", "1")
		e.ID, e.Redacted, e.Omitted = "e2", []string{"a"}, ""
		r.push(e)
		r.dispatchAll()
		stored := r.client.HMGet(r.Context(), r.lane.Stored(), "e1", "e2").Val()
		if strings.Contains(stored[0].(string), "/contacts/7") || !strings.Contains(stored[1].(string), `,["a"],"\/contacts\/7"]`) &&
			!strings.Contains(stored[1].(string), `,["a"],"/contacts/7"]`) {
			r.Errorf("stored %q", stored)
		}
	})
}

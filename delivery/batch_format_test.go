package delivery

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/hookproxy/hookproxy/subscriptions"
)

// batchOf answers a delivery of a batch of three, of which one has no payload.
func batchOf(target, format string) *delivery {
	d := testDelivery(target)
	d.format, d.batch, d.event.Payload = format, "batch-1", []byte(`{"n":12345678901234567890}`)
	for i := range 2 {
		d.riders = append(d.riders, rider{about(i+2, "a b"), int64(i + 8)})
	}
	d.riders[1].event.Payload, d.riders[1].event.Omitted = nil, "too_large"
	return d
}

func TestABatchIsAnArrayOfWhatItsEventsWouldBe(t *testing.T) {
	url, got := receive(t, status(200))
	s := testSender(t, nil)
	for format, want := range map[string]string{
		subscriptions.FormatRaw: `[{"n":12345678901234567890},{"id":2},null]`,
		subscriptions.FormatRESTHooks: `[{"hook":{"id":"0-a","event":"contact.create","target":"URL","event_id":"e1","sequence":7},"data":{"n":12345678901234567890}},` +
			`{"hook":{"id":"0-a","event":"contact.create","target":"URL","event_id":"e2","sequence":8},"data":{"id":2}},` +
			`{"hook":{"id":"0-a","event":"contact.create","target":"URL","event_id":"e3","sequence":9,"data_omitted":"too_large"},"data":null}]`,
		subscriptions.FormatStandard: `[{"id":"e1","type":"contact.create","timestamp":"TIME","data":{"n":12345678901234567890}},` +
			`{"id":"e2","type":"contact.create","timestamp":"TIME","data":{"id":2}},` +
			`{"id":"e3","type":"contact.create","timestamp":"TIME","data_omitted":"too_large","data":null}]`,
	} {
		d := batchOf(url, format)
		for _, r := range d.riders {
			d.event.Time = r.event.Time
		}
		d.riders[0].event.Time = d.event.Time
		if a := s.send(t.Context(), d); a.outcome != Delivered {
			t.Fatalf("attempt: %+v", a)
		}
		r := <-got
		want = strings.NewReplacer("URL", url, "TIME", d.event.Time.UTC().Format(time.RFC3339Nano)).Replace(want)
		if string(r.body) != want || !json.Valid(r.body) {
			t.Errorf("%s: posted %s\nwant %s", format, r.body, want)
		}
		wantBatchHeaders(t, r, "application/json")
	}
}

// wantBatchHeaders also has the one signature verified by the reference library.
func wantBatchHeaders(t *testing.T, r received, contentType string) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Type": contentType, "Webhook-Id": "batch-1", "X-Hook-Id": "batch-1", "X-Hook-Event": "hook.batch", "X-Hook-Count": "3",
		"X-Hook-Sequence": "7", "X-Hook-Attempt": "3", "Ce-Id": "", "X-Hook-Signature": hookSignature(testSecret, r.body),
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	verifier := must(standardwebhooks.NewWebhook(testSecret))
	if err := verifier.Verify(r.body, r.header); err != nil {
		t.Errorf("verify: %v", err)
	}
	if verifier.Verify(append(r.body, ' '), r.header) == nil {
		t.Error("a changed batch was verified too")
	}
}

func TestABatchOfCloudEventsIsReadByTheReferenceSDK(t *testing.T) {
	url, got := receive(t, status(200))
	for _, thin := range []bool{false, true} {
		d := batchOf(url, subscriptions.FormatCloudEvents)
		if thin {
			for i := range d.riders {
				d.riders[i].event = skinny(d.riders[i].event)
			}
		}
		if a := testSender(t, nil).send(t.Context(), d); a.outcome != Delivered {
			t.Fatalf("attempt: %+v", a)
		}
		r := <-got
		wantBatchHeaders(t, r, "application/cloudevents-batch+json")
		req := must(http.NewRequest(http.MethodPost, url, strings.NewReader(string(r.body))))
		req.Header = r.header
		all, err := cloudevents.NewEventsFromHTTPRequest(req)
		if err != nil || len(all) != 3 {
			t.Fatalf("read %d of %s: %v", len(all), r.body, err)
		}
		for i, e := range all {
			of := d.event
			if i > 0 {
				of = d.riders[i-1].event
			}
			if err := e.Validate(); err != nil {
				t.Errorf("validate: %v", err)
			}
			data := string(e.Data())
			if data == "null" { // which the SDK may answer for no data at all
				data = ""
			}
			if e.ID() != of.ID || e.Type() != of.Name || e.Source() != "hookproxy" || e.Subject() != of.Resource || !e.Time().Equal(of.Time) ||
				data != string(of.Payload) || e.DataContentType() != "application/json" || of.Omitted != "" && e.Extensions()["dataomitted"] != of.Omitted {
				t.Errorf("read %s as %s", of.ID, e)
			}
		}
	}
}

func TestATestOfABatchedSubscriptionIsABatchOfOne(t *testing.T) {
	url, got := receive(t, status(200))
	sub := probed(url)
	sub.Options.Batch = subscriptions.Batch{Max: 100, Within: time.Second}
	test := subscriptions.TestEvent{ID: "test-1", Name: "hook.test", Data: []byte(`{"id":7}`)}
	testProber(t, nil).Test(t.Context(), sub, test)
	r := <-got
	want := fmt.Sprintf(`[{"hook":{"id":"0-a","event":"hook.test","target":"%s","event_id":"test-1"},"data":{"id":7}}]`, url)
	if string(r.body) != want || r.header.Get("X-Hook-Test") != "true" || r.header.Get("X-Hook-Sequence") != "" || r.header.Get("Webhook-Id") != "test-1" {
		t.Errorf("posted %s with %v", r.body, r.header)
	}
}

// The whole way through the engine: batches, a target that fails once, and all
// three options together.
func TestTheEngineSendsBatches(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		url, got := receive(t, statuses(http.StatusInternalServerError, http.StatusOK))
		id := r.subscribe("a", "contact.create", url)
		r.set(id, "batch_max", 4, "batch_within", 200, "skinny", "1", "debounce", 100)
		r.push(about(0, "x"), about(1, "x"), about(2, "y"), about(3, "z"))
		r.run(r.engine(nil))
		failed, sent := r.arrive(got, 1)[0], r.arrive(got, 1)[0]
		if failed.header.Get("Webhook-Id") != sent.header.Get("Webhook-Id") || string(failed.body) != string(sent.body) ||
			failed.header.Get("X-Hook-Attempt") != "1" || sent.header.Get("X-Hook-Attempt") != "2" {
			t.Errorf("posted %s and then %s", failed.body, sent.body)
		}
		var batch []struct {
			Hook struct {
				Event string `json:"event_id"`
			}
			Data struct{ ID string }
		}
		if err := json.Unmarshal(sent.body, &batch); err != nil {
			t.Fatal(err)
		}
		told := map[string]string{}
		for _, one := range batch {
			told[one.Data.ID] = one.Hook.Event
		}
		if len(batch) != 3 || told["y"] != "e2" || told["z"] != "e3" || told["x"] != "e1" {
			t.Errorf("posted %s", sent.body)
		}
		r.eventually("nothing is left", func() bool { return r.stored() == 0 })
	})
}

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/hookproxy/hookproxy/internal/sample"
)

// The limits in rules.yaml decide what a subscriber may ask for.
func TestLimitsInRulesBoundWhatSubscribersMayAskFor(t *testing.T) {
	limited := sampleRules + "\nsubscriptions: {limits: {debounce: 10s, batch: 50, batch_within: 1m, skinny: false}}\n"
	up := start(t, "--upstream", startSample(t), "--redis", "redis://"+redistest.Mini(t).Addr, "--rules", writeRules(t, limited))
	for option, want := range map[string]int{
		`"skinny":true`: http.StatusUnprocessableEntity, `"debounce":"11s"`: http.StatusUnprocessableEntity,
		`"batch":{"max":51,"within":"1s"}`: http.StatusUnprocessableEntity, `"batch":{"max":50,"within":"61s"}`: http.StatusUnprocessableEntity,
		`"debounce":"10s"`: http.StatusCreated, `"batch":{"max":50,"within":"1m"}`: http.StatusCreated, `"ordered":true`: http.StatusCreated,
	} {
		name, _, _ := strings.Cut(strings.TrimPrefix(option, `"`), `"`)
		status, body := send(t, "POST", up.front+"/api/v1/subscription/",
			`{"event":"contact.create","target_url":"https://hooks.example.com/`+name+`",`+option+`}`)
		if status != want || !strings.Contains(string(body), name) {
			t.Errorf("%s: %d %s, want %d", option, status, body, want)
		}
	}
}

func TestASubscriberWhoBatchesGetsAnArray(t *testing.T) {
	t.Parallel()
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		i := start(t, "--upstream", startSample(t), "--rules", writeRules(t, sampleRules), "--redis", "redis://"+s.Addr, "--spool", "none")
		receiver := sample.NewReceiver(10)
		url := subscribeTo(t, i, receiver, `"events":["contact.*"],"format":"standard","batch":{"max":5,"within":"1m"}`)
		for n := range 5 {
			send(t, "POST", i.front+"/contacts", fmt.Sprintf(`{"name":"Ada %d"}`, n))
		}
		hook := awaitHook(t, receiver, i) // long before the minute is over
		var batch []struct {
			ID, Type string
			Data     struct{ Name string }
		}
		if err := json.Unmarshal(hook.Body, &batch); err != nil || len(batch) != 5 || hook.Verified != nil {
			t.Fatalf("got %s, %v, %v", hook.Body, hook.Verified, err)
		}
		for n, one := range batch {
			if one.ID == "" || one.Type != "contact.create" || one.Data.Name != fmt.Sprint("Ada ", n) {
				t.Errorf("number %d is %+v", n, one)
			}
		}
		type history struct {
			Batch struct {
				ID     string
				Events []struct {
					EventID string `json:"event_id"`
				}
			}
		}
		list := read(t, url+"deliveries?event="+batch[3].ID, func(list []history) bool { return len(list) == 1 })
		if got := list[0].Batch; got.ID != hook.Header.Get("Webhook-Id") || len(got.Events) != 5 || got.Events[3].EventID != batch[3].ID {
			t.Errorf("the history is %+v", list)
		}
		send(t, "POST", url+"test", "")
		if test := awaitHook(t, receiver, i); !strings.HasPrefix(string(test.Body), `[{"id":"test-`) || test.Verified != nil {
			t.Errorf("the test sent %s, %v", test.Body, test.Verified)
		}
	})
}

// subscribeTo subscribes a receiver with some options, as fields of JSON, and has it
// verify what it gets. It answers the subscription's URL.
func subscribeTo(t *testing.T, i *instance, receiver *sample.Receiver, options string) string {
	t.Helper()
	target := httptest.NewServer(receiver)
	t.Cleanup(target.Close)
	status, body := send(t, "POST", i.front+"/api/v1/subscription/", `{"target_url":"`+target.URL+`",`+options+`}`)
	var sub struct{ ID, Secret string }
	if err := json.Unmarshal(body, &sub); status != http.StatusCreated || err != nil {
		t.Fatalf("subscribe: %d %s", status, body)
	}
	receiver.Expect(sub.ID, sub.Secret)
	return i.front + "/api/v1/subscription/" + sub.ID + "/"
}

package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/hookproxy/hookproxy/internal/sample"
)

func TestASkinnySubscriberLearnsWhereTheResourceIs(t *testing.T) {
	t.Parallel()
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		i := start(t, "--upstream", startSample(t), "--rules", writeRules(t, sampleRules), "--redis", "redis://"+s.Addr, "--spool", "none")
		receiver := sample.NewReceiver(10)
		url := subscribeTo(t, i, receiver, `"events":["contact.*"],"skinny":true`)
		_, body := send(t, "POST", i.front+"/contacts", `{"name":"Ada"}`)
		var made struct{ ID json.Number }
		if err := json.Unmarshal(body, &made); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		want := `{"id":"` + made.ID.String() + `","url":"/contacts/` + made.ID.String() + `"}`
		if hook := awaitHook(t, receiver, i); string(hook.Data) != want || hook.Verified != nil {
			t.Errorf("got %s, verified %v, want %s", hook.Body, hook.Verified, want)
		}
		send(t, "PATCH", url, `{"skinny":false}`)
		send(t, "PUT", i.front+"/contacts/"+made.ID.String(), `{"name":"Ada L."}`)
		var whole struct{ Name string }
		if hook := awaitHook(t, receiver, i); json.Unmarshal(hook.Data, &whole) != nil || whole.Name != "Ada L." {
			t.Errorf("no more skinny, it got %s", hook.Body)
		}
		send(t, "PATCH", url, `{"skinny":true}`)
		send(t, "POST", url+"test", "")
		if hook := awaitHook(t, receiver, i); hook.Header.Get("X-Hook-Test") != "true" || hook.Verified != nil ||
			string(hook.Data) != `{"id":"`+hook.Header.Get("X-Hook-Id")+`","url":null}` {
			t.Errorf("the test sent %s", hook.Body)
		}
	})
}

func TestADebouncedSubscriberGetsTheLastOfABurst(t *testing.T) {
	t.Parallel()
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		i := start(t, "--upstream", startSample(t), "--rules", writeRules(t, sampleRules), "--redis", "redis://"+s.Addr, "--spool", "none")
		receiver := sample.NewReceiver(10)
		url := subscribeTo(t, i, receiver, `"events":["contact.*"],"debounce":"1500ms"`)
		send(t, "POST", i.front+"/contacts", `{"name":"Ada"}`)
		for n := range 5 {
			send(t, "PUT", i.front+"/contacts/1", fmt.Sprintf(`{"name":"Ada %d"}`, n))
		}
		got := map[string]string{}
		for range 2 {
			hook := awaitHook(t, receiver, i)
			if hook.Verified != nil {
				t.Errorf("not verified: %v", hook.Verified)
			}
			var data struct{ Name string }
			if err := json.Unmarshal(hook.Data, &data); err != nil {
				t.Fatalf("%s: %v", hook.Body, err)
			}
			got[hook.Header.Get("X-Hook-Event")] = data.Name
		}
		if got["contact.create"] != "Ada" || got["contact.update"] != "Ada 4" {
			t.Errorf("got %v", got)
		}
		if _, metrics := send(t, "GET", i.admin+"/metrics", ""); !strings.Contains(string(metrics), "hookproxy_deliveries_replaced_total 4") {
			t.Error("the metrics do not count the four that were replaced")
		}
		if _, shown := send(t, "GET", url, ""); !strings.Contains(string(shown), `"debounce":"1.5s"`) {
			t.Errorf("the subscription is shown as %s", shown)
		}
	})
}

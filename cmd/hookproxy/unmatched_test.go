package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/proxy"
)

func TestTheAdminListenerAndTheLogNameRoutesWithoutARule(t *testing.T) {
	rules := writeRules(t, "identity: [{whoami: {get: /me, user: id}}]\nmode: observe\nresources: {deal: /deals}\n")
	live := start(t, "--redis", "embedded", "--spool", "none", "--upstream", startSample(t), "--rules", rules)
	send(t, http.MethodPost, live.front+"/contacts", `{"name":"Ada"}`)
	send(t, http.MethodPatch, live.front+"/contacts/1", `{"name":"Eve"}`)
	send(t, http.MethodPatch, live.front+"/contacts/1", `{"name":"Ada"}`)
	send(t, http.MethodPost, live.front+"/deals", `{}`)
	send(t, http.MethodPost, live.front+"/ghosts", `{}`)

	_, text := get(t, live.admin+"/unmatched")
	if want := "since the rules were loaded (routes: 2):\n         2  PATCH /contacts/{id}\n         1  POST /contacts\n"; !strings.HasSuffix(text, want) {
		t.Errorf("%q, want %q", text, want)
	}
	_, text = get(t, live.admin+"/unmatched?format=json")
	var report proxy.Unmatched
	if err := json.Unmarshal([]byte(text), &report); err != nil || len(report.Routes) != 2 ||
		report.Routes[0] != (proxy.UnmatchedRoute{Method: "PATCH", Path: "/contacts/{id}", Count: 2}) {
		t.Errorf("%+v, %v", report, err)
	}
	if err := live.stop(t); err != nil {
		t.Error(err)
	}
	if log := live.log.String(); !strings.Contains(log, `"route":"PATCH /contacts/{id}","writes":2`) {
		t.Errorf("the log names no route:\n%s", log)
	}
}

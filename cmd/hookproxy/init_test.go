package main

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/internal/sample"
)

const sampleDocument = "testdata/sample-openapi.yaml"

// From an API's description to its events, without a line written by hand.
func TestWhatInitWritesServes(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	status, out, stderr := runCommand(t, "init", "--openapi", sampleDocument, "--out", rules)
	if status != exitOK || out != "" || stderr != "3 rules in force, 0 behind \"#?\", 0 operations left out.\n" {
		t.Fatalf("init: %d %q %q", status, out, stderr)
	}
	if status, _, stderr := runCommand(t, "check", rules); status != exitOK {
		t.Fatalf("check: %d %s", status, stderr)
	}
	receiver := sample.NewReceiver(10)
	target := httptest.NewServer(receiver)
	t.Cleanup(target.Close)
	up := start(t, "--upstream", startSample(t), "--redis", "embedded", "--rules", rules, "--spool", "none")
	subscribe(t, up.front, "contact.*", target.URL, receiver)
	for _, step := range []struct{ method, path, body, event, data string }{
		{"POST", "/contacts", `{"name":"Ada"}`, "contact.create", `{"id":1,"name":"Ada"}`},
		{"PATCH", "/contacts/1", `{"name":"Ida"}`, "contact.update", `{"id":1,"name":"Ida"}`},
		{"DELETE", "/contacts/1", "", "contact.delete", `{"id":"1"}`},
	} {
		send(t, step.method, up.front+step.path, step.body)
		hook := awaitHook(t, receiver, up)
		if got := hook.Header.Get("X-Hook-Event"); got != step.event || string(hook.Data) != step.data || hook.Verified != nil {
			t.Errorf("%s %s: %s with %s, %v", step.method, step.path, got, hook.Data, hook.Verified)
		}
	}
}

func TestInitWritesOverNothingUnlessAskedTo(t *testing.T) {
	mine := writeRules(t, "# mine\n")
	status, _, stderr := runCommand(t, "init", "--openapi", sampleDocument, "--out", mine)
	if kept, err := os.ReadFile(mine); status != exitFailure || err != nil || string(kept) != "# mine\n" || !strings.Contains(stderr, mine+" is there already; --force writes over it") {
		t.Errorf("status %d, %q, the file holds %q, %v", status, stderr, kept, err)
	}
	if status, _, stderr := runCommand(t, "init", "--openapi", sampleDocument, "--out", mine, "--force"); status != exitOK {
		t.Errorf("--force: %d %s", status, stderr)
	}
	_, out, _ := runCommand(t, "init", "--openapi", sampleDocument)
	if written, err := os.ReadFile(mine); err != nil || string(written) != out || !strings.Contains(out, "contact.create") {
		t.Errorf("--out holds other than what is printed: %v\n%s", err, out)
	}
	if status, _, stderr := runCommand(t, "init", "--openapi", sampleDocument, "--force"); status != exitUsage || !strings.Contains(stderr, "expected --out") {
		t.Errorf("--force alone: %d %s", status, stderr)
	}
}

func TestInitSaysWhatIsWrongWithADocument(t *testing.T) {
	mine := writeRules(t, "rules: []\n")
	for document, want := range map[string]string{mine: mine + ": expected an OpenAPI document", "no/such.yaml": "no/such"} {
		if status, out, stderr := runCommand(t, "init", "--openapi", document); status != exitFailure || out != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d %q %q", document, status, out, stderr)
		}
	}
}

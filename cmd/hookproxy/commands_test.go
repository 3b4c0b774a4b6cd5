package main

import (
	"os"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

func TestTheDemoShowsOneVerifiedRoundTrip(t *testing.T) {
	status, out, stderr := runCommand(t, "demo", "--once")
	if status != exitOK {
		t.Fatalf("status %d\n%s\n%s", status, out, stderr)
	}
	for _, want := range []string{"201 Created", "whsec_", "webhook-signature: v1,", "byte for byte"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing from:\n%s", want, out)
		}
	}
}

func TestCheckPrintsRoutesAndEvents(t *testing.T) {
	status, out, stderr := runCommand(t, "check", "../../examples/rules.yaml")
	if status != exitOK {
		t.Fatalf("status %d: %s", status, stderr)
	}
	for _, want := range []string{"POST", "/contacts", "contact.create", "contact.delete", "deal.won"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing from:\n%s", want, out)
		}
	}
}

func TestCheckPrintsEveryMistakeWithItsPlace(t *testing.T) {
	path := writeRules(t, `identity:
  - whoami: {get: /me, user: id}
resources:
  contact: contacts
rules:
  - on: FETCH /deals
    emmit: deal.won
`)
	status, out, stderr := runCommand(t, "check", path)
	if status != exitFailure || out != "" {
		t.Errorf("status %d, printed %q", status, out)
	}
	for _, want := range []string{path + ":4:", path + ":6:", path + ":7:", "emit"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%q is missing from:\n%s", want, stderr)
		}
	}
}

func TestSchemaPrintsTheSchemaThatTheExamplesName(t *testing.T) {
	kept, err := os.ReadFile("../../examples/rules.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if status, out, stderr := runCommand(t, "schema"); status != exitOK || out != string(kept) {
		t.Errorf("status %d: %s%s", status, out, stderr)
	}
}

func TestRulesThatKnowNobodyAreAMistake(t *testing.T) {
	path := writeRules(t, "resources: {contact: /contacts}\n")
	remedy := path + ": there is no identity, so nobody can subscribe"
	status, out, stderr := runCommand(t, "check", path)
	if status != exitFailure || out != "" || !strings.Contains(stderr, remedy) || !strings.Contains(stderr, "\n  - whoami: {get: /me, user: id}\n") {
		t.Errorf("check: status %d, %q, %q", status, out, stderr)
	}
	for _, role := range []string{roleAll, roleProxy} {
		status, _, stderr := runCommand(t, "serve", "--upstream", "http://127.0.0.1:1", "--rules", path, "--role", role)
		if status != exitUsage || !strings.Contains(stderr, remedy) {
			t.Errorf("serve --role %s: status %d, %q", role, status, stderr)
		}
	}
}

func TestCheckCountsMistakesInWords(t *testing.T) {
	for source, want := range map[string]string{
		"identity: []\nrules: [{on: FETCH, emit: a.b}]\n":                            ": 1 mistake\n",
		"identity: []\nrules: [{on: FETCH, emit: a.b}, {on: POST /a, emmit: a.b}]\n": " mistakes\n",
	} {
		if _, _, stderr := runCommand(t, "check", writeRules(t, source)); !strings.Contains(stderr, want) {
			t.Errorf("no %q in %s", want, stderr)
		}
	}
}

func TestCheckSaysThatAFileIsMissing(t *testing.T) {
	if status, _, stderr := runCommand(t, "check", "no/such.yaml"); status != exitFailure || !strings.Contains(stderr, "no/such.yaml") {
		t.Errorf("status %d: %s", status, stderr)
	}
}

func TestHealthTellsAReadyServerFromNone(t *testing.T) {
	if status, _, _ := runCommand(t, "health", "--admin", redistest.FreeAddr(t)); status != exitFailure {
		t.Errorf("nobody there, and the status is %d", status)
	}
	if status, _, stderr := runCommand(t, "health", "--admin", none); status != exitUsage ||
		!strings.Contains(stderr, `--admin (HOOKPROXY_ADMIN): "none" leaves nothing to ask`) {
		t.Errorf("without an admin listener: status %d, %s", status, stderr)
	}
	up := start(t, "--upstream", startSample(t), "--redis", "embedded", "--rules", writeRules(t, sampleRules), "--spool", "none")
	status, out, stderr := runCommand(t, "health", "--admin", strings.TrimPrefix(up.admin, "http://"))
	if status != exitOK || !strings.Contains(out, `"status":"ok"`) {
		t.Errorf("status %d: %s%s", status, out, stderr)
	}
}

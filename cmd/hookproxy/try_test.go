package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookproxy/hookproxy/internal/har"
	"github.com/hookproxy/hookproxy/internal/sample"
)

// tryRules use what makes deriving hard: conditions, templates, fetches, items.
const tryRules = `
identity:
  - whoami: {get: /me, user: id}
resources:
  contact: /contacts
  deal: {path: /deals, fetch: before}
rules:
  - {on: "PUT|PATCH /deals/{id}", emit: deal.won, when: {response.body.stage: won}}
  - {on: "POST /contacts/{id}/notes", emit: contact.note, fetch: {after: "/contacts/{path.id}"}, payload: {note: "{response.body}", contact: "{fetched}", by: "user {caller.user}"}}
`

// tryTraffic is what the two accounts send.
var tryTraffic = []struct {
	who                sample.Account
	method, path, body string
}{
	{sample.Accounts[0], "POST", "/contacts", `{"name":"Ada <&> ä\u2028", "size": 1.0, "big": 12345678901234567890}`},
	{sample.Accounts[1], "POST", "/contacts", `{"name":"Bob","token":"let-nobody-see"}`},
	{sample.Accounts[0], "POST", "/contacts", `nonsense`},
	{sample.Accounts[0], "GET", "/contacts/1", ``},
	{sample.Accounts[0], "PATCH", "/contacts/1", `{"name":"Eve"}`},
	{sample.Accounts[1], "PATCH", "/contacts/1", `{"name":"Mallory"}`},
	{sample.Accounts[0], "POST", "/deals", `{"stage":"open"}`},
	{sample.Accounts[0], "PATCH", "/deals/3", `{"stage":"won"}`},
	{sample.Accounts[0], "PUT", "/deals/3", `{"stage":"lost"}`},
	{sample.Accounts[0], "POST", "/contacts/1/notes", `{"text":"called"}`},
	{sample.Accounts[0], "DELETE", "/deals/3", ``},
	{sample.Accounts[0], "DELETE", "/deals/99", ``},
	{sample.Accounts[0], "POST", "/unheard-of", `{}`},
	{sample.Accounts[1], "DELETE", "/contacts/2", ``},
}

// said is what a receiver learns, and what try prints. Data is compared byte
// for byte.
type said struct{ User, Event, Data string }

// TestTryPrintsExactlyWhatWasDelivered records live traffic of two callers
// through the real program, whose events go to a receiver, and plays the
// recording.
func TestTryPrintsExactlyWhatWasDelivered(t *testing.T) {
	receiver := sample.NewReceiver(100)
	hooks := httptest.NewServer(receiver)
	t.Cleanup(hooks.Close)
	rules, session := writeRules(t, tryRules), filepath.Join(t.TempDir(), "session.har")
	live := start(t, "--redis", "embedded", "--spool", "none", "--upstream", startSample(t), "--rules", rules, "--record", session)
	alice, bob := sample.Accounts[0], sample.Accounts[1]
	users := map[string]string{}
	for _, who := range []sample.Account{alice, bob} {
		var made struct{ ID, Secret string }
		body := call(t, who, http.MethodPost, live.front+"/api/v1/subscription/", fmt.Sprintf(`{"event":"*","target_url":%q}`, hooks.URL))
		if err := json.Unmarshal(body, &made); err != nil {
			t.Fatal(err)
		}
		receiver.Expect(made.ID, made.Secret)
		users[made.ID] = strconv.Itoa(who.ID)
	}
	for _, one := range tryTraffic {
		call(t, one.who, one.method, live.front+one.path, one.body)
	}
	delivered := hooksByUser(t, receiver, users, live)
	if err := live.stop(t); err != nil {
		t.Errorf("%v\n%s", err, live.log)
	}
	if got := len(receiver.Hooks); got > 0 {
		t.Errorf("%d more hooks came", got)
	}
	status, out, stderr := runCommand(t, "try", "--rules", rules, "--har", session, "--json")
	if status != exitOK || stderr != "" {
		t.Fatalf("status %d: %s\n%s", status, stderr, out)
	}
	if diff := cmp.Diff(delivered, printed(t, out)); diff != "" {
		t.Errorf("- was delivered, + is printed:\n%s\n%s", diff, out)
	}
	recorded, err := os.ReadFile(session)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{alice.Token, bob.Token, "let-nobody-see", "whsec_"} {
		if bytes.Contains(recorded, []byte(secret)) {
			t.Errorf("%s is in the recording", secret)
		}
	}
}

// hooksByUser takes the deliveries of tryTraffic, in the order of each user's sequence.
func hooksByUser(t *testing.T, receiver *sample.Receiver, users map[string]string, live *instance) map[string][]said {
	t.Helper()
	const events = 10
	delivered := map[string][]said{}
	for range events {
		select {
		case hook := <-receiver.Hooks:
			user := users[hook.Header.Get("X-Hook-Subscription")]
			sequence, err := strconv.Atoi(hook.Header.Get("X-Hook-Sequence"))
			if err != nil || hook.Verified != nil {
				t.Fatal(err, hook.Verified)
			}
			list := append(delivered[user], make([]said, max(0, sequence-len(delivered[user])))...)
			list[sequence-1] = said{user, hook.Header.Get("X-Hook-Event"), string(hook.Data)}
			delivered[user] = list
		case <-time.After(patience):
			t.Fatalf("only %+v came\n%s", delivered, live.log)
		}
	}
	return delivered
}

// call sends one JSON request as somebody, and answers the body.
func call(t *testing.T, who sample.Account, method, url, body string) []byte {
	t.Helper()
	_, answer, err := trySendAs(who, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// printed reads what try --json says of events, by user.
func printed(t *testing.T, out string) map[string][]said {
	t.Helper()
	var exchanges []tried
	if err := json.Unmarshal([]byte(out), &exchanges); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	all := map[string][]said{}
	for _, x := range exchanges {
		for _, e := range x.Events {
			all[e.User] = append(all[e.User], said{e.User, e.Event, string(e.Data)})
		}
	}
	return all
}

func TestTryComparesWithTheGoldenFileThatItWrote(t *testing.T) {
	rules, golden := writeRules(t, tryRules), filepath.Join(t.TempDir(), "golden.json")
	one := []string{"try", "--rules", rules, "--user", "7", "--request", "POST /contacts", "--status", "201", "--expect", golden}
	if status, _, stderr := runCommand(t, append(one, "--body", `{"id": 7}`)...); status != exitFailure || !strings.Contains(stderr, "--update writes it") {
		t.Errorf("without the file: %d, %s", status, stderr)
	}
	if status, _, stderr := runCommand(t, append(one, "--body", `{"id": 7}`, "--update")...); status != exitOK {
		t.Fatalf("%d, %s", status, stderr)
	}
	if status, out, _ := runCommand(t, append(one, "--body", `{ "id":7 }`)...); status != exitOK || !strings.Contains(out, "as expected (exchanges: 1)") {
		t.Errorf("white space: %d, %s", status, out)
	}
	status, out, _ := runCommand(t, append(one, "--body", `{"id": 8}`)...)
	for _, want := range []string{"  #0 POST /contacts → 201\n", `- {"event":"contact.create","user":"7","resource":"7","data":{"id":7}}`, `+ {"event":"contact.create","user":"7","resource":"8","data":{"id":8}}`, "1 of 1 exchanges differ"} {
		if status != exitFailure || !strings.Contains(out, want) {
			t.Errorf("status %d, %q is missing from:\n%s", status, want, out)
		}
	}
	if err := os.WriteFile(golden, []byte(`{"token": oops`), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := runCommand(t, one...); status != exitFailure || !strings.Contains(stderr, "expected what try --json prints") {
		t.Errorf("%d, %s", status, stderr)
	}
}

func TestTrySaysWhyThereIsNoEvent(t *testing.T) {
	rules := writeRules(t, tryRules)
	body := filepath.Join(t.TempDir(), "body.json")
	if err := os.WriteFile(body, []byte(`{"stage":"open"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"no rule for POST /orders":                                   {"--request", "POST /orders"},
		"HEAD is never captured":                                     {"--request", "HEAD /contacts"},
		"answered by hookproxy itself":                               {"--request", "POST /api/v1/subscription/"},
		"the status is 422; the rule wants 200":                      {"--request", "POST /contacts", "--status", "422"},
		`where response.body.stage is "open"`:                        {"--request", "PATCH /deals/7", "--body", "@" + body},
		"a page came (text/html)":                                    {"--request", "POST /contacts", "--response-header", "Content-Type: text/html", "--body", "<p>"},
		"never captured: event_stream":                               {"--request", "POST /contacts", "--response-header", "Content-Type: text/event-stream"},
		"contact.create  user 7  resource 9  without data: not_json": {"--request", "POST /contacts", "--status", "201", "--response-header", "Location: /contacts/9", "--response-header", "Content-Type: text/plain", "--body", "made", "--user", "7"},
		"note: would fetch GET /deals/7 before it":                   {"--request", "DELETE /deals/7", "--status", "204", "--user", "7"},
		"parked: identity_unavailable":                               {"--request", "POST /contacts", "--status", "201", "--header", "Authorization: Bearer x", "--body", "{}"},
		"note: would ask GET /me who is calling":                     {"--request", "POST /contacts", "--status", "201", "--body", "{}"},
	} {
		if status, out, stderr := runCommand(t, append([]string{"try", "--rules", rules}, args...)...); status != exitOK || !strings.Contains(out, want) {
			t.Errorf("%v: status %d, %q is missing from:\n%s%s", args, status, want, out, stderr)
		}
	}
}

func TestTryRefusesWhatItCannotTry(t *testing.T) {
	rules := writeRules(t, tryRules)
	broken := filepath.Join(t.TempDir(), "broken.har")
	if err := os.WriteFile(broken, []byte(`{"log":{"entries":[{"request":{"method":"GET","url":7}}]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"either --har FILE or --request":                                         {},
		"expected --expect FILE beside it":                                       {"--request", "POST /", "--update"},
		`--request: expected a method and a path, such as 'POST /contacts'`:      {"--request", "/contacts"},
		"--status: expected one from 200, found 100":                             {"--request", "POST /", "--status", "100"},
		"expected a header such as":                                              {"--request", "POST /", "--header", "nonsense"},
		"broken.har: entry 0: request.url: expected a text, found a JSON number": {"--har", broken},
		"no such file": {"--har", broken + "x"},
	} {
		if status, _, stderr := runCommand(t, append([]string{"try", "--rules", rules}, args...)...); status == exitOK || !strings.Contains(stderr, want) {
			t.Errorf("%v: status %d, %q is missing from: %s", args, status, want, stderr)
		}
	}
}

func TestExplainNamesTheNearestRules(t *testing.T) {
	rules := writeRules(t, tryRules)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"POST /api/contacts", "--status", "201"}, []string{"No rule matches", "POST /contacts → contact.create", "matching: {mount: /api}"}},
		{[]string{"PATCH https://api.example.com/deals/7?x=1"}, []string{"PATCH /deals/7\n", "Matching:", "deal.update", "only when response.body.stage: won", "more are further away"}},
		{[]string{"PATCH /deals/7", "--all"}, []string{"contact.note"}},
		{[]string{"OPTIONS /contacts"}, []string{"never captured"}},
		{[]string{"POST /api/v1/subscription/7"}, []string{"hookproxy answers this itself"}},
	} {
		status, out, stderr := runCommand(t, append([]string{"explain", "--rules", rules}, c.args...)...)
		for _, want := range c.want {
			if status != exitOK || !strings.Contains(out, want) {
				t.Errorf("%v: status %d, %q is missing from:\n%s%s", c.args, status, want, out, stderr)
			}
		}
	}
	for _, bad := range []string{"contacts", "post /contacts", "POST"} {
		if status, _, stderr := runCommand(t, "explain", "--rules", rules, bad); status != exitUsage || !strings.Contains(stderr, "such as 'POST /contacts'") {
			t.Errorf("%q: status %d, %s", bad, status, stderr)
		}
	}
}

// A recording is whole whenever the process is killed.
func TestARecordingOutlivesAKill(t *testing.T) {
	session := filepath.Join(t.TempDir(), "session.har")
	args := []string{"--redis", "embedded", "--spool", "none", "--upstream", startSample(t), "--rules", writeRules(t, sampleRules), "--record", session}
	for _, name := range []string{"Ada", "Grace"} { // the second goes on with the file
		live := start(t, args...)
		send(t, http.MethodPost, live.front+"/contacts", `{"name":"`+name+`"}`)
		awaitRecorded(t, session, `{\"name\":\"`+name+`\"}`)
		live.kill()
	}
	source, err := os.ReadFile(session)
	if err != nil {
		t.Fatal(err)
	}
	log, err := har.Read(bytes.NewReader(source))
	if err != nil || log.CutOff {
		t.Fatal(err)
	}
	writes := 0
	for _, e := range log.Entries {
		if e.Request.Method == http.MethodPost {
			writes++
		}
	}
	if writes != 2 {
		t.Errorf("%d writes are recorded, want 2", writes)
	}
}

// awaitRecorded asks until a text is in the file; a process tells nobody what it writes.
func awaitRecorded(t *testing.T, path, text string) {
	t.Helper()
	await(t, func() (bool, string) {
		source, err := os.ReadFile(path)
		return err == nil && bytes.Contains(source, []byte(text)), fmt.Sprintf("%q is not in %s", text, source)
	})
}

package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/subscriptions"
)

// operate runs an operator's command against an instance.
func operate(t *testing.T, admin string, args ...string) (status int, out, errors string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = run(t.Context(), append(args, "--admin", admin), streams{&stdout, &stderr})
	return status, stdout.String(), stderr.String()
}

// ok runs a command that must succeed, and answers what it prints.
func ok(t *testing.T, admin string, args ...string) string {
	t.Helper()
	status, out, errors := operate(t, admin, args...)
	if status != exitOK {
		t.Fatalf("%v: status %d: %s", args, status, errors)
	}
	return out
}

// An outage from the operator's chair: see it, find out why, mend it, redeliver.
func TestAnOperatorMendsAnOutageFromTheCommandLine(t *testing.T) {
	i := start(t, "--upstream", startSample(t), "--rules", writeRules(t, sampleRules), "--redis", "embedded", "--spool", "none")
	receiver := newFailingReceiver(t, http.StatusFound)
	status, body := send(t, "POST", i.front+"/api/v1/subscription/", `{"event":"contact.create","target_url":"`+receiver.URL+`/hook?key=s3cret"}`)
	var sub struct{ ID string }
	if err := json.Unmarshal(body, &sub); status != http.StatusCreated || err != nil {
		t.Fatalf("subscribe: %d %s", status, body)
	}
	for _, name := range []string{"Ada", "Bob", "Cy"} {
		send(t, "POST", i.front+"/contacts", `{"name":"`+name+`"}`)
	}
	read(t, i.front+"/api/v1/subscription/"+sub.ID+"/deliveries", func(l []subscriptions.Attempt) bool { return len(l) == 3 })

	for _, c := range []struct{ command, want string }{
		{"subscriptions list", sub.ID}, {"subscriptions list --state active --host 127.0.0.1", receiver.URL}, {"subscriptions show " + sub.ID, "queue.dead"},
		{"queues list", "closed"}, {"queues show " + sub.ID, "last_error"}, {"deliveries list " + sub.ID + " --outcome dead", "the column is missing"},
		{"deliveries missed " + sub.ID, "given_up"}, {"dead list", "contact.create"}, {"parked list", "REASON"}, {"redeliveries list", "STATE"},
	} {
		if out := ok(t, i.admin, strings.Fields(c.command)...); !strings.Contains(out, c.want) || strings.Contains(out, "s3cret") {
			t.Errorf("%s prints no %q, or a secret:\n%s", c.command, c.want, out)
		}
	}
	var letters []struct {
		EventID string `json:"event_id"`
	}
	if err := json.Unmarshal([]byte(ok(t, i.admin, "dead", "list", "--json")), &letters); err != nil || len(letters) != 3 {
		t.Fatalf("as JSON there are %v, %v", letters, err)
	}
	if out := ok(t, i.admin, "dead", "show", sub.ID, letters[0].EventID); !strings.Contains(out, `"name":"Ada"`) {
		t.Errorf("the dead letter is shown as\n%s", out)
	}
	ok(t, i.admin, "dead", "delete", sub.ID, letters[0].EventID)
	ok(t, i.admin, "subscriptions", "pause", sub.ID)
	ok(t, i.admin, "subscriptions", "resume", sub.ID)
	receiver.works.Store(true)
	if out := ok(t, i.admin, "dead", "redeliver", "--all"); !strings.Contains(out, sub.ID) {
		t.Errorf("redelivering prints %s", out)
	}
	for range 2 {
		select {
		case <-receiver.bodies:
		case <-time.After(patience):
			t.Fatal("nothing was redelivered")
		}
	}
	if out := ok(t, i.admin, "subscriptions", "delete", sub.ID); out != "done\n" {
		t.Errorf("deleting prints %q", out)
	}
	if status, _, errors := operate(t, i.admin, "subscriptions", "show", sub.ID); status != exitFailure || errors != "hookproxy: There is no such thing\n" {
		t.Errorf("what is gone: %d, %s", status, errors)
	}
}

func TestAnOperatorAssignsParkedEventsFromTheCommandLine(t *testing.T) {
	// With no user in what the API says of the caller, events have no owner.
	rules := strings.Replace(sampleRules, "user: id", "user: nothing", 1)
	i := start(t, "--upstream", startSample(t), "--rules", writeRules(t, rules), "--redis", "embedded", "--spool", "none")
	send(t, "POST", i.front+"/contacts", `{"name":"Ada"}`)
	var parked []struct{ Name string }
	if err := json.Unmarshal([]byte(ok(t, i.admin, "parked", "list", "--json")), &parked); err != nil || len(parked) != 1 {
		t.Fatalf("parked are %v, %v", parked, err)
	}
	if out := ok(t, i.admin, "parked", "show", parked[0].Name); !strings.Contains(out, "contact.create") {
		t.Errorf("shown is\n%s", out)
	}
	ok(t, i.admin, "parked", "assign", parked[0].Name, "--user", "1")
	if status, _, errors := operate(t, i.admin, "parked", "delete", parked[0].Name); status != exitFailure || !strings.Contains(errors, "No such event is parked") {
		t.Errorf("deleting what is assigned: %d, %s", status, errors)
	}
}

func TestOperatorsCommandsSayWhatIsWrong(t *testing.T) {
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(elsewhere.Close)
	asks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"title":"The admin token is missing or wrong"}`))
	}))
	t.Cleanup(asks.Close)
	for _, c := range []struct {
		admin, command string
		status         int
		want           string
	}{
		{"127.0.0.1:1", "dead list", exitAway, "no admin listener answers at http://127.0.0.1:1"},
		{elsewhere.URL, "dead list", exitFailure, "it serves no admin API"},
		{asks.URL, "dead list", exitFailure, "HOOKPROXY_ADMIN_TOKEN"},
		{"none", "dead list", exitUsage, "--admin"}, {"http://user:hunter2@h", "dead list", exitUsage, "--admin"}, {"ftp://h", "dead list", exitUsage, "--admin"},
		{asks.URL, "dead show", exitUsage, "expected"}, {asks.URL, "queues purge x", exitUsage, "--kind"}, {asks.URL, "queues purge x --kind all", exitUsage, "--kind"},
		{asks.URL, "parked assign x", exitUsage, "--user"}, {asks.URL, "dead redeliver", exitUsage, "--all"}, {asks.URL, "dead redeliver --all --at tomorrow", exitUsage, "--at"},
	} {
		status, out, errors := operate(t, c.admin, strings.Fields(c.command)...)
		if status != c.status || !strings.Contains(errors, c.want) || out != "" || strings.Contains(errors, "hunter2") {
			t.Errorf("%s at %s: %d, %q, %q; want %d with %q", c.command, c.admin, status, out, errors, c.status, c.want)
		}
	}
}

// What strangers wrote must not steer the terminal of who reads it.
func TestOperatorsCommandsPrintNothingThatSteersATerminal(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		item := `{"id":"0-x","user":"a\u001b[2J\u009b31m\u202eb","description":"` + "\u009b" + `"}`
		if strings.HasSuffix(r.URL.Path, "/subscriptions") {
			item = `{"items":[` + item + `]}`
		}
		_, _ = w.Write([]byte(item))
	}))
	t.Cleanup(api.Close)
	for _, command := range []string{"subscriptions list", "subscriptions show x", "subscriptions list --json", "subscriptions show x --json"} {
		out := ok(t, api.URL, strings.Fields(command)...)
		if strings.ContainsAny(out, "\x1b\u009b\u202e") || !strings.Contains(out, "[2J") {
			t.Errorf("%s prints %q", command, out)
		}
		if strings.HasSuffix(command, "--json") && !json.Valid([]byte(out)) {
			t.Errorf("%s prints no JSON: %s", command, out)
		}
	}
}

func TestALongListIsReadPageByPage(t *testing.T) {
	var asked []string
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Get("limit")+"/"+r.URL.Query().Get("cursor"))
		items := strings.TrimSuffix(strings.Repeat(`{"id":"x"},`, 100), ",")
		_, _ = w.Write([]byte(`{"items":[` + items + `],"next":"c"}`))
	}))
	t.Cleanup(api.Close)
	status, out, errors := operate(t, api.URL, "subscriptions", "list", "--limit", "200")
	if status != exitOK || strings.Count(out, "\n") != 201 || strings.Join(asked, " ") != "100/ 100/c" || !strings.Contains(errors, "there are more") {
		t.Errorf("status %d, %d lines, asked %v, %s", status, strings.Count(out, "\n"), asked, errors)
	}
}

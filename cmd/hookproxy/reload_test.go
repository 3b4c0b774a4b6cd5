package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hookproxy/hookproxy/internal/sample"
)

// edition is a rules file that can be told from others by its paths and events.
func edition(name string) string {
	return fmt.Sprintf("identity: [{whoami: {get: /me, user: id}}]\nsubscriptions: {path: /%[1]s/hooks, events_path: /%[1]s/events}\n"+
		"resources: {%[1]s: /contacts}\n", name)
}

// inForce reports whether an edition, and nothing of another, answers.
func inForce(front, name string) (bool, error) {
	status, body, err := trySend("GET", front+"/"+name+"/events", "")
	if err != nil || status != http.StatusOK {
		return false, err
	}
	if !strings.Contains(string(body), name+".create") {
		return false, fmt.Errorf("the events of %s are %s", name, body)
	}
	return true, nil
}

// replaceFile puts a new file in a file's place, as editors do.
func replaceFile(t *testing.T, path, content string) {
	t.Helper()
	next := path + ".next"
	if err := os.WriteFile(next, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

// awaitMetrics waits until /metrics has each of the lines.
func awaitMetrics(t *testing.T, i *instance, lines ...string) {
	t.Helper()
	await(t, func() (bool, string) {
		_, body := get(t, i.admin+"/metrics")
		missing := slices.ContainsFunc(lines, func(line string) bool { return !strings.Contains(body, line+"\n") })
		return !missing, fmt.Sprintf("no %q in\n%s\n%s", lines, body, i.log)
	})
}

func reloaded(ok, failed int) []string {
	return []string{
		fmt.Sprintf(`hookproxy_rules_reloads_total{result="ok"} %d`, ok),
		fmt.Sprintf(`hookproxy_rules_reloads_total{result="failed"} %d`, failed),
	}
}

func startWith(t *testing.T, rules string, args ...string) *instance {
	t.Helper()
	return start(t, append([]string{"--upstream", startSample(t), "--redis", "embedded", "--rules", rules, "--spool", "none"}, args...)...)
}

func TestRulesAreReplacedUnderTrafficAndEachRequestSeesOneEdition(t *testing.T) {
	t.Parallel()
	path := writeRules(t, edition("person"))
	up := startWith(t, path)
	ctx, stop := context.WithCancel(t.Context())
	var traffic sync.WaitGroup
	var seen [2]atomic.Int64
	for range 4 {
		traffic.Go(func() {
			for ctx.Err() == nil {
				if status, body, err := trySend("POST", up.front+"/contacts", `{"name":"Ada"}`); err != nil || status != http.StatusCreated {
					t.Errorf("create: %d %s %v", status, body, err)
				}
				for i, name := range []string{"person", "company"} {
					ours, err := inForce(up.front, name)
					if err != nil {
						t.Error(err)
					}
					if ours {
						seen[i].Add(1)
					}
				}
			}
		})
	}
	for n := range 20 {
		replaceFile(t, path, edition([]string{"company", "person"}[n%2]))
		awaitMetrics(t, up, reloaded(n+1, 0)...)
	}
	stop()
	traffic.Wait()
	if seen[0].Load() == 0 || seen[1].Load() == 0 {
		t.Errorf("the editions answered %d and %d times", seen[0].Load(), seen[1].Load())
	}
}

func TestAConfigMapsSwapOfLinksIsNoticed(t *testing.T) {
	t.Parallel()
	mount := t.TempDir()
	publish := func(version, content string) {
		t.Helper()
		folder := filepath.Join(mount, "..version_"+version)
		next := filepath.Join(mount, "..data_tmp")
		for _, err := range []error{
			os.Mkdir(folder, 0o700), os.WriteFile(filepath.Join(folder, "rules.yaml"), []byte(content), 0o600),
			os.Symlink("..version_"+version, next), os.Rename(next, filepath.Join(mount, "..data")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	publish("1", edition("person"))
	path := filepath.Join(mount, "rules.yaml")
	if err := os.Symlink("..data/rules.yaml", path); err != nil {
		t.Fatal(err)
	}
	up := startWith(t, path)
	for n, name := range []string{"company", "person"} {
		publish(fmt.Sprint(n+2), edition(name))
		if err := os.RemoveAll(filepath.Join(mount, fmt.Sprint("..version_", n+1))); err != nil {
			t.Fatal(err)
		}
		awaitMetrics(t, up, reloaded(n+1, 0)...)
		if ours, err := inForce(up.front, name); !ours || err != nil {
			t.Errorf("%s is not in force: %v", name, err)
		}
	}
}

func TestABrokenRulesFileLeavesTheOldRulesAndIsToldEverywhere(t *testing.T) {
	t.Parallel()
	path := writeRules(t, edition("person"))
	up := startWith(t, path)
	replaceFile(t, path, "resources: {contact: contacts}\nrules:\n  - {on: POST /x, emmit: a.b}\n")
	awaitMetrics(t, up, append(reloaded(0, 1), "hookproxy_rules_stale 1")...)
	if ours, err := inForce(up.front, "person"); !ours || err != nil {
		t.Errorf("the old rules are gone: %v", err)
	}
	mistakes := []string{
		path + `:1:22: resources: contact: expected a path template that begins with / and has at most 1024 bytes, found "contacts"`,
		path + ":3:5: rule: expected the key emit",
		path + `:3:19: rule: unknown key "emmit"; did you mean "emit"? (expected one of on, emit, status, when, user, payload, merge, pick, omit, resource, each, max_items, keep, guarantee, mode, fetch)`,
	}
	awaitReadiness(t, up, http.StatusOK, readiness{Status: "ok", Redis: redisOK, Spool: spoolNone, Rules: rulesStale, Mistakes: mistakes})
	for _, at := range []string{":1:22", ":3:5", ":3:19"} {
		awaitLog(t, up, `"level":"ERROR","msg":"mistake in the rules file","at":"`+path+at+`"`)
	}
	awaitLog(t, up, `"msg":"rules not loaded: those that run stay in force"`)

	replaceFile(t, path, edition("person")) // as it was
	awaitMetrics(t, up, append(reloaded(0, 1), "hookproxy_rules_stale 0")...)
	replaceFile(t, path, "resources: {contact: /contacts}\n") // without identity
	awaitMetrics(t, up, append(reloaded(0, 2), "hookproxy_rules_stale 1")...)
	replaceFile(t, path, edition("company"))
	awaitMetrics(t, up, append(reloaded(1, 2), "hookproxy_rules_stale 0")...)
	awaitReadiness(t, up, http.StatusOK, readiness{Status: "ok", Redis: redisOK, Spool: spoolNone})
	if ours, err := inForce(up.front, "company"); !ours || err != nil {
		t.Errorf("the repaired rules are not in force: %v", err)
	}
}

func TestARulesFileMayBeGoneForAWhile(t *testing.T) {
	t.Parallel()
	path := writeRules(t, edition("person"))
	up := startWith(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	replaceFile(t, path, edition("company")) // gone for a moment: nobody is told
	awaitMetrics(t, up, append(reloaded(1, 0), "hookproxy_rules_stale 0")...)

	folder := filepath.Dir(path)
	if err := os.Rename(folder, folder+".away"); err != nil { // with its folder, for longer
		t.Fatal(err)
	}
	awaitMetrics(t, up, append(reloaded(1, 1), "hookproxy_rules_stale 1")...)
	if err := os.Rename(folder+".away", folder); err != nil {
		t.Fatal(err)
	}
	awaitMetrics(t, up, append(reloaded(1, 1), "hookproxy_rules_stale 0")...)
	replaceFile(t, path, edition("person"))
	awaitMetrics(t, up, reloaded(2, 1)...)
}

// byKey asks for the subscriptions of whoever has the API key abc.
func byKey(t *testing.T, up *instance, method, body string) string {
	t.Helper()
	r, err := http.NewRequest(method, up.front+"/api/v1/subscription/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Key", "abc")
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode > 299 {
		t.Fatalf("%d %s %v", res.StatusCode, got, err)
	}
	return string(got)
}

func TestSIGHUPLoadsTheRulesAndTheFilesTheyName(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/me" {
			asked.Add(1)
		}
		sample.NewAPI().Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(api.Close)
	secret := filepath.Join(t.TempDir(), "secret")
	setSecret := func(letter string) {
		if err := os.WriteFile(secret, []byte(strings.Repeat(letter, 32)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	setSecret("a")
	path := writeRules(t, "identity:\n  - key: {header: X-Key, secret: {file: "+secret+"}, unverified: true}\n"+
		"  - whoami: {get: /me, user: id}\nresources: {contact: /contacts}\n")
	up := start(t, "--upstream", api.URL, "--redis", "embedded", "--rules", path, "--spool", "none")
	byKey(t, up, "POST", `{"event":"contact.create","target_url":"http://127.0.0.1:9999/hooks"}`)
	if got := byKey(t, up, "GET", ""); !strings.Contains(got, "contact.create") {
		t.Fatalf("the key's subscriptions are %s", got)
	}
	send(t, "GET", up.front+"/api/v1/subscription/", "") // by whoami
	setSecret("b")
	for n := range 3 {
		if err := up.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		awaitMetrics(t, up, reloaded(n+1, 0)...)
	}
	send(t, "GET", up.front+"/api/v1/subscription/", "")
	if asked.Load() != 1 {
		t.Errorf("whoami was asked %d times; its entry has not changed", asked.Load())
	}
	if got := byKey(t, up, "GET", ""); strings.Contains(got, "contact.create") {
		t.Errorf("the secret is another, and the key is the same user: %s", got)
	}
	if err := os.Remove(secret); err != nil {
		t.Fatal(err)
	}
	if err := up.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	awaitMetrics(t, up, append(reloaded(3, 1), "hookproxy_rules_stale 1")...)
	awaitLog(t, up, "no such file")
}

func TestTheTrailToAFileHasEveryLinkOnTheWay(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(root, name) }
	for _, err := range []error{
		os.MkdirAll(at("releases/5"), 0o700), os.WriteFile(at("releases/5/real.yaml"), nil, 0o600),
		os.Symlink("real.yaml", at("releases/5/rules.yaml")), os.Symlink("releases/5", at("current")),
		os.Symlink(root+"/current/../5/rules.yaml", at("rules.yaml")),
		os.Symlink("loop", at("loop")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string][]string{
		"releases/5/real.yaml": {"releases/5/real.yaml"},
		"current/rules.yaml":   {"current", "releases/5/rules.yaml", "releases/5/real.yaml"},
		"rules.yaml":           {"rules.yaml", "current", "releases/5/rules.yaml", "releases/5/real.yaml"},
		"missing/rules.yaml":   {"missing"},
		"current/missing":      {"current", "releases/5/missing"},
	} {
		for i := range want {
			want[i] = at(want[i])
		}
		if got, err := trail(at(name)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %q; want %q", name, err, got, want)
		}
	}
	if got, err := trail(at("loop")); err != nil || len(got) != maxLinks+1 {
		t.Errorf("a loop has %d names, %v", len(got), err)
	}
}

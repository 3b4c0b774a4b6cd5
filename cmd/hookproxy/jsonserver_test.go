package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/hookproxy/hookproxy/internal/sample"
)

// startJSONServer serves an API that is not ours: json-server, from npm.
func startJSONServer(t *testing.T) string {
	t.Helper()
	script := wantNode(t, "json-server/lib/cli/bin.js")
	dir := t.TempDir()
	data := filepath.Join(dir, "db.json")
	if err := os.WriteFile(data, []byte(`{"contacts": []}`), 0o600); err != nil {
		t.Fatal(err)
	}
	address := redistest.FreeAddr(t)
	_, port, _ := net.SplitHostPort(address)
	command := exec.Command("node", script, "--host", "127.0.0.1", "--port", port, "--quiet", data)
	command.Dir = dir
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGKILL)
		_ = command.Wait()
	})
	awaitTCP(t, address)
	return "http://" + address
}

// awaitTCP asks until somebody listens; a process of another's tells nobody.
func awaitTCP(t *testing.T, address string) {
	t.Helper()
	await(t, func() (bool, string) {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			return false, fmt.Sprintf("nobody listens on %s: %v", address, err)
		}
		connection.Close()
		return true, ""
	})
}

func TestAnAPIThatIsNotOursGetsHooks(t *testing.T) {
	t.Parallel()
	redistest.Run(t, func(t *testing.T, server *redistest.Server) {
		receiver := sample.NewReceiver(100)
		target := httptest.NewServer(receiver)
		t.Cleanup(target.Close)
		proxy := start(t, "--upstream", startJSONServer(t), "--redis", "redis://"+server.Addr, "--spool", "none",
			"--rules", writeRules(t, "identity: [{anonymous: {user: everyone}}]\nresources: {contact: /contacts}\n"))
		for _, event := range []string{"contact.create", "contact.update", "contact.delete"} {
			subscribe(t, proxy.front, event, target.URL, receiver)
		}
		for _, step := range []struct {
			method, path, body string
			status             int
			event              string
		}{
			{"POST", "/contacts", `{"name":"Ada <Lovelace> & co","big":12345678901234567890}`, 201, "contact.create"},
			{"PATCH", "/contacts/1", `{"name":"Ada"}`, 200, "contact.update"},
			{"PUT", "/contacts/1", `{"name":"Countess"}`, 200, "contact.update"},
			{"DELETE", "/contacts/1", ``, 200, "contact.delete"},
		} {
			status, answered := send(t, step.method, proxy.front+step.path, step.body)
			if status != step.status {
				t.Fatalf("%s %s: %d %s", step.method, step.path, status, answered)
			}
			hook := awaitHook(t, receiver, proxy)
			if hook.Verified != nil {
				t.Errorf("%s: the signature: %v", step.event, hook.Verified)
			}
			if got := hook.Header.Get("X-Hook-Event"); got != step.event {
				t.Errorf("%s %s was delivered as %s; want %s", step.method, step.path, got, step.event)
			}
			if step.method != http.MethodDelete && !bytes.Equal(compact(t, hook.Data), compact(t, answered)) {
				t.Errorf("%s: the data is %s; the API answered %s", step.event, hook.Data, answered)
			}
		}
		// A read that matches no rule delivers nothing; the next write's hook is the next one.
		send(t, "GET", proxy.front+"/contacts", "")
		send(t, "POST", proxy.front+"/contacts", `{"name":"the next"}`)
		if hook := awaitHook(t, receiver, proxy); !bytes.Contains(hook.Data, []byte("the next")) {
			t.Errorf("a delivery too many: %s", hook.Body)
		}
	})
}

func awaitHook(t *testing.T, receiver *sample.Receiver, proxy *instance) sample.Hook {
	t.Helper()
	select {
	case hook := <-receiver.Hooks:
		return hook
	case <-time.After(patience):
		t.Fatalf("no delivery arrived\n%s", proxy.log)
		return sample.Hook{}
	}
}

// compact strips the white space between tokens and changes nothing else.
func compact(t *testing.T, source []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, source); err != nil {
		t.Fatalf("%v: %s", err, source)
	}
	return out.Bytes()
}

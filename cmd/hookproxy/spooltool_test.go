package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
)

func TestASpoolIsListedExportedAndReplayedByHand(t *testing.T) {
	t.Parallel()
	redistest.Run(t, func(t *testing.T, server *redistest.Server) {
		path := filepath.Join(t.TempDir(), "spool")
		url := "redis://" + server.Addr
		args := []string{"--upstream", startSample(t), "--redis", url, "--rules", writeRules(t, sampleRules), "--spool", path, "--lanes", "3"}
		hooks := newTally(t, 2)
		hooks.release()
		up := start(t, args...)
		subscribe(t, up.front, "contact.create", hooks.server.URL, nil)
		server.Stop(t)
		var answers []string
		for range 2 {
			status, body := send(t, "POST", up.front+"/contacts", `{"name":"<Ada>"}`)
			if status != http.StatusCreated {
				t.Fatalf("create: %d %s", status, body)
			}
			answers = append(answers, string(body))
		}
		if status, _, stderr := runCommand(t, "spool", "ls", "--spool", path); status != exitFailure || !strings.Contains(stderr, "another process holds the spool") {
			t.Errorf("while it is held: status %d, %s", status, stderr)
		}
		up.kill()

		status, out, stderr := runCommand(t, "spool", "ls", "--spool", path)
		if status != exitOK || strings.Count(out, "contact.create") != 2 || !strings.Contains(out, "\n2 waiting, 0 refused, 0 unreadable, ") {
			t.Errorf("ls: status %d\n%s%s", status, out, stderr)
		}
		status, out, stderr = runCommand(t, "spool", "export", "--spool", path)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		var line exported
		if err := json.Unmarshal([]byte(lines[0]), &line); status != exitOK || len(lines) != 2 || err != nil || line.Event != "contact.create" || line.User == "" {
			t.Errorf("export: status %d, %v\n%s%s", status, err, out, stderr)
		}
		if string(line.Data) != answers[0] {
			t.Errorf("the payload is %s; the API answered %s", line.Data, answers[0])
		}
		status, _, stderr = runCommand(t, "spool", "replay", "--spool", path, "--redis", url)
		if status != exitFailure || !strings.Contains(stderr, "refused") {
			t.Errorf("replay without Redis: status %d, %s", status, stderr)
		}
		server.Start(t)
		status, out, stderr = runCommand(t, "spool", "replay", "--spool", path, "--redis", url)
		if status != exitOK || out != "2 replayed, 0 waiting, 0 refused\n" {
			t.Errorf("replay: status %d, %s%s", status, out, stderr)
		}
		workers := start(t, "--role", "deliver", "--redis", url, "--lanes", "3")
		hooks.await(t, workers)
	})
}

func TestASpoolToolNeedsASpoolOfItsOwnLayout(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	for _, command := range []string{"ls", "export", "replay"} {
		if status, _, stderr := runCommand(t, "spool", command, "--spool", missing); status != exitFailure || !strings.Contains(stderr, missing) {
			t.Errorf("%s of no file: status %d, %s", command, status, stderr)
		}
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("a file was made")
	}
	server := redistest.Mini(t)
	if err := server.Client.HSet(t.Context(), "hookproxy:layout", "version", layout.Version, "lanes", 5).Err(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "spool")
	p := launch(t, "--upstream", startSample(t), "--redis", "redis://127.0.0.1:1", "--rules", writeRules(t, sampleRules), "--spool", path)
	p.kill()
	status, _, stderr := runCommand(t, "spool", "replay", "--spool", path, "--redis", "redis://"+server.Addr)
	if status != exitFailure || !strings.Contains(stderr, "lanes of hookproxy:layout is 5 there, 1 here") {
		t.Errorf("into another layout: status %d, %s", status, stderr)
	}
}

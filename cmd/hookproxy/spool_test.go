package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/internal/redistest"
)

func TestASpoolThatCannotBeReadIsPutAside(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "spool")
	damaged := strings.Repeat("no spool ", 4096)
	if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	server := redistest.Mini(t)
	up := start(t, "--upstream", startSample(t), "--redis", "redis://"+server.Addr, "--rules", writeRules(t, sampleRules), "--spool", path)
	server.Stop(t)
	if status, body := send(t, "POST", up.front+"/contacts", `{}`); status != 201 {
		t.Errorf("create: %d %s", status, body)
	}
	awaitReadiness(t, up, http.StatusOK, readiness{Status: "degraded", Redis: redisAway, Spool: spoolOK, Spooled: 1})
	aside, err := filepath.Glob(path + ".corrupt-*")
	if err != nil || len(aside) != 1 {
		t.Fatalf("put aside is %v, %v", aside, err)
	}
	if kept, err := os.ReadFile(aside[0]); err != nil || string(kept) != damaged {
		t.Errorf("what was put aside has changed: %d bytes, %v", len(kept), err)
	}
	if log := up.log.String(); !strings.Contains(log, `"level":"ERROR"`) || !strings.Contains(log, aside[0]) {
		t.Errorf("the log says\n%s", log)
	}
}

// spoolProgram opens a whole program whose spool's disk answers err.
func spoolProgram(t *testing.T, err error) (*program, error) {
	t.Helper()
	c, configErr := readConfig(settings{
		Listen: "127.0.0.1:0", Admin: none, Upstream: "http://127.0.0.1:1", Rules: writeRules(t, sampleRules),
		Role: roleProxy, Redis: "redis://" + redistest.Mini(t).Addr, Namespace: "hookproxy", Lanes: 1,
		Spool: filepath.Join(t.TempDir(), "spool"), MaxConnections: 10, UpstreamTransport: transportDirect, Workers: 1, DrainTimeout: demoDrain, LogFormat: "text", LogLevel: "info", SpoolBytes: "1GiB",
	})
	if configErr != nil {
		t.Fatal(configErr)
	}
	p := &program{config: c, log: slog.New(slog.DiscardHandler), openSpoolFile: func(path string, _ events.SpoolOptions) (*events.Spool, error) {
		return nil, &os.PathError{Op: "write", Path: path, Err: err}
	}}
	return p, p.open(t.Context())
}

func TestADiskThatFailsDoesNotTakeTheAPIAway(t *testing.T) {
	for _, failure := range diskFailures {
		p, err := spoolProgram(t, failure)
		if err != nil {
			t.Errorf("with %v the start is refused: %v", failure, err)
			continue
		}
		answer := httptest.NewRecorder()
		admin := newAdminHandler(p.health, p.registry, nil, nil)
		admin.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), "GET", "/readyz", nil))
		if body := answer.Body.String(); !strings.Contains(body, `"spool":"failed"`) {
			t.Errorf("with %v readiness is %s", failure, body)
		}
		answer = httptest.NewRecorder()
		admin.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
		if !strings.Contains(answer.Body.String(), "hookproxy_spool_up 0") {
			t.Errorf("with %v hookproxy_spool_up 0 is missing", failure)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.run(ended); err != nil {
			t.Errorf("with %v: %v", failure, err)
		}
	}
}

func TestASpoolSettingThatIsWrongIsStillRefused(t *testing.T) {
	for _, wrong := range []error{syscall.EACCES, syscall.ENOENT, events.ErrSpoolLocked, events.ErrSpoolVersion, events.ErrSpoolLanes} {
		if _, err := spoolProgram(t, wrong); err == nil || !strings.Contains(err.Error(), "--spool: ") {
			t.Errorf("with %v the start answers %v", wrong, err)
		}
	}
}

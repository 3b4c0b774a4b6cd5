package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

// The disk under the spool becomes full while Redis is away: the API goes on,
// and readiness, log and counter say that events are lost.
func TestAFullDiskInUseNeverBreaksTheAPI(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("NOT TESTED: a real full disk, because no tmpfs can be mounted: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	server := redistest.Mini(t)
	up := start(t, "--upstream", startSample(t), "--redis", "redis://"+server.Addr, "--rules", writeRules(t, sampleRules),
		"--spool", filepath.Join(dir, "spool"))
	server.Stop(t)
	filler := strings.Repeat("x", 4096)
	state := func() string {
		_, body := send(t, "GET", up.admin+"/readyz", "")
		return string(body)
	}
	for n := 0; !strings.Contains(state(), `"spool":"failed"`); n++ {
		if n == 200 {
			t.Fatalf("the disk of 256 KiB is not full after %d events of 4 KiB: %s", n, state())
		}
		if status, body := send(t, "POST", up.front+"/contacts", fmt.Sprintf(`{"name":%q}`, filler)); status != http.StatusCreated {
			t.Fatalf("create %d: %d %s", n, status, body)
		}
	}
	_, metrics := send(t, "GET", up.admin+"/metrics", "")
	if text := string(metrics); !strings.Contains(text, "hookproxy_spool_up 0") || strings.Contains(text, "hookproxy_events_lost_total 0") {
		t.Error("the metrics do not say that the spool is down and events are lost")
	}
	awaitLog(t, up, "no space left on device")
	server.Start(t)
	awaitLog(t, up, "the spool takes events again") // Redis has taken what was there
	awaitReadiness(t, up, http.StatusOK, readiness{Status: "ok", Redis: redisOK, Spool: spoolOK})
	if err := up.stop(t); err != nil {
		t.Errorf("stop: %v", err)
	}
}

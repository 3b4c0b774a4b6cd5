package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
)

// startBound is how long a start may take whatever Redis does. It is generous
// for a slow machine; a start that waits for Redis takes longer by far.
const startBound = 5 * time.Second

func TestTheAPIIsServedThoughRedisNeverAnswers(t *testing.T) {
	t.Parallel()
	for name, parameters := range map[string]string{
		"one server": "", "a cluster": "?cluster=true", "Sentinels": "?master_name=main",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := newDoor(t).addr
			begun := time.Now()
			up := launch(t, "--upstream", startSample(t), "--redis", "redis://"+addr+parameters,
				"--rules", writeRules(t, sampleRules), "--spool", filepath.Join(t.TempDir(), "spool"))
			if took := time.Since(begun); took > startBound {
				t.Errorf("the start took %s", took)
			}
			if status, body := send(t, "POST", up.front+"/contacts", `{}`); status != 201 {
				t.Errorf("create: %d %s", status, body)
			}
			// A kubelet waits for a second.
			client := &http.Client{Timeout: time.Second}
			defer client.CloseIdleConnections()
			for _, path := range []string{"/readyz", "/metrics"} {
				response, err := client.Get(up.admin + path)
				if err != nil {
					t.Errorf("%s: %v", path, err)
					continue
				}
				_ = response.Body.Close()
				if response.StatusCode != http.StatusOK {
					t.Errorf("%s: %s", path, response.Status)
				}
			}
		})
	}
}

func TestAnotherLayoutIsFoundOutWhenRedisAnswersAtLast(t *testing.T) {
	t.Parallel()
	server := redistest.Mini(t)
	server.Client.HSet(t.Context(), "hookproxy:layout", "version", layout.Version, "lanes", "4")
	door := newDoor(t)
	up := launch(t, "--upstream", startSample(t), "--redis", "redis://"+door.addr,
		"--rules", writeRules(t, sampleRules), "--spool", filepath.Join(t.TempDir(), "spool"))
	if status, body := send(t, "POST", up.front+"/contacts", `{}`); status != 201 {
		t.Errorf("create: %d %s", status, body)
	}
	door.open(server.Addr)
	select {
	case <-up.exited:
	case <-time.After(patience):
		t.Fatalf("the program goes on with a store that has another layout\n%s", up.log)
	}
	if up.err == nil || !strings.Contains(up.log.String(), "lanes of hookproxy:layout is 4 there, 1 here; start with the --lanes") {
		t.Errorf("ended with %v\n%s", up.err, up.log)
	}
	if keys := server.Client.Keys(t.Context(), "*").Val(); len(keys) != 1 {
		t.Errorf("the store has %v; want its layout alone, as it was", keys)
	}
}

func TestEventsWrittenBeforeTheLayoutIsKnownAreDeliveredAfterwards(t *testing.T) {
	t.Parallel()
	server := redistest.Mini(t)
	hooks := newTally(t, 1)
	hooks.release()
	args := []string{"--upstream", startSample(t), "--rules", writeRules(t, sampleRules), "--spool", filepath.Join(t.TempDir(), "spool")}
	first := start(t, append(args, "--redis", "redis://"+server.Addr)...)
	subscribe(t, first.front, "contact.create", hooks.server.URL, nil)
	if err := first.stop(t); err != nil {
		t.Fatal(err)
	}

	door := newDoor(t)
	second := launch(t, append(args, "--redis", "redis://"+door.addr)...)
	if status, body := send(t, "POST", second.front+"/contacts", `{}`); status != 201 {
		t.Errorf("create: %d %s", status, body)
	}
	door.open(server.Addr)
	hooks.await(t, second)
	awaitReadiness(t, second, http.StatusOK, readiness{Status: "ok", Redis: redisOK, Spool: spoolOK})
}

func TestARedisThatFallsSilentHoldsUpNeitherProbesNorTheEnd(t *testing.T) {
	t.Parallel()
	server := redistest.Mini(t)
	door := newDoor(t)
	door.open(server.Addr)
	const drain = 20 * time.Second
	up := start(t, "--upstream", startSample(t), "--redis", "redis://"+door.addr, "--drain-timeout", drain.String(),
		"--rules", writeRules(t, sampleRules), "--spool", filepath.Join(t.TempDir(), "spool"))
	awaitReadiness(t, up, http.StatusOK, readiness{Status: "ok", Redis: redisOK, Spool: spoolOK})
	door.fallSilent()
	client := &http.Client{Timeout: 3 * time.Second} // what the examples give a probe
	defer client.CloseIdleConnections()
	for _, path := range []string{"/readyz", "/metrics", "/metrics"} {
		response, err := client.Get(up.admin + path)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		_ = response.Body.Close()
	}
	awaitReadiness(t, up, http.StatusOK, readiness{Status: "degraded", Redis: redisAway, Spool: spoolOK})
	if status, body := send(t, "POST", up.front+"/contacts", `{}`); status != 201 {
		t.Errorf("create: %d %s", status, body)
	}
	begun := time.Now()
	if err := up.stop(t); err != nil {
		t.Errorf("stop: %v\n%s", err, up.log)
	}
	if took := time.Since(begun); took > drain+lateGrace {
		t.Errorf("stopping took %s", took)
	}
}

// awaitReadiness waits until /readyz answers a status and a body, whose rules are
// ok unless want says otherwise.
func awaitReadiness(t *testing.T, i *instance, status int, want readiness) {
	t.Helper()
	want.Rules = cmp.Or(want.Rules, rulesOK)
	await(t, func() (bool, string) {
		got, body := get(t, i.admin+"/readyz")
		var state readiness
		if err := json.Unmarshal([]byte(body), &state); err != nil {
			t.Fatal(err)
		}
		return got == status && reflect.DeepEqual(state, want), fmt.Sprintf("/readyz answers %d %s; want %d %+v\n%s", got, body, status, want, i.log)
	})
}

func TestRefusedCredentialsAreToldAsWhatTheyAre(t *testing.T) {
	t.Parallel()
	redistest.Run(t, func(t *testing.T, server *redistest.Server) {
		t.Parallel()
		if err := server.Client.ACLSetUser(t.Context(), "hooks", "on", ">right", "~*", "+@all").Err(); err != nil {
			t.Skip("no ACLs here")
		}
		up := launch(t, "--upstream", startSample(t), "--redis", "redis://hooks:wrong@"+server.Addr,
			"--rules", writeRules(t, sampleRules), "--spool", filepath.Join(t.TempDir(), "spool"))
		awaitReadiness(t, up, http.StatusOK, readiness{Status: "degraded", Redis: redisRefuses, Spool: spoolOK})
		if log := up.log.String(); !strings.Contains(log, `"level":"ERROR","msg":"Redis refuses the credentials"`) || strings.Contains(log, "Redis is away") {
			t.Errorf("the log says\n%s", log)
		}
	})
}

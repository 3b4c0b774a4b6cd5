package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/hookproxy/hookproxy/internal/sample"
)

// get answers the status and body of a GET.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestSIGTERMFinishesTheRequestInFlightAndItsEvent(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"id":1}`)
	}))
	t.Cleanup(api.Close)
	server := redistest.Mini(t)
	hooks := newTally(t, 1)
	hooks.release()
	args := []string{"--upstream", api.URL, "--redis", "redis://" + server.Addr, "--spool", filepath.Join(t.TempDir(), "spool"),
		"--rules", writeRules(t, "identity: [{anonymous: {user: all}}]\nresources: {contact: /contacts}\n")}

	first := start(t, args...)
	subscribe(t, first.front, "contact.create", hooks.server.URL, nil)
	answered := make(chan int, 1)
	go func() {
		status, _, _ := trySend("POST", first.front+"/contacts", `{}`)
		answered <- status
	}()
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- first.stop(t) }()
	awaitStopping(t, first)
	close(release)
	if status := <-answered; status != http.StatusCreated {
		t.Errorf("the request in flight was answered %d\n%s", status, first.log)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v\n%s", err, first.log)
	}
	hooks.await(t, start(t, args...)) // delivered before the end, or by whoever comes next
}

// awaitStopping waits until readiness says that the process drains.
func awaitStopping(t *testing.T, i *instance) {
	t.Helper()
	await(t, func() (bool, string) {
		status, _ := get(t, i.admin+"/readyz")
		return status == http.StatusServiceUnavailable, "readiness never said that the process drains"
	})
}

func TestARequestWithoutAnEndIsCutInTimeAndTold(t *testing.T) {
	t.Parallel()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(api.Close)
	up := start(t, "--upstream", api.URL, "--redis", "embedded", "--spool", "none", "--drain-timeout", "1s",
		"--rules", writeRules(t, sampleRules))
	response, err := http.Get(up.front + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := up.stop(t); err != nil {
		t.Errorf("stop: %v", err)
	}
	if log := up.log.String(); !strings.Contains(log, `"msg":"requests cut`) || !strings.Contains(log, `"requests":1`) {
		t.Errorf("the log says\n%s", log)
	}
}

func TestProxyAndWorkersRunApart(t *testing.T) {
	t.Parallel()
	redistest.Run(t, func(t *testing.T, server *redistest.Server) {
		receiver := sample.NewReceiver(10)
		target := httptest.NewServer(receiver)
		t.Cleanup(target.Close)
		rules := writeRules(t, sampleRules)
		front := start(t, "--role", "proxy", "--upstream", startSample(t), "--redis", "redis://"+server.Addr,
			"--rules", rules, "--spool", "none")
		subscribe(t, front.front, "contact.create", target.URL, receiver)
		send(t, "POST", front.front+"/contacts", `{"name":"Ada"}`)

		workers := start(t, "--role", "deliver", "--redis", "redis://"+server.Addr, "--rules", rules)
		if hook := awaitHook(t, receiver, workers); hook.Verified != nil {
			t.Errorf("the signature: %v", hook.Verified)
		}
	})
}

func TestReadinessAndMetricsTellThatRedisIsAway(t *testing.T) {
	t.Parallel()
	server := redistest.Mini(t)
	up := start(t, "--upstream", startSample(t), "--redis", "redis://"+server.Addr,
		"--rules", writeRules(t, sampleRules), "--spool", filepath.Join(t.TempDir(), "spool"))
	if status, body := get(t, up.admin+"/readyz"); status != 200 || !strings.Contains(body, `"status":"ok"`) {
		t.Errorf("with Redis: %d %s", status, body)
	}
	if status, _ := get(t, up.admin+"/healthz"); status != 200 {
		t.Errorf("healthz: %d", status)
	}
	server.Stop(t)
	if status, body := send(t, "POST", up.front+"/contacts", `{}`); status != 201 {
		t.Fatalf("create: %d %s", status, body)
	}
	awaitReadiness(t, up, http.StatusOK, readiness{Status: "degraded", Redis: redisAway, Spool: spoolOK, Spooled: 1})
	_, metrics := get(t, up.admin+"/metrics")
	for _, line := range []string{`hookproxy_events_published_total{to="spool"} 1`, "hookproxy_spool_events 1", "hookproxy_redis_up 0"} {
		if !strings.Contains(metrics, line) {
			t.Errorf("%q is missing from the metrics", line)
		}
	}
}

func TestAStoreWithAnotherLayoutIsRefused(t *testing.T) {
	t.Parallel()
	server := redistest.Mini(t)
	common := []string{"serve", "--listen", "127.0.0.1:0", "--admin", "none", "--upstream", startSample(t),
		"--redis", "redis://" + server.Addr, "--rules", writeRules(t, sampleRules), "--spool", "none"}
	up := start(t, "--upstream", startSample(t), "--redis", "redis://"+server.Addr, "--rules", writeRules(t, sampleRules), "--spool", "none")
	up.kill()
	status, _, stderr := runCommand(t, append(common, "--lanes", "4")...)
	if status != exitFailure || !strings.Contains(stderr, "lanes of hookproxy:layout is 1 there, 4 here") {
		t.Errorf("status %d: %s", status, stderr)
	}
}

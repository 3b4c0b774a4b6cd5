package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hookproxy/hookproxy/internal/sample"
)

// patience bounds every wait of these tests. It is no promise: where a promise
// has a bound, the test says so.
const patience = 90 * time.Second

func TestMain(m *testing.M) {
	code := m.Run()
	if binaryDir != "" {
		_ = os.RemoveAll(binaryDir)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(); code == 0 && err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}

var binaryDir string

// binary builds the program once, as a user would.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hookproxy")
	if err != nil {
		return "", err
	}
	binaryDir = dir
	path := filepath.Join(dir, "hookproxy")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		_, _ = os.Stderr.Write(out)
	}
	return path, err
})

// instance is hookproxy as a process of its own, which can be killed.
type instance struct {
	// front and admin are the URLs of the two listeners; empty without them.
	front, admin string

	cmd    *exec.Cmd
	log    *logBuffer
	exited chan struct{}
	err    error // of the process's end, once exited is closed
}

// start runs `hookproxy serve` on free ports, and waits until it is up and has
// its Redis.
func start(t *testing.T, args ...string) *instance {
	t.Helper()
	i := launch(t, args...)
	await(t, func() (bool, string) {
		select {
		case <-i.exited:
			t.Fatalf("hookproxy ended at start: %v\n%s", i.err, i.log)
		default:
		}
		var state readiness
		_, body := get(t, i.admin+"/readyz")
		err := json.Unmarshal([]byte(body), &state)
		return err == nil && state.Redis == redisOK, "Redis is " + body + ":\n" + i.log.String()
	})
	return i
}

// await asks until it is so, where nobody tells when it is; else it fails with
// what was seen last.
func await(t *testing.T, ask func() (so bool, seen string)) {
	t.Helper()
	limit, tick := time.After(patience), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for {
		so, seen := ask()
		if so {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal(seen)
		}
	}
}

// launch is start for a Redis that is away.
func launch(t *testing.T, args ...string) *instance {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	args = append([]string{"serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-format", "json",
		"--allow-networks", "127.0.0.0/8"}, args...)
	i := &instance{cmd: exec.Command(path, args...), log: &logBuffer{}, exited: make(chan struct{})}
	i.cmd.Dir = t.TempDir()
	stderr, err := i.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := i.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.kill() })
	up := make(chan struct{})
	go i.follow(stderr, up) // ends with the process
	select {
	case <-up:
	case <-i.exited:
		t.Fatalf("hookproxy ended at start: %v\n%s", i.err, i.log)
	case <-time.After(patience):
		t.Fatalf("hookproxy did not start:\n%s", i.log)
	}
	return i
}

// follow reads the log, learns the addresses from it, and waits for the end.
func (i *instance) follow(stderr io.Reader, up chan struct{}) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		i.log.add(lines.Text())
		var line struct{ Msg, Listen string }
		_ = json.Unmarshal(lines.Bytes(), &line) // not every line is the log's: a crash is not
		switch line.Msg {
		case "forwarding":
			i.front = line.Listen
		case "admin":
			i.admin = line.Listen
			close(up)
		}
	}
	i.err = i.cmd.Wait()
	close(i.exited)
}

// kill ends the process as kill -9 does.
func (i *instance) kill() {
	_ = i.cmd.Process.Kill() // it may have ended already
	<-i.exited
}

// stop ends the process as an orchestrator does, and answers how it ended.
func (i *instance) stop(t *testing.T) error {
	t.Helper()
	if err := i.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-i.exited:
	case <-time.After(patience):
		t.Fatalf("hookproxy did not stop:\n%s", i.log)
	}
	return i.err
}

// logBuffer keeps the log for a failing test to print.
type logBuffer struct {
	mu    sync.Mutex
	lines []string
}

func (b *logBuffer) add(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, line)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.lines[max(0, len(b.lines)-60):], "\n")
}

// awaitLog asks until the log has a text; a process tells nobody what it writes.
func awaitLog(t *testing.T, i *instance, text string) {
	t.Helper()
	await(t, func() (bool, string) {
		log := i.log.String()
		return strings.Contains(log, text), fmt.Sprintf("%q is not in the log:\n%s", text, log)
	})
}

// writeRules puts a rules file where a process can read it.
func writeRules(t *testing.T, source string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sampleRules are for the sample API.
const sampleRules = `
identity:
  - whoami: {get: /me, user: id}
resources:
  contact: /contacts
`

// startSample serves the sample API.
func startSample(t *testing.T) string {
	t.Helper()
	api := httptest.NewServer(sample.NewAPI().Handler())
	t.Cleanup(api.Close)
	return api.URL
}

// send sends one JSON request as Alice, and answers status and body.
func send(t *testing.T, method, url, body string) (int, []byte) {
	t.Helper()
	status, got, err := trySend(method, url, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return status, got
}

func trySend(method, url, body string) (int, []byte, error) {
	return trySendAs(sample.Accounts[0], method, url, body)
}

func trySendAs(who sample.Account, method, url, body string) (int, []byte, error) {
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+who.Token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	return response.StatusCode, bytes.TrimSpace(got), err
}

// subscribe makes a subscription of Alice's for a receiver.
func subscribe(t *testing.T, front, event, target string, receiver *sample.Receiver) {
	t.Helper()
	status, body := send(t, "POST", front+"/api/v1/subscription/", `{"event":"`+event+`","target_url":"`+target+`"}`)
	var made struct{ ID, Secret string }
	if err := json.Unmarshal(body, &made); status != http.StatusCreated || err != nil {
		t.Fatalf("subscribe: %d %s", status, body)
	}
	if receiver != nil {
		receiver.Expect(made.ID, made.Secret)
	}
}

func jsonReader(format string, args ...any) io.Reader {
	return strings.NewReader(fmt.Sprintf(format, args...))
}

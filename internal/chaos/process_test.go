package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if binaryDir != "" {
		_ = os.RemoveAll(binaryDir)
	}
	http.DefaultClient.CloseIdleConnections()
	// A pool of go-redis looks every second whether it has been closed.
	err := goleak.Find(goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
	if code == 0 && err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}

// limit bounds every wait; nothing is expected to take as long.
const limit = 60 * time.Second

var binaryDir string

// binary builds the program once, as a user would.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hookproxy")
	if err != nil {
		return "", err
	}
	binaryDir = dir
	path := filepath.Join(dir, "hookproxy")
	out, err := exec.Command("go", "build", "-o", path, "github.com/hookproxy/hookproxy/cmd/hookproxy").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return path, err
})

// process is hookproxy as a process that is killed and started again with the
// same settings and addresses.
type process struct {
	name       string
	url, admin string
	own, args  []string // what the test gave, and all
	dir        string

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{}
	log   bytes.Buffer
	downs []span
}

// span is a stretch of time; end is zero while it lasts.
type span struct{ begin, end time.Time }

// overlaps reports whether a span and something from begin to end met.
func (s span) overlaps(begin, end time.Time) bool {
	return !s.begin.After(end) && (s.end.IsZero() || !s.end.Before(begin))
}

func newProcess(t testing.TB, name string, args ...string) *process {
	t.Helper()
	front, admin := redistest.FreeAddr(t), redistest.FreeAddr(t)
	p := &process{name: name, own: args, url: "http://" + front, admin: "http://" + admin, dir: t.TempDir()}
	p.args = append([]string{"serve", "--listen", front, "--admin", admin, "--allow-networks", "127.0.0.0/8",
		"--spool", filepath.Join(p.dir, "spool"), "--drain-timeout", "10s", "--workers", "16"}, args...)
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", name, p.tail())
		}
	})
	p.start(t)
	return p
}

// Write keeps what the process logs.
func (p *process) Write(line []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(line)
}

func (p *process) tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	lines := strings.Split(p.log.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// start starts the process and waits until it serves.
func (p *process) start(t testing.TB) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	cmd := exec.Command(path, p.args...)
	cmd.Stderr, cmd.Dir = p, p.dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }() // ends with the process, which kill waits for
	p.mu.Lock()
	p.cmd, p.ended = cmd, ended
	p.mu.Unlock()
	eventually(t, p.name+" serves", func() bool { return p.readiness() != "" })
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.downs); n > 0 {
		p.downs[n-1].end = time.Now()
	}
}

// readiness answers /readyz' status: ok, degraded or stopped; empty: no answer.
func (p *process) readiness() string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.admin+"/readyz", nil)
	if err != nil {
		return ""
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	var state struct{ Status string }
	if err := json.NewDecoder(res.Body).Decode(&state); err != nil {
		return ""
	}
	return state.Status
}

// kill ends the process as kill -9 does, and stop as an orchestrator does.
func (p *process) kill() { p.end(syscall.SIGKILL) }
func (p *process) stop() { p.end(syscall.SIGTERM) }

func (p *process) end(how syscall.Signal) {
	p.mu.Lock()
	cmd, ended := p.cmd, p.ended
	p.cmd = nil
	if cmd != nil {
		p.downs = append(p.downs, span{begin: time.Now()})
	}
	p.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Signal(how) // it may have ended already
		<-ended
	}
}

// lives reports whether the process that was started last still runs.
func (p *process) lives() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.ended:
		return false
	default:
		return p.cmd != nil
	}
}

func (p *process) wasDown(begin, end time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, down := range p.downs {
		if down.overlaps(begin, end) {
			return true
		}
	}
	return false
}

// subscribe makes a user's subscriptions, one for each target.
func subscribe(t testing.TB, front, user string, targets int, receivers string) {
	t.Helper()
	for n := range targets {
		var last error
		eventually(t, "subscribe "+user, func() bool {
			last = trySubscribe(front, user, fmt.Sprintf("%s/%s/%d", receivers, user, n))
			if errors.Is(last, errRefused) {
				t.Fatal(last)
			}
			return last == nil
		})
	}
}

// errRefused says that asking again is of no use.
var errRefused = errors.New("the subscription is refused")

func trySubscribe(front, user, target string) error {
	body := fmt.Sprintf(`{"event":"contact.create","target_url":%q}`, target)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, front+"/api/v1/subscription/", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+user)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode == http.StatusServiceUnavailable:
		return errors.New(string(text))
	case res.StatusCode >= 300:
		return fmt.Errorf("%w: %d %s", errRefused, res.StatusCode, text)
	}
	return nil
}

// eventually asks until the answer is yes; processes tell nobody.
func eventually(t testing.TB, what string, yes func() bool) {
	t.Helper()
	if !inTime(yes) {
		t.Fatalf("waited in vain: %s", what)
	}
}

// inTime is eventually for those who go on after a no.
func inTime(yes func() bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

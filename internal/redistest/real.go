package redistest

import (
	"bytes"
	"context"
	"net"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// startTimeout bounds how long a redis-server may take to answer.
const startTimeout = 20 * time.Second

// real is a redis-server process with an append-only file, so that its data
// survives stop and start.
type real struct {
	path, addr, dir string
	args            []string

	mu  sync.Mutex
	cmd *exec.Cmd
	out bytes.Buffer
}

func newReal(t testing.TB, path string, args ...string) *real {
	t.Helper()
	r := &real{path: path, addr: FreeAddr(t), dir: t.TempDir(), args: args}
	r.start(t)
	t.Cleanup(func() { r.kill(t) }) // not in order: a master would wait for its replicas
	return r
}

func (r *real) start(t testing.TB) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd != nil {
		return
	}
	host, port, err := net.SplitHostPort(r.addr)
	if err != nil {
		t.Fatalf("split %s: %v", r.addr, err)
	}
	r.out.Reset()
	r.cmd = exec.Command(r.path, append([]string{"--bind", host, "--port", port, "--dir", r.dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction",
		"--repl-diskless-sync-delay", "0"}, r.args...)...)
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	// Should the test binary die, its server must not outlive it.
	r.cmd.SysProcAttr = dieWithParent()
	if err := r.cmd.Start(); err != nil {
		t.Fatalf("start redis-server: %v", err)
	}
	r.awaitReady(t)
}

// awaitReady asks until the server answers; there is nothing to be told by.
func (r *real) awaitReady(t testing.TB) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: r.addr, MaxRetries: -1})
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for client.Ping(ctx).Err() != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("redis-server on %s did not answer within %s:\n%s", r.addr, startTimeout, r.out.String())
		}
	}
}

// stop ends the process in order, so that the append-only file is complete.
func (r *real) stop(t testing.TB) {
	t.Helper()
	r.end(syscall.SIGTERM)
}

// kill ends the process as kill -9 does.
func (r *real) kill(t testing.TB) {
	t.Helper()
	r.end(syscall.SIGKILL)
}

func (r *real) end(how syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd == nil {
		return
	}
	ended := make(chan struct{})
	go func() { // ends with the process, which is waited for below
		_ = r.cmd.Wait() // its exit status says only that it was told to end
		close(ended)
	}()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		_ = r.cmd.Process.Signal(how) // it may have ended already
		select {
		case <-ended:
			r.cmd = nil
			return
		case <-again.C: // while it writes a first append-only file it refuses to end
		}
	}
}

func (r *real) isStopped() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cmd == nil
}

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

	mu  sync.Mutex
	cmd *exec.Cmd
	out bytes.Buffer
}

func newReal(t testing.TB, path string) *real {
	t.Helper()
	r := &real{path: path, addr: freeAddr(t), dir: t.TempDir()}
	r.start(t)
	t.Cleanup(func() { r.stop(t) })
	return r
}

// freeAddr answers a loopback address that nobody listened on a moment ago.
func freeAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer ln.Close()
	return ln.Addr().String()
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
	r.cmd = exec.Command(r.path, "--bind", host, "--port", port, "--dir", r.dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction")
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
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	_ = r.cmd.Wait() // its exit status says only that it was told to end
	r.cmd = nil
}

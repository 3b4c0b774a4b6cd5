package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Watched is a master with replicas, watched by three Sentinels that promote a
// replica half a second after the master has gone.
type Watched struct {
	// MasterName is what the Sentinels call it.
	MasterName string
	// Sentinels are their addresses.
	Sentinels []string
	// Servers are the master, at the start the first one, and its replicas.
	Servers []*Server
}

// Sentinels starts a master, replicas of it, and three Sentinels, each a process
// of redis-server.
func Sentinels(t testing.TB, replicas int) *Watched {
	t.Helper()
	w := &Watched{MasterName: "hooks", Servers: []*Server{Real(t)}}
	for range replicas {
		w.Servers = append(w.Servers, Replica(t, w.Servers[0]))
	}
	for range 3 {
		w.Sentinels = append(w.Sentinels, startSentinel(t, w.MasterName, w.Servers[0].Addr))
	}
	for _, addr := range w.Sentinels {
		sentinel := redis.NewSentinelClient(&redis.Options{Addr: addr})
		eventually(t, "the Sentinel at "+addr+" knows the others and the replicas", func(ctx context.Context) bool {
			others, err := sentinel.Sentinels(ctx, w.MasterName).Result()
			known, replicasErr := sentinel.Replicas(ctx, w.MasterName).Result()
			return err == nil && len(others) == 2 && replicasErr == nil && len(known) == replicas
		})
		_ = sentinel.Close()
	}
	return w
}

// AwaitFailover waits until all Sentinels name another master than the lost one,
// and every other server follows that.
func (w *Watched) AwaitFailover(t testing.TB, lost *Server) {
	t.Helper()
	for _, addr := range w.Sentinels {
		sentinel := redis.NewSentinelClient(&redis.Options{Addr: addr})
		eventually(t, "the Sentinel at "+addr+" names a new master", func(ctx context.Context) bool {
			master, err := sentinel.GetMasterAddrByName(ctx, w.MasterName).Result()
			return err == nil && net.JoinHostPort(master[0], master[1]) != lost.Addr
		})
		_ = sentinel.Close()
	}
	_, port, _ := net.SplitHostPort(lost.Addr)
	for _, s := range w.Servers {
		eventually(t, s.Addr+" follows the new master", func(ctx context.Context) bool {
			return s == lost || !strings.Contains(s.Client.Info(ctx, "replication").Val(), "master_port:"+port)
		})
	}
}

// Replica starts a replica, and waits until it has what the master has, and the
// master hears of that: its first acknowledgement may come a second later.
func Replica(t testing.TB, of *Server) *Server {
	t.Helper()
	host, port, err := net.SplitHostPort(of.Addr)
	if err != nil {
		t.Fatal(err)
	}
	s := Real(t, "--replicaof", host+" "+port)
	eventually(t, "the replica is in step", func(ctx context.Context) bool {
		return strings.Contains(s.Client.Info(ctx, "replication").Val(), "master_link_status:up")
	})
	known := strings.Count(of.Client.Info(t.Context(), "replication").Val(), "\nslave")
	conn := of.Client.Conn()
	defer conn.Close()
	eventually(t, "the master hears of its replicas", func(ctx context.Context) bool {
		// Something that is replicated and leaves nothing behind.
		if err := conn.Publish(ctx, "redistest", "").Err(); err != nil {
			return false
		}
		acknowledged, err := conn.Do(ctx, "wait", known, 100).Int()
		return err == nil && acknowledged >= known
	})
	return s
}

func startSentinel(t testing.TB, master, addr string) string {
	t.Helper()
	own := FreeAddr(t)
	_, ownPort, _ := net.SplitHostPort(own)
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	settings := fmt.Sprintf(`port %s
bind 127.0.0.1
dir %s
sentinel monitor %[3]s %s %s 2
sentinel down-after-milliseconds %[3]s 500
sentinel failover-timeout %[3]s 3000
`, ownPort, filepath.Dir(file), master, host, port)
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(lookUp(t), file, "--sentinel")
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		t.Fatalf("start a Sentinel: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait() // its exit status says only that it was killed
	})
	return own
}

// eventually asks until the answer is yes; servers tell nobody.
func eventually(t testing.TB, what string, yes func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !yes(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited %s in vain: %s", startTimeout, what)
		}
	}
}

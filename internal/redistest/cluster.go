package redistest

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// slots is how many hash slots a Redis Cluster has.
const slots = 16384

// Nodes is a Redis Cluster of three masters with a replica each, every one a
// process of redis-server.
type Nodes struct {
	// Servers are the masters, at the start the first three, and their replicas.
	Servers []*Server
	// Client is connected to the cluster, and closed with the test.
	Client *redis.ClusterClient
	// Addrs are the servers' addresses.
	Addrs []string

	ids map[string]string // node id by address
}

// Cluster starts one. A master that has gone for a second is replaced by its
// replica.
func Cluster(t testing.TB) *Nodes {
	t.Helper()
	n := &Nodes{ids: map[string]string{}}
	for range 6 {
		_, bus, _ := net.SplitHostPort(FreeAddr(t))
		s := Real(t, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "1000",
			"--cluster-replica-validity-factor", "0")
		host, port, _ := net.SplitHostPort(s.Addr)
		if len(n.Servers) > 0 {
			must(t, n.Servers[0].Client.Do(t.Context(), "cluster", "meet", host, port, bus).Err())
		}
		n.ids[s.Addr] = s.Client.Do(t.Context(), "cluster", "myid").Val().(string)
		n.Servers, n.Addrs = append(n.Servers, s), append(n.Addrs, s.Addr)
	}
	for i, s := range n.Servers[:3] {
		must(t, s.Client.ClusterAddSlotsRange(t.Context(), i*slots/3, (i+1)*slots/3-1).Err())
	}
	for i, s := range n.Servers[3:] {
		master := n.ids[n.Servers[i].Addr]
		eventually(t, "the nodes know each other", func(ctx context.Context) bool {
			return s.Client.ClusterReplicate(ctx, master).Err() == nil
		})
	}
	n.Client = redis.NewClusterClient(&redis.ClusterOptions{Addrs: n.Addrs})
	t.Cleanup(func() { _ = n.Client.Close() })
	n.AwaitWell(t)
	return n
}

// AwaitWell waits until every slot is served, and every replica of a node that
// runs is in step.
func (n *Nodes) AwaitWell(t testing.TB) {
	t.Helper()
	for _, s := range n.Servers {
		if s.process.(*real).isStopped() {
			continue
		}
		eventually(t, "the cluster is well", func(ctx context.Context) bool {
			replication := s.Client.Info(ctx, "replication").Val()
			return strings.Contains(s.Client.ClusterInfo(ctx).Val(), "cluster_state:ok") &&
				(strings.Contains(replication, "role:master") || strings.Contains(replication, "master_link_status:up"))
		})
	}
}

// MasterOf answers the running server that has a key's slot. Where the master
// has gone it waits for the promotion of the replica.
func (n *Nodes) MasterOf(t testing.TB, key string) (master *Server) {
	t.Helper()
	eventually(t, "a running server is the master of "+key, func(ctx context.Context) bool {
		for _, s := range n.Servers {
			if s.process.(*real).isStopped() || !strings.Contains(s.Client.Info(ctx, "replication").Val(), "role:master") {
				continue
			}
			// A node answers for a key of its own, and with MOVED for any other.
			if s.Client.Exists(ctx, key).Err() == nil {
				master = s
				return true
			}
		}
		return false
	})
	return master
}

// MoveSlot moves a key's slot with all its keys to another master, as a
// resharding does, while both serve.
func (n *Nodes) MoveSlot(t testing.TB, key string, to *Server) {
	t.Helper()
	ctx, from := t.Context(), n.MasterOf(t, key)
	slot := from.Client.ClusterKeySlot(ctx, key).Val()
	host, port, _ := net.SplitHostPort(to.Addr)
	must(t, to.Client.Do(ctx, "cluster", "setslot", slot, "importing", n.ids[from.Addr]).Err())
	must(t, from.Client.Do(ctx, "cluster", "setslot", slot, "migrating", n.ids[to.Addr]).Err())
	for {
		keys, err := from.Client.ClusterGetKeysInSlot(ctx, int(slot), 100).Result()
		must(t, err)
		if len(keys) == 0 {
			break
		}
		args := []any{"migrate", host, port, "", 0, 5000, "keys"}
		for _, key := range keys {
			args = append(args, key)
		}
		must(t, from.Client.Do(ctx, args...).Err())
	}
	for _, s := range []*Server{to, from} {
		must(t, s.Client.Do(ctx, "cluster", "setslot", slot, "node", n.ids[to.Addr]).Err())
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

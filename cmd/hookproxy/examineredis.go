package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/internal/layout"
)

const (
	// redisLeast is the first version whose commands the scripts use.
	redisLeast = "6.2"
	// A skew beyond which receivers refuse signatures is five minutes (Standard
	// Webhooks); one beyond a few seconds says that a clock is not kept.
	skewRisky, skewBroken = 5 * time.Second, 4 * time.Minute
	memoryRisky           = 0.8
	memoryBroken          = 0.95
)

// infoSections are those of INFO that are read, each asked for by itself: before
// Redis 7 it takes one at a time.
var infoSections = []string{"server", "memory", "persistence", "replication", "cluster"}

// node is what one server of Redis says of itself.
type node struct {
	addr   string
	info   map[string]string
	config map[string]string // empty where CONFIG is not allowed
	skew   time.Duration     // how far its clock is ahead
}

// number answers a field as a number, 0 where it is none.
func (n node) number(field string) float64 {
	value, _ := strconv.ParseFloat(n.info[field], 64)
	return value
}

// examineRedis looks at every server that holds data.
func (f *findings) examineRedis(ctx context.Context, client redis.UniversalClient, c config) {
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	nodes, err := readNodes(ctx, client)
	if err != nil {
		f.add(broken, "redis", "start Redis, or mend --redis; until then events wait in the spool", "%s", shorten(err))
		return
	}
	for _, n := range nodes {
		f.examineVersion(n)
		f.examineDurability(n, c)
		f.examineMemory(n)
		f.examineClock(n)
	}
	f.examineCluster(nodes[0], client, c)
	if err := layout.Look(ctx, client, c.layout); err != nil {
		f.add(broken, "redis layout", "the message says what to do", "%s", shorten(err))
	}
}

func readNodes(ctx context.Context, client redis.UniversalClient) (nodes []node, err error) {
	cluster, ok := client.(*redis.ClusterClient)
	if !ok {
		n, err := readNode(ctx, client)
		return []node{n}, err
	}
	var mu sync.Mutex
	err = cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		n, err := readNode(ctx, master)
		mu.Lock()
		defer mu.Unlock()
		n.addr = master.Options().Addr
		nodes = append(nodes, n)
		return err
	})
	if err == nil && len(nodes) == 0 {
		err = errors.New("the cluster has no master")
	}
	return nodes, err
}

func readNode(ctx context.Context, client redis.Cmdable) (node, error) {
	n := node{info: map[string]string{}, config: map[string]string{}}
	for _, section := range infoSections {
		text, err := client.Info(ctx, section).Result()
		if err != nil {
			return n, err
		}
		for line := range strings.Lines(text) {
			if name, value, found := strings.Cut(strings.TrimSpace(line), ":"); found {
				n.info[name] = value
			}
		}
	}
	before := time.Now()
	there, err := client.Time(ctx).Result()
	if err != nil {
		return n, err
	}
	n.skew = there.Sub(before.Add(time.Since(before) / 2))
	for _, name := range []string{"appendfsync", "maxmemory-policy"} {
		if values, err := client.ConfigGet(ctx, name).Result(); err == nil { // where it is allowed
			n.config[name] = values[name]
		}
	}
	return n, nil
}

func (n node) name(what string) string {
	return strings.Join(strings.Fields("redis "+n.addr+" "+what), " ")
}

func (f *findings) examineVersion(n node) {
	version := n.info["redis_version"]
	if olderThan(version, redisLeast) {
		f.add(broken, n.name("version"), "run Redis "+redisLeast+" or later, or Valkey", "%s", version)
		return
	}
	f.ok(n.name("version"), "%s", version)
}

func olderThan(version, least string) bool {
	have, want := strings.Split(version, "."), strings.Split(least, ".")
	for i := range want {
		if i >= len(have) {
			return true
		}
		a, errA := strconv.Atoi(have[i])
		b, errB := strconv.Atoi(want[i])
		if errA != nil || errB != nil || a != b {
			return a < b
		}
	}
	return false
}

func (f *findings) examineDurability(n node, c config) {
	if role := n.info["role"]; role != "master" {
		f.add(broken, n.name("role"), "name the master in --redis, or its Sentinels with ?master_name=", "%s: it takes no writes", role)
	}
	const durability = "; docs/durability.md says what each setting can lose"
	switch sync := n.config["appendfsync"]; {
	case n.info["aof_enabled"] != "1":
		f.add(risky, n.name("appendonly"), "set appendonly yes"+durability, "no: a restart of Redis loses events, deliveries and subscriptions")
	case sync == "no":
		f.add(risky, n.name("appendfsync"), "set appendfsync everysec or always"+durability, "no: a crash of its machine loses what the kernel had not written")
	case sync == "":
		f.ok(n.name("appendonly"), "yes; appendfsync cannot be asked for")
	default:
		f.ok(n.name("appendonly"), "yes, appendfsync %s", sync)
	}
	for _, field := range []string{"aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status"} {
		if n.info[field] == "err" {
			f.add(broken, n.name(field), "look at Redis' log and its disk", "err: Redis cannot write its files, and refuses writes or loses them with its end")
		}
	}
	if have := int(n.number("connected_slaves")); have < c.redisWait {
		f.add(broken, n.name("replicas"), "add replicas, or lower --redis-wait; until then the spool fills up", "%d are connected, and --redis-wait is %d", have, c.redisWait)
	}
}

func (f *findings) examineMemory(n node) {
	policy := n.config["maxmemory-policy"]
	if policy == "" {
		policy = n.info["maxmemory_policy"]
	}
	limit := n.number("maxmemory")
	switch {
	case policy == "noeviction":
		f.ok(n.name("maxmemory-policy"), "noeviction")
	case limit > 0:
		f.add(broken, n.name("maxmemory-policy"), "set maxmemory-policy noeviction", "%s: Redis throws away events, deliveries and subscriptions to make room", policy)
	default:
		f.add(risky, n.name("maxmemory-policy"), "set maxmemory-policy noeviction", "%s: with a maxmemory Redis would throw away events", policy)
	}
	of := "maxmemory"
	if limit == 0 {
		limit, of = n.number("total_system_memory"), "the machine's memory"
	}
	if limit == 0 {
		return
	}
	used := n.number("used_memory") / limit
	found := fmt.Sprintf("%.0f MiB used, %.0f %% of %s", n.number("used_memory")/(1<<20), 100*used, of)
	const room = "give Redis more memory; without room it refuses events, and the spool fills up"
	switch {
	case used > memoryBroken:
		f.add(broken, n.name("memory"), room, "%s", found)
	case used > memoryRisky:
		f.add(risky, n.name("memory"), room, "%s", found)
	default:
		f.ok(n.name("memory"), "%s", found)
	}
}

func (f *findings) examineClock(n node) {
	const change = "keep both clocks by NTP: deliveries are timed by Redis' clock, and signed with this machine's"
	skew := n.skew.Abs()
	switch found := n.skew.Round(time.Millisecond); {
	case skew > skewBroken:
		f.add(broken, n.name("clock"), change, "%s ahead of this machine's; receivers refuse signatures five minutes off", found)
	case skew > skewRisky:
		f.add(risky, n.name("clock"), change, "%s ahead of this machine's", found)
	default:
		f.ok(n.name("clock"), "within %s of this machine's", skewRisky)
	}
}

func (f *findings) examineCluster(n node, client redis.UniversalClient, c config) {
	_, asCluster := client.(*redis.ClusterClient)
	isCluster := n.info["cluster_enabled"] == "1"
	switch {
	case isCluster && !asCluster:
		f.add(broken, "redis cluster", "name several addresses in --redis, or add ?cluster=true", "this server is one of a cluster, and is spoken to as one alone")
	case isCluster && c.layout.Count() == 1:
		f.add(risky, "redis cluster", "set --lanes to 16 or more before the first use; it is fixed once used", "with --lanes 1 everything is on one of its masters")
	case isCluster:
		f.ok("redis cluster", "yes, %d lanes", c.layout.Count())
	default:
		f.ok("redis cluster", "no, %d lanes", c.layout.Count())
	}
}

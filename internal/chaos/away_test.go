package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
)

const rulesSource = `
identity:
  - whoami: {get: /me, user: id}
rules:
  - {on: POST /contacts, emit: contact.create, guarantee: strict}
`

func writeRules(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, []byte(rulesSource), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// site is a proxy and a deliverer before an API, under load.
type site struct {
	testing.TB
	proxy, deliverer *process
	load             *load
	api              *api
	hooks            *receivers
}

const siteUsers = 20

func newSite(t testing.TB, redisURL string, args ...string) *site {
	t.Helper()
	s := &site{TB: t, api: newAPI(t), hooks: newReceivers(t)}
	args = append([]string{"--redis", redisURL}, args...)
	s.proxy = newProcess(t, "the proxy", append(args, "--role", "proxy", "--upstream", s.api.server.URL, "--rules", writeRules(t))...)
	s.deliverer = newProcess(t, "the deliverer", append(args, "--role", "deliver")...)
	for n := range siteUsers {
		subscribe(t, s.proxy.url, fmt.Sprint("user", n), 1, s.hooks.server.URL)
	}
	s.load = startLoad(t, 4, siteUsers, 4*time.Millisecond, s.proxy)
	s.load.awaitMore(t, 50)
	return s
}

// settle stops the load and keeps the promises to account: no request failed,
// each write is delivered, none was charged an attempt for Redis' sake, and both
// processes are those that were started, and well.
func (s *site) settle() {
	s.Helper()
	s.load.awaitMore(s, 50)
	s.load.stop()
	writes := s.load.done()
	eventually(s, "every write is delivered", func() bool {
		missing, _ := s.hooks.missing(writes, 1)
		return len(missing) == 0
	})
	_, repeated := s.hooks.missing(writes, 1)
	s.Logf("%d writes, the slowest took %s; %d deliveries repeated", len(writes), s.load.slowest.Round(time.Millisecond), repeated)
	if charged, strays := s.hooks.wrong(); charged > 0 || len(strays) > 0 {
		s.Errorf("%d deliveries were charged an attempt; to others: %v", charged, strays)
	}
	for _, f := range s.load.failures {
		s.Errorf("%s failed: %d %s", f.request, f.status, f.why)
	}
	for _, p := range []*process{s.proxy, s.deliverer} {
		if !p.lives() || len(p.downs) > 0 {
			s.Errorf("%s has ended", p.name)
		}
		eventually(s, p.name+" is well", func() bool { return p.readiness() == "ok" })
	}
}

// awaitDegraded waits until readiness says so.
func (s *site) awaitDegraded() {
	s.Helper()
	eventually(s, "the proxy says degraded", func() bool { return s.proxy.readiness() == "degraded" })
}

func TestRedisLostUnderLoadAndBack(t *testing.T) {
	t.Parallel()
	server := redistest.Real(t, "--appendfsync", "always")
	s := newSite(t, "redis://"+server.Addr)
	for range 3 {
		server.Kill(t)
		s.awaitDegraded()
		s.load.awaitMore(t, 200)
		server.Start(t)
		s.load.awaitMore(t, 100)
	}
	s.settle()
}

func TestProcessesStartWithoutRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Real(t)
	s := newSite(t, "redis://"+server.Addr)
	server.Stop(t)
	late := newProcess(t, "a late proxy", s.proxy.own...)
	deliverer := newProcess(t, "a late deliverer", s.deliverer.own...)
	s.load.stop()
	s.load = s.load.goOn(t, late)
	s.load.awaitMore(t, 100)
	if state := late.readiness(); state != "degraded" {
		t.Errorf("the late proxy says %q", state)
	}
	s.deliverer.kill() // the late one must do
	server.Start(t)
	s.deliverer = deliverer
	s.settle()
}

func TestScriptsFlushedAllTheTime(t *testing.T) {
	t.Parallel()
	server := redistest.Real(t)
	s := newSite(t, "redis://"+server.Addr)
	for range 50 {
		if err := server.Client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		s.load.awaitMore(t, 5)
	}
	s.settle()
}

func TestRedisThatRefusesToWrite(t *testing.T) {
	t.Parallel()
	for name, c := range map[string][2][]any{
		// A master that has become a replica, of one that is not there.
		"READONLY": {{"replicaof", "127.0.0.1", "1"}, {"replicaof", "no", "one"}},
		"OOM":      {{"config", "set", "maxmemory", "1"}, {"config", "set", "maxmemory", "0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Real(t, "--replica-serve-stale-data", "yes")
			s := newSite(t, "redis://"+server.Addr)
			for range 2 {
				if err := server.Client.Do(t.Context(), c[0]...).Err(); err != nil {
					t.Fatal(err)
				}
				s.awaitDegraded()
				s.load.awaitMore(t, 200)
				if err := server.Client.Do(t.Context(), c[1]...).Err(); err != nil {
					t.Fatal(err)
				}
				s.load.awaitMore(t, 50)
			}
			s.settle()
		})
	}
}

// toxic is a Redis behind a proxy that can do harm.
func toxic(t *testing.T, redisAddr string) *toxiproxy.Proxy {
	t.Helper()
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	proxy := toxiproxy.NewProxy(api, "redis", "127.0.0.1:0", redisAddr)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	return proxy
}

// harm has the proxy do it until the answer is called.
func harm(t *testing.T, proxy *toxiproxy.Proxy, what string) (heal func()) {
	t.Helper()
	if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(what)); err != nil {
		t.Fatal(err)
	}
	return func() { proxy.Toxics.ResetToxics(t.Context()) }
}

func TestASlowRedis(t *testing.T) {
	t.Parallel()
	proxy := toxic(t, redistest.Real(t).Addr)
	s := newSite(t, "redis://"+proxy.Listen)
	heal := harm(t, proxy, `{"type":"latency","stream":"downstream","attributes":{"latency":700,"jitter":300}}`)
	s.awaitDegraded() // far over the publishing deadline: the spool takes the events
	s.load.awaitMore(t, 200)
	heal()
	s.load.awaitMore(t, 50)
	heal = harm(t, proxy, `{"type":"latency","stream":"upstream","attributes":{"latency":60}}`)
	s.load.awaitMore(t, 50)
	heal()
	s.settle()
}

func TestConnectionsCutInTheMiddleOfAScript(t *testing.T) {
	t.Parallel()
	proxy := toxic(t, redistest.Real(t).Addr)
	s := newSite(t, "redis://"+proxy.Listen)
	for _, what := range []string{
		`{"type":"limit_data","stream":"upstream","attributes":{"bytes":3000}}`,   // in a command
		`{"type":"limit_data","stream":"downstream","attributes":{"bytes":1500}}`, // in a reply
		`{"type":"reset_peer","stream":"downstream","attributes":{"timeout":20}}`, // after the command, before the reply
	} {
		heal := harm(t, proxy, what)
		s.load.awaitMore(t, 200)
		heal()
		s.load.awaitMore(t, 50)
	}
	s.settle()
}

func TestASentinelFailoverUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	watched := redistest.Sentinels(t, 2)
	s := newSite(t, "redis://"+strings.Join(watched.Sentinels, ",")+"?master_name="+watched.MasterName, "--redis-wait", "1")
	watched.Servers[0].Kill(t)
	s.load.awaitMore(t, 200)
	// Back before that it would be a master with a replica for a moment, and what
	// it takes then is lost when the Sentinels demote it: docs/durability.md.
	watched.AwaitFailover(t, watched.Servers[0])
	s.load.awaitMore(t, 100)
	watched.Servers[0].Start(t) // as a replica now, by the Sentinels
	s.settle()
}

func TestAClusterLosesAMasterAndMovesSlotsUnderLoad(t *testing.T) {
	t.Parallel()
	nodes := redistest.Cluster(t)
	url := "redis://" + strings.Join(nodes.Addrs, ",")
	s := newSite(t, url, "--lanes", "16", "--redis-wait", "1")
	at := layout.Layout{Lanes: 16}
	lost := nodes.MasterOf(t, at.Lane(3).Prefix)
	lost.Kill(t)
	s.load.awaitMore(t, 200)
	nodes.MasterOf(t, at.Lane(3).Prefix) // its replica, once promoted
	s.load.awaitMore(t, 100)
	lost.Start(t)
	nodes.AwaitWell(t)
	for _, number := range []int{5, 6} {
		from := nodes.MasterOf(t, at.Lane(number).Prefix)
		for _, to := range nodes.Servers {
			role := to.Client.Info(t.Context(), "replication").Val()
			if to != from && strings.Contains(role, "role:master") {
				nodes.MoveSlot(t, at.Lane(number).Prefix, to)
				break
			}
		}
		s.load.awaitMore(t, 50)
	}
	s.settle()
	if found := layout.Check(t.Context(), nodes.Client, layout.Layout{Lanes: 8}); found == nil {
		t.Error("another number of lanes is accepted")
	}
}

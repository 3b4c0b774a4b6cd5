// Package redistest gives a test a clean Redis: an in-process miniredis always,
// and a real redis-server as well where there is one. A promise tested with Run
// is tested on both.
package redistest

import (
	"os"
	"os/exec"
	"testing"

	"github.com/redis/go-redis/v9"
)

// RequireEnv, set to 1, makes a missing redis-server a failure instead of a
// skip. CI sets it.
const RequireEnv = "HOOKPROXY_REQUIRE_REDIS"

// Server is one Redis of a test's own, empty at the start and gone at the end.
type Server struct {
	// Addr is host:port. It stays the same across Stop and Start.
	Addr string
	// Client is connected to the server, and closed with the test.
	Client *redis.Client

	process process
}

// process is a Redis that can be taken away and brought back with its data.
type process interface {
	start(t testing.TB)
	stop(t testing.TB)
}

// Stop takes the server away: connections break and new ones are refused.
func (s *Server) Stop(t testing.TB) { t.Helper(); s.process.stop(t) }

// Kill takes the server away as kill -9 does, where it is a process; a miniredis
// stops.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	if r, ok := s.process.(*real); ok {
		r.kill(t)
		return
	}
	s.process.stop(t)
}

// Start brings a stopped server back on the same address, with its data.
func (s *Server) Start(t testing.TB) { t.Helper(); s.process.start(t) }

// Run runs a test against each kind of Redis, each with a clean server.
func Run(t *testing.T, test func(t *testing.T, s *Server)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) { test(t, Mini(t)) })
	t.Run("redis-server", func(t *testing.T) { test(t, Real(t)) })
}

// Mini starts a miniredis.
func Mini(t testing.TB) *Server {
	t.Helper()
	m := newMini(t)
	return newServer(t, m.addr(), m)
}

// Real starts a redis-server on a free port, with an append-only file and the
// settings in args besides. Without one on PATH it skips the test, or fails it
// where RequireEnv says so.
func Real(t testing.TB, args ...string) *Server {
	t.Helper()
	r := newReal(t, lookUp(t), args...)
	return newServer(t, r.addr, r)
}

func lookUp(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv(RequireEnv) == "1" {
			t.Fatalf("%s=1, but: %v", RequireEnv, err)
		}
		t.Skip("no redis-server on PATH")
	}
	return path
}

func newServer(t testing.TB, addr string, p process) *Server {
	t.Helper()
	client := NewClient(t, addr)
	return &Server{Addr: addr, Client: client, process: p}
}

// NewClient connects to a server and closes the client with the test.
func NewClient(t testing.TB, addr string) *redis.Client {
	t.Helper()
	// After as many failures to connect as its pool has places, go-redis refuses
	// for up to a second without trying: too long after Start for a test that
	// expects an answer at once.
	client := redis.NewClient(&redis.Options{Addr: addr, Protocol: 2, PoolSize: 500})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

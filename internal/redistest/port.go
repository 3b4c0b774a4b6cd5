package redistest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
)

// Ports for servers that are stopped and started again lie below those that the
// kernel gives to outgoing connections (from 32768 on Linux): one of these would
// sooner or later take the port of a server that is down.
const firstPort, ports = 12_000, 20_000

// nextPort begins at random, because the tests of other packages run beside.
var nextPort = func() *atomic.Uint32 {
	var at atomic.Uint32
	at.Store(rand.Uint32N(ports))
	return &at
}()

// FreeAddr answers a loopback address on which nobody listened a moment ago and
// which it gives to nobody else in this process: for servers that keep their
// address from one start to the next. All others had better listen on port 0.
func FreeAddr(t testing.TB) string {
	t.Helper()
	for range ports {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(firstPort+nextPort.Add(1)%ports)))
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			continue // somebody's
		}
		_ = ln.Close()
		return addr
	}
	t.Fatalf("no port of %d to %d is free", firstPort, firstPort+ports-1)
	return ""
}

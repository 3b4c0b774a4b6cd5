package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// echoServer switches to a protocol that says everything once more.
func echoServer(t *testing.T) *stand {
	t.Helper()
	return setUp(t, Options{Upstream: serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			return
		}
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(conn, buffered)
	})})
}

const switchToEcho = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"

func TestATunnelTakesWhatTheClientSentAlongWithItsRequest(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		conn := dial(t, echoServer(t).addr)
		fmt.Fprint(conn, switchToEcho+"early")
		if got := readUntil(conn, "early"); !strings.HasPrefix(got, "HTTP/1.1 101") || !strings.HasSuffix(got, "\r\n\r\nearly") {
			t.Fatalf("got %q", got)
		}
	})
}

func TestEachEndOfATunnelMayEndItsOwnDirection(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		conn := dial(t, echoServer(t).addr)
		fmt.Fprint(conn, switchToEcho)
		readUntil(conn, "\r\n\r\n")
		fmt.Fprint(conn, "last words")
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); string(got) != "last words" || err != nil {
			t.Fatalf("got %q, %v", got, err)
		}
	})
}

func TestATunnelMayFollowOtherRequests(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		conn, _ := used(t, echoServer(t))
		fmt.Fprint(conn, switchToEcho+"early")
		if got := readUntil(conn, "early"); !strings.HasPrefix(got, "HTTP/1.1 101") || !strings.HasSuffix(got, "\r\n\r\nearly") {
			t.Fatalf("got %q", got)
		}
	})
}

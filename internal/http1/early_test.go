package http1

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
)

// A body that comes in parts is still being sent when the upstream hangs up.
func TestAnUpstreamThatHangsUpAtTheHeadLeavesTheBodyToItsSender(t *testing.T) {
	hangingUp := serving(t, func(_ net.Conn, r *bufio.Reader, _ int) {
		_, _ = r.ReadString('\n')
	})
	transport := newTransport(t)
	for range 500 {
		r := request(t, "POST", hangingUp.url, io.NopCloser(iotest.OneByteReader(strings.NewReader(strings.Repeat("x", 64)))))
		r.ContentLength = 64
		if _, err := do(t, transport, r); err == nil {
			t.Fatal("there was an answer")
		}
	}
}

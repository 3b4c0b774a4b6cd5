package plain

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// busy asks again and again on one connection until an answer is the last, and
// says when it is in the middle of it. It answers how many requests had none.
func busy(t testing.TB, addr string, settled func()) (lost int64) {
	settled = sync.OnceFunc(settled)
	defer settled()
	conn := dial(t, addr)
	r := bufio.NewReader(conn)
	for answers := 1; ; answers++ {
		if _, err := io.WriteString(conn, plainGet); err != nil {
			return 1
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return 1
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return 1
		}
		if answers == 20 {
			settled()
		}
		if res.Close {
			return 0
		}
	}
}

// A client that asks on a kept connection cannot know that the server stops, and
// would not repeat a POST.
func TestBusyClientsLoseNoRequestWhenTheServerStops(t *testing.T) {
	s := serve(t, true, usual())
	var lost atomic.Int64
	var all, settled sync.WaitGroup
	for range 16 {
		settled.Add(1)
		all.Go(func() { lost.Add(busy(t, s.addr, settled.Done)) })
	}
	settled.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.listener.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	all.Wait()
	if lost.Load() > 0 {
		t.Errorf("%d of 16 clients lost their last request", lost.Load())
	}
}

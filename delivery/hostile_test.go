package delivery

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// dripper reads a request, answers it with head at once, and then with piece again and
// again until the other side has gone.
func dripper(t *testing.T, head, piece string, every time.Duration) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = ln.Close(); <-done })
	go func() { // ends with ln, once its connection's other side has gone; awaited by the cleanup
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			drip(conn, head, piece, every)
		}
	}()
	return "http://" + ln.Addr().String()
}

func drip(conn net.Conn, head, piece string, every time.Duration) {
	defer conn.Close()
	if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
		_, _ = io.Copy(io.Discard, req.Body)
	}
	gone := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, conn); close(gone) }() // ends with conn
	if _, err := io.WriteString(conn, head); err != nil {
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-gone:
			return
		case <-tick.C:
			if _, err := io.WriteString(conn, piece); err != nil {
				return
			}
		}
	}
}

func TestAHostileReceiverCostsOneAttemptWithinTheDeadlineAndNothingAfter(t *testing.T) {
	const deadline = 2 * time.Second
	loop, _ := receive(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
	})
	ok := "HTTP/1.1 200 OK\r\n"
	cases := []struct {
		name, target string
		outcome      Outcome
		class        string
	}{
		{"never reads 8 MiB", "http://" + rawReceiver(t, false, ""), Failed, classTimeout},
		{"drips its status line", dripper(t, "HTTP/1.1 2", "0", 20*time.Millisecond), Failed, classTimeout},
		{"drips header lines", dripper(t, ok, "X-More: 1\r\n", 20*time.Millisecond), Failed, classTimeout},
		{"sends headers without end", dripper(t, ok, "X-More: "+strings.Repeat("x", 32<<10)+"\r\n", time.Millisecond), Failed, classProtocol},
		{"sends 103 without end", dripper(t, "", "HTTP/1.1 103 Early Hints\r\n\r\n", 10*time.Millisecond), Failed, ""},
		{"drips a body after 500", dripper(t, "HTTP/1.1 500 No\r\nContent-Length: 99999\r\n\r\n", "x", 20*time.Millisecond), Failed, classHTTP5xx},
		{"drips a body after 200", dripper(t, ok+"Content-Length: 99999\r\n\r\n", "x", 20*time.Millisecond), Delivered, classNone},
		{"drips chunks after 200", dripper(t, ok+"Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", 20*time.Millisecond), Delivered, classNone},
		{"sends 10 GB after 200", dripper(t, ok+"Content-Length: 10737418240\r\n\r\n", strings.Repeat("x", 1<<20), time.Millisecond), Delivered, classNone},
		{"breaks its chunks after 200", dripper(t, ok+"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "", time.Hour), Delivered, classNone},
		{"redirects in a loop", loop, Rejected, classHTTP3xx},
	}
	before := goleak.IgnoreCurrent()
	s := testSender(t, func(o *Options) { o.Timeout = deadline })
	var all sync.WaitGroup
	attempts := make([]attempt, len(cases))
	for i, c := range cases {
		d := testDelivery(c.target)
		if i == 0 { // more than the kernel buffers
			d.event.Payload = bytes.Repeat([]byte("7"), 8<<20)
		}
		all.Go(func() { attempts[i] = s.send(t.Context(), d) }) // ends with the deadline
	}
	all.Wait()
	s.close()
	for i, c := range cases {
		a := attempts[i]
		if a.outcome != c.outcome || c.class != "" && a.class != c.class {
			t.Errorf("%s: %s %q (%v), want %s %q", c.name, a.outcome, a.class, a.err, c.outcome, c.class)
		}
		if a.took > patience/2 {
			t.Errorf("%s: took %s", c.name, a.took)
		}
	}
	if err := goleak.Find(before, goleak.IgnoreAnyFunction("net/http.(*Server).Serve"), goleak.IgnoreAnyFunction("net/http.(*conn).serve"),
		goleak.IgnoreAnyFunction("github.com/hookproxy/hookproxy/delivery.drip"), goleak.IgnoreAnyFunction("github.com/hookproxy/hookproxy/delivery.drip.func1"),
		goleak.IgnoreAnyFunction("net/http.(*connReader).backgroundRead")); err != nil {
		t.Errorf("goroutines are left: %v", err)
	}
}

func TestAnEngineKeepsOrderAgainstAFlakyReceiver(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		calls := 0 // one at a time, that is the promise
		url, got := receive(r, func(w http.ResponseWriter, _ *http.Request) {
			if calls++; calls%3 == 0 {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})
		id := r.subscribe("a", "contact.create", url)
		r.client.HSet(r.Context(), r.lane.Subscription(id), "ordered", "1")
		r.pushMany(0, 20)
		stops := []func(){r.run(r.engine(nil)), r.run(r.engine(nil))}
		next := 0
		for next < 20 {
			one := r.arrive(got, 1)[0]
			switch one.header.Get("X-Hook-Id") {
			case fmt.Sprint("e", next):
				next++
			case fmt.Sprint("e", next-1): // its repetition
			default:
				r.Fatalf("%s arrived, want e%d", one.header.Get("X-Hook-Id"), next)
			}
		}
		for _, stop := range stops {
			stop()
		}
		r.wantNothingLeft()
	})
}

func TestAnEngineBringsAFailingTargetBackByItself(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, statuses(500, 500, 500, 200))
		r.subscribe("a", "contact.create", url)
		stop := r.run(r.engine(func(o *Options) { o.BreakAfter, o.PerSubscription = 3, 1 }))
		r.pushMany(0, 10)
		r.arrive(got, 3)
		r.eventually("the breaker is open", func() bool { return r.field("0-a", "ramp") == "1" })
		if n := len(got); n != 0 {
			r.Errorf("%d more requests though it is open", n)
		}
		r.pass(5 * time.Second)
		r.push(event(100)) // wakes the engine, whose sleep knows nothing of the moved clock
		r.arrive(got, 11)
		stop()
		r.wantNothingLeft()
	})
}

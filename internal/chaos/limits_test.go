package chaos

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
)

// limits is how much of docs/limits.md's amounts is measured; 0: nothing is.
var limits = flag.Float64("chaos.limits", 0, "measure docs/limits.md with so much of its amounts; 1: all")

// rss answers a process' memory in MiB, as the kernel counts it.
func (p *process) rss(t testing.TB) float64 {
	t.Helper()
	p.mu.Lock()
	pid := p.cmd.Process.Pid
	p.mu.Unlock()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib / 1024
}

func redisMiB(t testing.TB, server *redistest.Server) float64 {
	t.Helper()
	_, rest, _ := strings.Cut(server.Client.Info(t.Context(), "memory").Val(), "used_memory:")
	n, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	return n / (1 << 20)
}

func amount(t *testing.T, whole int) int {
	t.Helper()
	if *limits <= 0 {
		t.Skip("measured by make limits")
	}
	return int(float64(whole) * *limits)
}

// A million events wait; then they are delivered.
func TestMemoryIsFlatWithEventsWaiting(t *testing.T) {
	waiting := amount(t, 1_000_000)
	server := redistest.Real(t)
	api, hooks := newAPI(t), newCounter(t)
	common := []string{"--redis", "redis://" + server.Addr}
	proxy := newProcess(t, "the proxy", append(common, "--role", "proxy", "--upstream", api.server.URL, "--rules", writeRules(t))...)
	for n := range users {
		subscribe(t, proxy.url, fmt.Sprint("user", n), 1, hooks.url)
	}
	before := redisMiB(t, server)
	fill(t, server, waiting)
	t.Logf("%d events of 256 bytes wait: Redis %.0f MiB more, %.0f bytes each", waiting, redisMiB(t, server)-before, (redisMiB(t, server)-before)*(1<<20)/float64(waiting))
	deliverer := newProcess(t, "the deliverer", append(common, "--role", "deliver", "--workers", "64")...)
	begun, most := time.Now(), 0.0
	for time.Since(begun) < 30*time.Second && hooks.count.Load() < int64(waiting) {
		<-time.After(time.Second)
		most = max(most, deliverer.rss(t))
	}
	rate := float64(hooks.count.Load()) / time.Since(begun).Seconds()
	t.Logf("delivered %.0f a second for %s; the deliverer had %.0f MiB at most, the proxy %.0f", rate, time.Since(begun).Round(time.Second), most, proxy.rss(t))
	t.Logf("Redis now %.0f MiB, with %d events on the list", redisMiB(t, server), server.Client.LLen(t.Context(), layout.Layout{}.Lane(0).Events()).Val())
	if most > 200 {
		t.Errorf("the deliverer has %.0f MiB; it must not grow with what waits", most)
	}
}

// fill puts events on the list as a publisher does, a thousand at a time.
func fill(t *testing.T, server *redistest.Server, n int) {
	t.Helper()
	list, payload := layout.Layout{}.Lane(0).Events(), `{"filler":"`+strings.Repeat("x", 243)+`"}`
	for done := 0; done < n; {
		var batch []any
		for ; len(batch) < 1000 && done < n; done++ {
			e := events.Event{ID: events.NewID(), Name: "contact.create", User: fmt.Sprint("user", done%users), Time: time.Now(), Payload: []byte(payload)}
			element, err := e.Encode()
			if err != nil {
				t.Fatal(err)
			}
			batch = append(batch, element)
		}
		if err := server.Client.LPush(t.Context(), list, batch...).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// counter is a receiver that counts.
type counter struct {
	url   string
	count atomic.Int64
}

func newCounter(t *testing.T) *counter {
	t.Helper()
	c := &counter{}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { c.count.Add(1) })}
	go func() { _ = server.Serve(ln) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	c.url = "http://" + ln.Addr().String()
	return c
}

// A hundred thousand subscriptions of ten thousand users.
func TestMemoryIsFlatWithSubscriptions(t *testing.T) {
	people, each := amount(t, 10_000), 10
	server := redistest.Real(t)
	api := newAPI(t)
	p := newProcess(t, "hookproxy", "--redis", "redis://"+server.Addr, "--upstream", api.server.URL, "--rules", writeRules(t))
	empty, before := redisMiB(t, server), p.rss(t)
	begun := time.Now()
	var next atomic.Int64
	var makers sync.WaitGroup
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = 16
	for range 16 {
		makers.Go(func() { // ends when everybody has subscribed
			for n := next.Add(1); n <= int64(people); n = next.Add(1) {
				for target := range each {
					if err := trySubscribe(p.url, fmt.Sprint("user", n), fmt.Sprint("http://127.0.0.1:8999/", target)); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	makers.Wait()
	made := people * each
	t.Logf("%d subscriptions of %d users made in %s, %.0f a second", made, people, time.Since(begun).Round(time.Second), float64(made)/time.Since(begun).Seconds())
	t.Logf("Redis has %.0f MiB more, %.0f bytes each; hookproxy %.0f MiB, %.0f before", redisMiB(t, server)-empty, (redisMiB(t, server)-empty)*(1<<20)/float64(made), p.rss(t), before)
	if p.rss(t) > 300 {
		t.Errorf("hookproxy has %.0f MiB; it must not grow with subscriptions", p.rss(t))
	}
}

// Five thousand clients keep a connection open and send nothing.
func TestMemoryOfIdleConnections(t *testing.T) {
	idle := amount(t, 5_000)
	server := redistest.Real(t)
	api := newAPI(t)
	p := newProcess(t, "hookproxy", "--redis", "redis://"+server.Addr, "--upstream", api.server.URL, "--rules", writeRules(t))
	before := p.rss(t)
	request := "GET /contacts HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer user1\r\n\r\n"
	for range idle {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := conn.Write([]byte(request)); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	t.Logf("%d idle connections: %.0f MiB, %.0f before: %.1f KiB each", idle, p.rss(t), before, (p.rss(t)-before)*1024/float64(idle))
	if status, why := (&load{client: http.DefaultClient}).post(p.url, "user1", "beside them"); status != http.StatusCreated {
		t.Errorf("a request beside them: %d %s", status, why)
	}
}

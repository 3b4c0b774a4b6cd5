//go:build unix

package proxy

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BenchmarkPassThrough compares what a request costs that no rule matches: GET,
// 512 bytes of JSON back, over kept connections. A client and an upstream made
// by hand cost little, and what they cost is taken off.
//
// One iteration is one round of every way, in turn, so that a busy machine is
// busy for all of them. The figures are medians of the rounds: CPU time per
// request, user and system, and its ratio to a tuned httputil.ReverseProxy.
//
//	go test ./proxy -run '^$' -bench PassThrough -benchtime 20x
func BenchmarkPassThrough(b *testing.B) {
	for _, conns := range []int{8, 64} {
		b.Run(fmt.Sprintf("%d connections", conns), func(b *testing.B) {
			upstream := cannedUpstream(b)
			ways := []*way{
				{name: "none", addr: upstream.Host},
				{name: "bare", addr: serveOn(b, bareProxy(b, upstream))},
				{name: "net-http", addr: serveOn(b, passing(b, upstream, TransportOptions{NetHTTP: true}, nil))},
				{name: "direct", addr: serveOn(b, passing(b, upstream, TransportOptions{}, nil))},
				{name: "logged", addr: serveOn(b, passing(b, upstream, TransportOptions{}, slog.New(slog.NewTextHandler(io.Discard, nil))))},
			}
			for _, w := range ways {
				w.open(b, conns)
			}
			for b.Loop() {
				for _, w := range ways {
					w.round(b)
				}
			}
			base, bare := median(ways[0].cpu), median(ways[1].cpu)
			b.ReportMetric(0, "ns/op") // of a whole round, which means nothing
			b.ReportMetric(base, "none-cpu-µs")
			for _, w := range ways[1:] {
				b.ReportMetric(median(w.cpu)-base, w.name+"-cpu-µs")
				b.ReportMetric(median(w.wall), w.name+"-µs")
				b.ReportMetric((median(w.cpu)-base)/(bare-base), w.name+"/bare")
			}
		})
	}
}

const roundRequests = 4000

// way is one way from the client to the upstream.
type way struct {
	name, addr string
	conns      []net.Conn
	response   int       // bytes
	cpu, wall  []float64 // µs a request, by round
}

var passRequest = []byte("GET /api/v1/other/7 HTTP/1.1\r\nHost: api.example\r\nUser-Agent: bench\r\nAccept: application/json\r\nAuthorization: Bearer 0123456789abcdef\r\n\r\n")

// open connects, and asks once to learn how long a response is.
func (w *way) open(b *testing.B, conns int) {
	for range conns {
		conn, err := net.Dial("tcp", w.addr)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		w.conns = append(w.conns, conn)
		_, _ = conn.Write(passRequest)
		buffer := make([]byte, 4096)
		n := 0
		for !bytes.HasSuffix(buffer[:n], cannedBody) {
			m, err := conn.Read(buffer[n:])
			if err != nil {
				b.Fatalf("%s: %v after %q", w.name, err, buffer[:n])
			}
			n += m
		}
		w.response = n
	}
}

func (w *way) round(b *testing.B) {
	var all sync.WaitGroup
	cpu, start := cpuTime(), time.Now()
	for _, conn := range w.conns {
		all.Go(func() {
			buffer := make([]byte, w.response)
			for range roundRequests / len(w.conns) {
				if _, err := conn.Write(passRequest); err != nil {
					b.Error(err)
					return
				}
				if _, err := io.ReadFull(conn, buffer); err != nil || !bytes.HasSuffix(buffer, cannedBody) {
					b.Errorf("%s: %v, %q", w.name, err, buffer)
					return
				}
			}
		})
	}
	all.Wait()
	w.cpu = append(w.cpu, float64((cpuTime()-cpu).Microseconds())/roundRequests)
	w.wall = append(w.wall, float64(time.Since(start).Microseconds())/roundRequests)
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // fails for no other argument
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

var cannedBody = append(append([]byte(`{"text":"`), bytes.Repeat([]byte("x"), 501)...), `"}`...)

// cannedUpstream answers each request with the same bytes.
func cannedUpstream(b *testing.B) *url.URL {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: canned\r\nContent-Length: %d\r\n\r\n%s", len(cannedBody), cannedBody)
	var conns sync.WaitGroup
	conns.Go(func() { // ends when the listener is closed; waited for below
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				buffer := make([]byte, 4096)
				for n := 0; ; {
					m, err := conn.Read(buffer[n:])
					if n += m; err != nil {
						return
					}
					if bytes.HasSuffix(buffer[:n], []byte("\r\n\r\n")) {
						n = 0
						_, _ = conn.Write(answer)
					}
				}
			})
		}
	})
	b.Cleanup(func() { ln.Close(); conns.Wait() })
	return &url.URL{Scheme: "http", Host: ln.Addr().String()}
}

// bareProxy is what one would write with the standard library and some care.
func bareProxy(b *testing.B, upstream *url.URL) http.Handler {
	transport := NewTransport(TransportOptions{NetHTTP: true})
	b.Cleanup(transport.CloseIdleConnections)
	return &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(upstream)
			pr.Out.Host = pr.In.Host
			pr.SetXForwarded()
		},
		Transport: transport, BufferPool: newBuffers(), FlushInterval: flushInterval,
	}
}

func passing(b *testing.B, upstream *url.URL, o TransportOptions, log *slog.Logger) http.Handler {
	p := benchProxy(b, 10)
	transport := NewTransport(o)
	b.Cleanup(transport.CloseIdleConnections)
	p.upstream, p.transport = newUpstream(upstream), transport
	if log != nil {
		p.log = log
	}
	return p
}

// serveOn serves as hookproxy does, and answers the address.
func serveOn(b *testing.B, h http.Handler) string {
	server := httptest.NewUnstartedServer(h)
	server.Config = NewServer(ServerOptions{Handler: h})
	server.Listener = NewListener(server.Listener, ListenerOptions{Server: server.Config})
	server.Start()
	b.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

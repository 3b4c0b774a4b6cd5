package proxy

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/events"
)

// discard is a response writer without a cost of its own.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Flush()                      {}

var benchAnswer = canned{http.Header{"Content-Type": {"application/json"}}, []byte(`{"id":7,"name":"Ann"}`), false}

// run sends one request after the other to a handler, without a network.
func run(b *testing.B, h http.Handler, method, path string) {
	r := httptest.NewRequest(method, path, nil)
	ctx, cancel := context.WithCancel(b.Context()) // as net/http has it
	defer cancel()
	r = r.WithContext(ctx)
	w := &discard{h: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.h)
		h.ServeHTTP(w, r)
	}
}

// BenchmarkUnmatched shows what the rules cost a request that none matches:
// compare with bare, a ReverseProxy configured alike.
func BenchmarkUnmatched(b *testing.B) {
	upstream := parse(b, "http://upstream")
	b.Run("bare", func(b *testing.B) {
		run(b, &httputil.ReverseProxy{
			Rewrite: func(pr *httputil.ProxyRequest) {
				pr.SetURL(upstream)
				pr.Out.Host = pr.In.Host
				pr.SetXForwarded()
			},
			Transport: benchAnswer, BufferPool: newBuffers(), FlushInterval: flushInterval,
		}, http.MethodPost, "/api/v1/other/7")
	})
	for _, n := range []int{0, 10, 1000} {
		b.Run(fmt.Sprintf("%d rules", n), func(b *testing.B) {
			run(b, benchProxy(b, n), http.MethodPost, "/api/v1/other/7")
		})
	}
}

// BenchmarkMatched shows what capturing, deriving and handing over costs.
func BenchmarkMatched(b *testing.B) {
	run(b, benchProxy(b, 10), http.MethodPost, "/api/v1/kind3/7/notes")
}

func benchProxy(b *testing.B, n int) *Proxy {
	var source strings.Builder
	source.WriteString("capture: {max_body: 1048576}\nrules:\n")
	for i := range n {
		fmt.Fprintf(&source, "  - {on: 'POST /api/v1/kind%d/{id}/notes', emit: kind%d.note}\n", i, i)
	}
	if n == 0 {
		source.Reset()
		source.WriteString("capture: {max_body: 1048576}\n")
	}
	p, err := New(Options{
		Upstream: parse(b, "http://upstream"), Transport: benchAnswer, Publisher: nowhere{},
		Ruling: Ruling{
			Rules: rulesOf(b, source.String()), Identity: everybodyIs(b, "42"),
			Own: http.NotFoundHandler(), OwnPaths: []string{"/api/v1/subscription/", "/api/v1/event/"},
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	return p
}

type nowhere struct{}

func (nowhere) Publish(context.Context, []events.Event) error { return nil }

// BenchmarkAccessLog shows what the line a request costs.
func BenchmarkAccessLog(b *testing.B) {
	p := benchProxy(b, 10)
	p.log = slog.New(slog.NewJSONHandler(&bytes.Buffer{}, nil))
	run(b, p, http.MethodPost, "/api/v1/other/7")
}

// BenchmarkOverSockets is the whole way with real connections.
func BenchmarkOverSockets(b *testing.B) {
	upstream := serve(b, created(`{"id":7,"name":"Ann"}`))
	for _, path := range []string{"/api/v1/other/7", "/api/v1/kind3/7/notes"} {
		b.Run(path, func(b *testing.B) {
			o := Options{Upstream: upstream}
			p := benchProxy(b, 10)
			p.upstream, p.transport = newUpstream(upstream), newStand(b, &o).proxy.transport
			server := httptest.NewServer(p)
			b.Cleanup(server.Close)
			client := newClient(b, NewTransport(TransportOptions{NetHTTP: true}))
			b.ReportAllocs()
			for b.Loop() {
				res, err := client.Post(server.URL+path, "application/json", nil)
				if err != nil {
					b.Fatal(err)
				}
				res.Body.Close()
			}
		})
	}
}

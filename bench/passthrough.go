package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// warmUp is how long a peer is under load before it is measured.
const warmUp = 300 * time.Millisecond

// measurement is one peer under one load.
type measurement struct {
	cpu      float64 // µs for each request
	rate     float64 // requests, or deliveries, a second
	p50, p99 time.Duration
	rss      float64 // MiB
	peak     float64 // MiB, since the start
}

// measure puts a started peer under load. finish is called when the load is over,
// with the number of requests, those of the warm-up included.
func measure(ctx context.Context, s started, l load, duration time.Duration) (measurement, int, error) {
	l.addr = s.addr
	warm, err := l.run(ctx, warmUp)
	if err != nil {
		return measurement{}, 0, fmt.Errorf("%s: %w", s.name, err)
	}
	before, err := usageOf(s.processes...)
	if err != nil {
		return measurement{}, 0, err
	}
	o, err := l.run(ctx, duration)
	if err != nil {
		return measurement{}, 0, fmt.Errorf("%s: %w", s.name, err)
	}
	after, err := usageOf(s.processes...)
	if err != nil {
		return measurement{}, 0, err
	}
	used := after.minus(before)
	return measurement{
		cpu: float64(used.cpu.Microseconds()) / float64(max(o.requests, 1)), rate: o.perSecond(),
		p50: o.quantile(0.5), p99: o.quantile(0.99), rss: float64(used.rss) / (1 << 20), peak: float64(used.peak) / (1 << 20),
	}, warm.requests + o.requests, nil
}

// get is the call that pass-through is measured with.
func get(size int) call {
	return call{method: http.MethodGet, path: fmt.Sprintf("/size/%d", size), status: http.StatusOK, want: body(size)}
}

// passThrough measures requests that are only forwarded.
func passThrough(ctx context.Context, b *bench) error {
	upstream, err := b.startUpstream(ctx)
	if err != nil {
		return err
	}
	defer upstream.stop()
	peers, stop, err := b.startAll(ctx, b.proxies(0, 10, 1000), upstream)
	if err != nil {
		return err
	}
	defer stop()
	for _, connections := range []int{8, 64} {
		t := b.report.table(fmt.Sprintf("Pass-through: GET, 512 bytes of JSON, %d connections", connections), "httputil.ReverseProxy", "nginx")
		for range b.Rounds {
			for _, s := range peers {
				m, _, err := measure(ctx, s, load{call: get(512), connections: connections}, b.Duration)
				if err != nil {
					return err
				}
				t.add(s.name, m)
			}
		}
		ours := hookproxyWith(10)
		t.mark("at most 0.65 × the CPU of a tuned httputil.ReverseProxy", ours, "httputil.ReverseProxy", 0.65)
		t.mark("at most 0.35 × the CPU of Caddy", ours, "Caddy", 0.35)
		t.mark("at most 1.8 × the CPU of nginx", ours, "nginx", 1.8)
	}
	return nil
}

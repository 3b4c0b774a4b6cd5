package proxy

import (
	"context"
	"log/slog"
	"time"
)

// begun is when now began to count. What has passed since then costs a quarter of
// what time.Now does, which reads two clocks.
var begun = time.Now()

func now() time.Duration { return time.Since(begun) }

// record writes the request's one line and counts it, when all is over.
func (p *Proxy) record(x *exchange) {
	took := now() - x.started
	switch {
	case x.answered && !x.complete && x.clientGone(), x.answered && x.capture.outlivedClient():
		x.outcome = "client_gone"
	case x.answered && !x.complete:
		x.outcome = "broken_off" // by the upstream, in the middle of its response
	}
	level := slog.LevelInfo
	if x.reason != "" && x.status != statusClientGone {
		level = slog.LevelWarn
	}
	ctx := context.Background()
	if p.log.Enabled(ctx, level) {
		p.log.LogAttrs(ctx, level, "request", x.attrs(took)...)
	}
	p.metrics.request(x, took)
}

// attrs leaves out the query, headers and bodies: they hold secrets.
func (x *exchange) attrs(took time.Duration) []slog.Attr {
	attrs := []slog.Attr{
		slog.String("method", x.inbound.Method), slog.String("path", x.path), slog.Int("status", x.status),
		slog.Duration("duration", took), slog.String("kind", x.kind), slog.String("outcome", x.outcome),
	}
	if x.kind == kindForwarded && x.length > 0 {
		attrs = append(attrs, slog.Int64("bytes", x.length))
	}
	if x.reason != "" {
		attrs = append(attrs, slog.String("reason", x.reason))
	}
	if c := x.capture; c != nil {
		attrs = append(attrs, slog.Any("events", c.events), slog.String("result", c.result))
	}
	return attrs
}

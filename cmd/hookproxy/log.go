package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

func newLogger(w io.Writer, json bool, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if json {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// redisLog takes what go-redis prints of its connections. During an outage that
// is a line for every attempt to connect, which the log tells once already.
type redisLog struct{ log *slog.Logger }

// Printf takes one line of go-redis' own.
func (l redisLog) Printf(ctx context.Context, format string, args ...any) {
	if l.log.Enabled(ctx, slog.LevelDebug) {
		l.log.DebugContext(ctx, "go-redis", "line", fmt.Sprintf(format, args...))
	}
}

// logRedisTo sends go-redis' lines to a log. The setting is the process's: the
// library has one logger for all clients.
func logRedisTo(log *slog.Logger) { redis.SetLogger(redisLog{log}) }

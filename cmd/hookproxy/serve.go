package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// serveCommand runs hookproxy for real.
type serveCommand struct{ settings }

// Run serves until ctx is done and everything has come to rest.
func (s *serveCommand) Run(ctx context.Context, std streams) error {
	c, err := readConfig(s.settings)
	if err != nil {
		return err
	}
	lines := &lineBuffer{to: std.err}
	defer lines.flush()
	log := slog.New(flushing{newLogger(lines, c.logJSON, c.logLevel).Handler(), lines})
	logRedisTo(log)
	paceCollector()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // from the start: by default it would end the process
	defer signal.Stop(hangups)
	p, err := newProgram(ctx, c, log)
	if err != nil {
		return err
	}
	p.hangups = hangups
	return p.run(ctx)
}

package main

import "context"

// serveCommand runs hookproxy for real.
type serveCommand struct{ settings }

// Run serves until ctx is done and everything has come to rest.
func (s *serveCommand) Run(ctx context.Context, std streams) error {
	c, err := readConfig(s.settings)
	if err != nil {
		return err
	}
	log := newLogger(std.err, c.logJSON, c.logLevel)
	logRedisTo(log)
	p, err := newProgram(ctx, c, log)
	if err != nil {
		return err
	}
	return p.run(ctx)
}

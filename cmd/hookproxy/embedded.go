package main

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// embeddedTick is how often keys of the embedded Redis age.
const embeddedTick = time.Second

// embeddedRedis is a Redis inside the process, for trying things out. Nothing
// in it survives the process.
type embeddedRedis struct{ server *miniredis.Miniredis }

func startEmbeddedRedis() (*embeddedRedis, error) {
	server, err := miniredis.Run()
	if err != nil {
		return nil, fmt.Errorf("start the embedded Redis: %w", err)
	}
	return &embeddedRedis{server}, nil
}

func (e *embeddedRedis) close() error {
	e.server.Close()
	return nil
}

// run lets keys expire: miniredis, made for tests, ages them only when told to.
func (e *embeddedRedis) run(ctx context.Context) error {
	tick := time.NewTicker(embeddedTick)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			e.server.FastForward(embeddedTick)
		case <-ctx.Done():
			return nil
		}
	}
}

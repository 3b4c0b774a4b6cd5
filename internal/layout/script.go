package layout

import (
	"context"
	_ "embed"

	"github.com/redis/go-redis/v9"
)

//go:embed lane.lua
var laneLua string

// Script is a Lua script that works on one lane. It is sent by its hash, and
// whole when Redis does not know it (after SCRIPT FLUSH, a restart, a failover).
type Script struct{ script *redis.Script }

// NewScript puts the functions of lane.lua before source.
func NewScript(source string) Script {
	return Script{redis.NewScript(laneLua + source)}
}

// Queue adds the script to a pipeline: by its hash, or whole after Redis has
// answered NOSCRIPT, which in a pipeline is the caller's to see.
func (s Script) Queue(ctx context.Context, pipe redis.Pipeliner, whole bool, lane Lane, args ...any) *redis.Cmd {
	if whole {
		return s.script.Eval(ctx, pipe, []string{lane.Prefix}, args...)
	}
	return s.script.EvalSha(ctx, pipe, []string{lane.Prefix}, args...)
}

// Run runs the script on a lane.
func (s Script) Run(ctx context.Context, client redis.Scripter, lane Lane, args ...any) *redis.Cmd {
	return s.script.Run(ctx, client, []string{lane.Prefix}, args...)
}

// Command hookproxy gives REST Hooks to an API that has none: it stands in
// front of the unmodified API, serves the subscription endpoints itself,
// forwards everything else, and delivers an event to each subscriber when a
// rule matches what the API answered.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once: with the first, the handler goes.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdout, os.Stderr}))
}

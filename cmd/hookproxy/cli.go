package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

// Exit statuses of the program.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
	exitAway    = 3 // of operators' commands: no admin listener answers
)

// streams is where a command prints.
type streams struct{ out, err io.Writer }

// cli is every command, with its flags and their environment twins.
type cli struct {
	Serve         serveCommand         `cmd:"" help:"Run the proxy, the delivery workers, or both."`
	Init          initCommand          `cmd:"" help:"Write a rules file to begin with, made of the API's OpenAPI document."`
	Check         checkCommand         `cmd:"" help:"Check a rules file: print its routes and events, or every mistake in it."`
	Try           tryCommand           `cmd:"" help:"Replay recorded traffic: print the events it would be, or why it would be none."`
	Explain       explainCommand       `cmd:"" help:"Say which rules match a request, and why the others do not."`
	Demo          demoCommand          `cmd:"" help:"Show the main job on one machine: a sample API, an embedded Redis, one delivered hook."`
	Doctor        doctorCommand        `cmd:"" help:"Look at everything that serve would work with, and say what to change. Takes serve's flags."`
	Spool         spoolCommand         `cmd:"" help:"Look into a spool, export it, or replay it by hand, while no process holds it."`
	Schema        schemaCommand        `cmd:"" help:"Print the JSON Schema of rules.yaml, for editors to complete and check by."`
	Subscriptions subscriptionsCommand `cmd:"" help:"Operate: subscriptions of all users, by the admin API."`
	Deliveries    deliveriesCommand    `cmd:"" help:"Operate: what came of deliveries, and what was missed."`
	Queues        queuesCommand        `cmd:"" help:"Operate: what waits."`
	Dead          deadCommand          `cmd:"" help:"Operate: dead letters."`
	Parked        parkedCommand        `cmd:"" help:"Operate: events without an owner."`
	Redeliveries  redeliveriesCommand  `cmd:"" help:"Operate: redeliveries under way."`
	Health        healthCommand        `cmd:"" help:"Ask a running hookproxy whether it is ready; for a container's health check."`
	Version       kong.VersionFlag     `help:"Print the version."`
}

// run parses the arguments and runs the command they name. It answers the
// process's exit status.
func run(ctx context.Context, args []string, std streams) int {
	var exited *int
	parser, err := kong.New(&cli{},
		kong.Name("hookproxy"),
		kong.Description("REST Hooks for an API that has none, without touching it."),
		kong.Vars{"version": version()},
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { exited = &code }), // --help and --version
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std),
	)
	if err != nil {
		panic(err) // a mistake in the struct above, which every test would meet
	}
	command, err := parser.Parse(args)
	switch {
	case exited != nil:
		return *exited
	case err != nil:
		fmt.Fprintf(std.err, "hookproxy: %v\n", err)
		return exitUsage
	}
	if err := command.Run(); err != nil {
		return report(std.err, err)
	}
	return exitOK
}

// errReported marks a failure that the command has already printed.
var errReported = errors.New("already reported")

// report prints why a command failed and answers the exit status.
func report(w io.Writer, err error) int {
	var bad settingErrors
	switch {
	case errors.Is(err, errReported):
		return exitFailure
	case errors.Is(err, errAway):
		fmt.Fprintf(w, "hookproxy: %v\n", err)
		return exitAway
	case errors.As(err, &bad):
		for _, one := range bad {
			fmt.Fprintf(w, "hookproxy: %v\n", one)
		}
		return exitUsage
	default:
		fmt.Fprintf(w, "hookproxy: %v\n", err)
		return exitFailure
	}
}

// release is set by the linker for a release.
var release string

// version is what the build knows of itself: the release, or the commit.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "devel-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}

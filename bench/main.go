// Command bench measures hookproxy beside what people would use instead, all of
// it on loopback, in turn, in several rounds:
//
//	load ──► peer ──► upstream        pass-through, latency
//	load ──► peer ──► upstream        capture
//	           └────► Redis
//	Redis ─► worker ─► receiver       delivery
//
// What counts are the ratios within one run: the CPU time that a peer, with its
// children and its Redis, takes for a request. Absolute times mean little on a
// machine that others use too. It verifies what it measures: each answer, each
// event in Redis, each delivery and its signature.
//
//	go run ./bench                   everything, and bench/RESULTS.md
//	go run ./bench --only delivery   one section, printed only
//	go run ./bench --readme FILE     and the summary into FILE, between its two lines
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// limit is how long all of it may take.
const limit = 15 * time.Minute

// sections are what is measured, in this order.
var sections = []section{
	{"passthrough", passThrough},
	{"capture", captured},
	{"delivery", delivered},
	{"latency", latency},
	{"matching", matching},
	{"growth", growth},
}

// section measures one thing and adds what it found to the report.
type section struct {
	name    string
	measure func(context.Context, *bench) error
}

type cli struct {
	Run        runCommand        `cmd:"" default:"withargs" help:"Measure."`
	Upstream   upstreamCommand   `cmd:"" hidden:""`
	Reverse    reverseCommand    `cmd:"" hidden:""`
	Receiver   receiverCommand   `cmd:"" hidden:""`
	Loop       loopCommand       `cmd:"" hidden:""`
	AsynqQueue asynqQueueCommand `cmd:"" hidden:""`
	AsynqWork  asynqWorkCommand  `cmd:"" hidden:""`
}

type runCommand struct {
	Rounds   int           `default:"3" help:"Rounds; the median of them counts."`
	Duration time.Duration `default:"2s" help:"How long each peer is under load in each round."`
	Events   int           `default:"20000" help:"Events delivered by each worker in each round."`
	Only     []string      `help:"Sections to measure: passthrough, capture, delivery, latency, matching, growth. All, by default."`
	Out      string        `default:"bench/RESULTS.md" help:"Where the whole report goes; plots go beside it. Not written with --only."`
	Readme   string        `help:"A Markdown file that gets the summary too, between its two lines about bench."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	command := kong.Parse(&cli{}, kong.Name("bench"), kong.BindTo(ctx, (*context.Context)(nil)))
	if err := command.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// Run implements the command.
func (c runCommand) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, name := range c.Only {
		if !slices.ContainsFunc(sections, func(s section) bool { return s.name == name }) {
			return fmt.Errorf("--only %s: there is no such section", name)
		}
	}
	if c.Rounds < 1 || c.Duration <= 0 || c.Events < 100 {
		return fmt.Errorf("--rounds %d --duration %s --events %d: want at least 1, more than 0 and at least 100", c.Rounds, c.Duration, c.Events)
	}
	b, err := newBench(ctx, c)
	if err != nil {
		return err
	}
	defer b.close()
	for _, s := range sections {
		if len(c.Only) > 0 && !slices.Contains(c.Only, s.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s ...\n", s.name)
		err := s.measure(ctx, b)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			b.report.note("Not measured to its end, for want of time: %s.", s.name)
			break
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	fmt.Print(b.report.text())
	return b.publish()
}

// publish writes the report where it is wanted.
func (b *bench) publish() error {
	if b.Readme != "" {
		if err := b.report.putSummary(b.Readme); err != nil {
			return err
		}
	}
	if len(b.Only) > 0 {
		return nil
	}
	return b.report.write(b.Out)
}

// bench is what all sections work with.
type bench struct {
	runCommand
	dir      string // for configurations and data, gone at the end
	binaries binaries
	report   *report
}

func newBench(ctx context.Context, c runCommand) (*bench, error) {
	dir, err := os.MkdirTemp("", "hookproxy-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{runCommand: c, dir: dir, report: newReport(c)}
	if b.binaries, err = findBinaries(ctx, dir); err != nil {
		b.close()
		return nil, err
	}
	if missing := b.binaries.missing(); len(missing) > 0 {
		b.report.note("Missing here, and left out: %s.", strings.Join(missing, ", "))
	}
	return b, nil
}

func (b *bench) close() { _ = os.RemoveAll(b.dir) }

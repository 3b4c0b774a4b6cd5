package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// doctorPatience bounds each thing that the doctor asks of others.
const doctorPatience = 3 * time.Second

// severity is how much a finding matters.
type severity int

const (
	healthy severity = iota // as it should be
	risky                   // works, and can lose events or reach too far
	broken                  // does not work, or will lose events
)

func (s severity) String() string { return [...]string{"ok", "warn", "FAIL"}[s] }

// finding is one thing looked at.
type finding struct {
	severity severity
	what     string // such as "redis 10.0.0.1:6379 maxmemory-policy"
	found    string
	change   string // what to do; empty where nothing is to be done
}

// findings collects them.
type findings []finding

func (f *findings) ok(what, format string, args ...any) {
	*f = append(*f, finding{what: what, found: fmt.Sprintf(format, args...)})
}

func (f *findings) add(s severity, what, change, format string, args ...any) {
	*f = append(*f, finding{s, what, fmt.Sprintf(format, args...), change})
}

func (f findings) count(s severity) (n int) {
	for _, one := range f {
		if one.severity == s {
			n++
		}
	}
	return n
}

// print writes a line for each finding, and below it what to change.
func (f findings) print(w io.Writer) {
	for _, one := range f {
		fmt.Fprintf(w, "%-4s  %s: %s\n", one.severity, one.what, one.found)
		if one.change != "" {
			fmt.Fprintf(w, "      → %s\n", one.change)
		}
	}
	fmt.Fprintf(w, "%d ok, %d to consider, %d to mend\n", f.count(healthy), f.count(risky), f.count(broken))
}

// warn logs what is not as it should be.
func (f findings) warn(log *slog.Logger) {
	for _, one := range f {
		if one.severity != healthy {
			log.Warn("doctor: "+one.what, "found", one.found, "change", one.change)
		}
	}
}

// doctorCommand looks at everything that serve would work with, changes nothing,
// and says what to change. It takes the flags and the environment of serve.
type doctorCommand struct{ settings }

// Run prints each finding, and fails where one has to be mended.
func (d *doctorCommand) Run(ctx context.Context, std streams) error {
	c, err := readConfig(d.settings)
	if err != nil {
		return err // every bad setting and every mistake in the rules, as serve says them
	}
	logRedisTo(slog.New(slog.DiscardHandler))
	all := examine(ctx, c)
	all.print(std.out)
	if all.count(broken) > 0 {
		return errReported
	}
	return nil
}

// examine looks at everything.
func examine(ctx context.Context, c config) findings {
	var f findings
	f.examineFront(ctx, c)
	f.examineReach(c)
	f.examineSpool(c)
	if c.redis == nil {
		f.add(risky, "redis", "give --redis an address", "embedded: nothing in it survives the process")
		return f
	}
	client := redis.NewUniversalClient(c.redis)
	defer client.Close()
	f.examineRedis(ctx, client, c)
	return f
}

// examineLater logs, as warnings, what the doctor would say: of Redis once it
// answers, of the rest at once.
func (p *program) examineLater(ctx context.Context) error {
	var f findings
	f.examineReach(p.config)
	if p.embedded == nil {
		select {
		case <-p.watch.checked:
			f.examineRedis(ctx, p.watch.client, p.config)
		case <-ctx.Done():
		}
	}
	f.warn(p.log)
	<-ctx.Done()
	return nil
}

// shorten makes one line of an error.
func shorten(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

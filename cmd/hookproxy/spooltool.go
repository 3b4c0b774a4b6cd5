package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/internal/layout"
)

// spoolCommand looks into a spool, or empties it, by hand. All of it works while
// no process holds the file.
type spoolCommand struct {
	Ls     spoolListCommand   `cmd:"" help:"List the events in a spool."`
	Export spoolExportCommand `cmd:"" help:"Print the events in a spool as NDJSON, payloads included."`
	Replay spoolReplayCommand `cmd:"" help:"Bring the events in a spool to Redis."`
}

// spoolFile is the flag that says which.
type spoolFile struct {
	Spool string `default:"hookproxy.spool" env:"HOOKPROXY_SPOOL" placeholder:"FILE" help:"The spool."`
}

// spoolListCommand lists a spool.
type spoolListCommand struct{ spoolFile }

// spoolTally counts what is in a spool.
type spoolTally struct {
	waiting, refused, unreadable int
	bytes                        int64
	oldest                       time.Time
}

func (t *spoolTally) add(one events.Spooled) (state string) {
	t.bytes += int64(len(one.Record))
	if one.Refused {
		state, t.refused = "refused", t.refused+1
	} else {
		state, t.waiting = "waiting", t.waiting+1
		if t.oldest.IsZero() || one.Time.Before(t.oldest) {
			t.oldest = one.Time
		}
	}
	if one.Err != nil {
		state, t.unreadable = "unreadable", t.unreadable+1
	}
	return state
}

func (t *spoolTally) String() string {
	text := fmt.Sprintf("%d waiting, %d refused, %d unreadable, %d bytes", t.waiting, t.refused, t.unreadable, t.bytes)
	if !t.oldest.IsZero() {
		text += ", the oldest since " + t.oldest.UTC().Format(time.RFC3339)
	}
	return text
}

// Run prints a line for each event, and a last one with the sums.
func (c *spoolListCommand) Run(std streams) error {
	out := bufio.NewWriter(std.out)
	fmt.Fprintf(out, "%-10s %-4s %-20s %-32s %-24s %9s %s\n", "STATE", "LANE", "SPOOLED", "ID", "EVENT", "BYTES", "USER")
	var tally spoolTally
	err := events.ReadSpool(c.Spool, func(one events.Spooled) error {
		lane := fmt.Sprint(one.Lane)
		if one.Refused {
			lane = "-"
		}
		_, err := fmt.Fprintf(out, "%-10s %-4s %-20s %-32s %-24s %9d %s\n", tally.add(one), lane,
			one.Time.UTC().Format(time.RFC3339), one.Event.ID, one.Event.Name, len(one.Event.Payload), one.Event.User)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, tally.String())
	return out.Flush()
}

// spoolExportCommand exports a spool.
type spoolExportCommand struct{ spoolFile }

// exported is a line of an export.
type exported struct {
	State    string          `json:"state"` // waiting, refused or unreadable
	Lane     *int            `json:"lane,omitempty"`
	Spooled  time.Time       `json:"spooled"`
	ID       string          `json:"id,omitempty"`
	Event    string          `json:"event,omitempty"`
	User     string          `json:"user,omitempty"`
	Resource string          `json:"resource,omitempty"`
	Time     *time.Time      `json:"time,omitempty"`
	Rule     string          `json:"rule,omitempty"`
	Parked   string          `json:"parked,omitempty"`
	Omitted  string          `json:"omitted,omitempty"`
	Redacted []string        `json:"redacted,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"`
	Error    string          `json:"error,omitempty"`  // why it cannot be read
	Record   []byte          `json:"record,omitempty"` // base64 of what cannot be read
}

// Run prints a line of JSON for each event.
func (c *spoolExportCommand) Run(std streams) error {
	out := bufio.NewWriter(std.out)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false) // the payload's characters stay as they are
	var tally spoolTally
	err := events.ReadSpool(c.Spool, func(one events.Spooled) error {
		return lines.Encode(exportOf(one, tally.add(one)))
	})
	if err != nil {
		return errors.Join(err, out.Flush())
	}
	fmt.Fprintln(std.err, tally.String())
	return out.Flush()
}

func exportOf(one events.Spooled, state string) exported {
	line := exported{State: state, Spooled: one.Time.UTC()}
	if !one.Refused {
		line.Lane = &one.Lane
	}
	e := one.Event
	switch {
	case one.Err != nil:
		line.Error, line.Record = one.Err.Error(), one.Record
		return line
	case e.Payload != nil && !json.Valid(e.Payload):
		line.Error, line.Record = "the payload is no JSON", one.Record
	default:
		line.Data = e.Payload
	}
	line.ID, line.Event, line.User, line.Resource, line.Time = e.ID, e.Name, e.User, e.Resource, &e.Time
	line.Rule, line.Parked, line.Omitted, line.Redacted = e.Rule, e.Parked, e.Omitted, e.Redacted
	return line
}

// spoolReplayCommand empties a spool into Redis.
type spoolReplayCommand struct {
	spoolFile
	Redis     string `default:"redis://127.0.0.1:6379" env:"HOOKPROXY_REDIS" placeholder:"URL" help:"Where to, as serve has it."`
	Namespace string `default:"hookproxy" env:"HOOKPROXY_NAMESPACE" help:"First part of every Redis key."`
	Refused   bool   `help:"Try again, after the others, those that were set aside because Redis refused them."`
}

// Run replays until the spool is empty, or Redis does not take it.
func (c *spoolReplayCommand) Run(ctx context.Context, std streams) error {
	var r settingReader
	options, err := parseRedis(c.Redis)
	if err != nil {
		r.refuse("redis", redactURL(c.Redis), "%v", err)
	}
	if !validNamespace(c.Namespace) {
		r.refuse("namespace", c.Namespace, "is not 1 to 64 of a-z, 0-9, -, _ and .")
	}
	if len(r.errs) > 0 {
		return r.errs
	}
	lanes, err := events.SpoolLanes(c.Spool)
	if err != nil {
		return err
	}
	at := layout.Layout{Namespace: c.Namespace, Lanes: lanes}
	spool, err := events.OpenSpool(c.Spool, events.SpoolOptions{Layout: at})
	if err != nil {
		return err
	}
	return errors.Join(c.replay(ctx, std.out, spool, options, at), spool.Close())
}

func (c *spoolReplayCommand) replay(ctx context.Context, out io.Writer, spool *events.Spool, o *redis.UniversalOptions, at layout.Layout) error {
	logRedisTo(slog.New(slog.DiscardHandler)) // the command's own error says it
	events.PublishOptions(o)
	client := redis.NewUniversalClient(o)
	defer client.Close()
	checking, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := layout.Check(checking, client, at); err != nil {
		return err
	}
	if c.Refused {
		if _, err := spool.Readmit(at); err != nil {
			return err
		}
	}
	n, err := events.NewPublisher(events.Options{Client: client, Layout: at, Spool: spool}).Drain(ctx)
	fmt.Fprintf(out, "%d replayed, %d waiting, %d refused\n", n, spool.Len(), spool.Refused())
	return err
}

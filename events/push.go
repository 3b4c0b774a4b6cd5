package events

import (
	"context"
	_ "embed"
	"errors"
	"io"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/redis/go-redis/v9"
)

//go:embed publish.lua
var publishLua string

var publishScript = layout.NewScript(publishLua)

// element is an encoded event and the list it belongs on.
type element struct {
	bytes  []byte
	parked bool
}

// push puts elements on a lane's lists and answers nil once Redis has
// acknowledged all of them. After any error some or all of them may stand there
// nevertheless: a timed-out command can still arrive. They are then pushed a
// second time, and dispatch drops the repetition by the event's id (the lane's
// seen keys).
//
// It answers how many of the oldest parked elements had to make room.
//
// No elements at all prove that the lane's node answers and runs the script.
// PING would not: a cluster client sends it to any node.
func push(ctx context.Context, client redis.Scripter, lane layout.Lane, elements []element) (dropped int, err error) {
	return publishScript.Run(ctx, client, lane, publishArgs(elements)...).Int()
}

func publishArgs(elements []element) []any {
	events := make([]any, 1, 1+len(elements))
	var parked []any
	for _, e := range elements {
		if e.parked {
			parked = append(parked, e.bytes)
		} else {
			events = append(events, e.bytes)
		}
	}
	events[0] = len(events) - 1
	return append(events, parked...)
}

// pushWithin is push with a deadline of its own. It takes no context from
// outside: a caller who leaves must not stop an event on its way.
func (l *lane) pushWithin(deadline time.Duration, elements []element) error {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	dropped, err := l.push(ctx, elements)
	l.tellDropped(dropped)
	return err
}

func (l *lane) push(ctx context.Context, elements []element) (dropped int, err error) {
	if l.replicas == 0 && (len(elements) >= plainFrom || l.backlog.Load()) && len(elements) > 0 && !slices.ContainsFunc(elements, isParked) {
		return 0, l.pushPlain(ctx, elements)
	}
	if l.replicas == 0 {
		return push(ctx, l.client, l.at, elements)
	}
	node, err := l.master(ctx)
	if err != nil {
		return 0, err
	}
	return l.pushReplicated(ctx, node, elements)
}

func isParked(e element) bool { return e.parked }

// plainFrom is how many elements are worth a second command, should it take one.
// Where others stand before them, it will not.
const plainFrom = 4

// pushPlain is push for elements that are all for events. To a script each is a
// string to be made first, and that costs Redis more than the rest of a publish.
//
// A worker has to be woken where the list was empty. Else the token stands there,
// or whoever has taken it looks at the list before it waits; but for elements
// whose acknowledgement was lost, which may stand there without one. Should
// waking fail, workers look for themselves every few seconds: the events are safe.
func (l *lane) pushPlain(ctx context.Context, elements []element) error {
	values := make([]any, len(elements))
	for i, e := range elements {
		values[i] = e.bytes
	}
	length, err := l.client.LPush(ctx, l.at.Events(), values...).Result()
	if err != nil {
		l.unsure.Store(true)
		return err
	}
	l.backlog.Store(length > int64(len(values)))
	if l.unsure.Swap(false) || !l.backlog.Load() {
		if err := wakeScript.Run(ctx, l.client, l.at).Err(); err != nil && !errors.Is(err, redis.Nil) {
			l.unsure.Store(true)
			l.log.Debug("no worker was woken", "error", err)
		}
	}
	return nil
}

var wakeScript = layout.NewScript("wake()\n")

// tellDropped counts and logs parked elements that had to make room.
func (l *lane) tellDropped(dropped int) {
	if dropped > 0 {
		l.metrics.dropped.Add(float64(dropped))
		if count, due := l.dropped.add(dropped, time.Now()); due {
			l.log.Error("too many events are parked: the oldest are gone", "count", count)
		}
	}
}

// passing are the error codes of replies that tell of Redis' state and not of
// what was sent: waiting helps. Older versions wrap a script's error into
// another text, as "ERR Error running script … -OOM command not allowed …".
var passing = []string{
	"OOM", "READONLY", "LOADING", "NOAUTH", "WRONGPASS", "NOPERM", "MISCONF", "MASTERDOWN", "CLUSTERDOWN",
	"TRYAGAIN", "MOVED", "ASK", "BUSY", "NOREPLICAS", "UNKILLABLE", "ERR max number of clients",
}

// refusal reports whether an error can mean that Redis will never take what was
// sent, such as an element over proto-max-bulk-len, to which Redis answers by
// closing the connection. A timeout never does: a network may let small packets
// through and not large ones, and waiting loses nothing.
func refusal(err error) bool {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	}
	text := reply.Error()
	for _, code := range passing {
		if strings.HasPrefix(text, code+" ") || strings.Contains(text, "-"+code+" ") {
			return false
		}
	}
	return true
}

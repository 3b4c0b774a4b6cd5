package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrTooFewReplicas says that Redis has an event, and fewer replicas than were
// asked for have confirmed it in time.
var ErrTooFewReplicas = errors.New("too few replicas have confirmed the event")

// maxPauseForReplicas is how long a replay waits at most to ask again whether
// replicas have caught up. Meanwhile events are delivered all the same.
const maxPauseForReplicas = 500 * time.Millisecond

// pipeliner is one connection to a master, or a client that has some.
type pipeliner interface {
	Pipelined(ctx context.Context, fn func(redis.Pipeliner) error) ([]redis.Cmder, error)
}

// master answers the client that leads to the node with the lane's slot. WAIT has
// no key by which a cluster's client could send it there.
func (l *lane) master(ctx context.Context) (*redis.Client, error) {
	switch c := l.client.(type) {
	case *redis.ClusterClient:
		return c.MasterForKey(ctx, l.at.Prefix)
	case *redis.Client:
		return c, nil
	}
	return nil, fmt.Errorf("waiting for replicas: the client is a %T; want a *redis.Client or a *redis.ClusterClient", l.client)
}

// pushReplicated is push, and in the same round trip WAIT: it answers
// ErrTooFewReplicas where Redis has the elements and too few replicas do.
func (l *lane) pushReplicated(ctx context.Context, to pipeliner, elements []element) (dropped int, err error) {
	var pushed *redis.Cmd
	var acked *redis.Cmd
	for _, whole := range []bool{false, true} {
		_, err = to.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			pushed = publishScript.Queue(ctx, pipe, whole, l.at, publishArgs(elements)...)
			// Its answer shall come before the deadline.
			acked = pipe.Do(ctx, "wait", l.replicas, (l.deadline * 4 / 5).Milliseconds())
			return nil
		})
		if !redis.HasErrorPrefix(pushed.Err(), "NOSCRIPT") {
			break
		}
	}
	dropped, pushErr := pushed.Int()
	replicas, _ := acked.Int() // err has its error
	switch {
	case pushErr != nil:
		l.relearn(ctx, pushErr)
		return dropped, pushErr
	case err != nil: // WAIT's
		return dropped, err
	case replicas < l.replicas:
		return dropped, fmt.Errorf("%w: %d of %d", ErrTooFewReplicas, replicas, l.replicas)
	}
	return dropped, nil
}

// relearn has a cluster's client ask which node has which slots. It does so by
// itself for a command that it routes, and not for one sent to a node.
func (l *lane) relearn(ctx context.Context, err error) {
	c, ok := l.client.(*redis.ClusterClient)
	if _, moved := redis.IsMovedError(err); ok && (moved || !isReply(err) || redis.IsReadOnlyError(err)) {
		c.ReloadState(ctx)
	}
}

func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// unconfirmed is what replay has sent to Redis and too few replicas have
// confirmed. It holds on to one connection, because that is what WAIT speaks of:
// the writes of its own connection. A connection that is lost, as to a master
// that has failed, says that everything must be sent again.
type unconfirmed struct {
	conn *redis.Conn // nil: there is none
	last []byte      // the key of the last element sent over it; nil: none yet
}

func (u *unconfirmed) forget() {
	if u.conn != nil {
		_ = u.conn.Close() // it is of no more use, whatever it says
	}
	*u = unconfirmed{}
}

// replayReplicated sends the next of the spool's elements to Redis, and lets the
// spool forget all those sent once enough replicas have them. Until then Redis
// has them too, and they are delivered; the spool keeps its copies.
//
// It answers as replayBatch does, but that a batch Redis did not take may be
// empty; or ErrTooFewReplicas without a batch.
func (l *lane) replayReplicated(size int, deadline time.Duration) ([]spooled, error) {
	batch, err := l.readable(l.sent.last, size)
	if err != nil {
		return nil, err
	}
	elements := make([]element, len(batch))
	for i, e := range batch {
		elements[i] = e.element
	}
	err = l.send(deadline, elements)
	if err != nil && !errors.Is(err, ErrTooFewReplicas) {
		l.sent.forget()
		return append([]spooled{}, batch...), err // not nil: it is not the spool's
	}
	if len(batch) > 0 {
		l.metrics.replayed.Add(float64(len(batch)))
		l.strikes, l.limit = 0, min(2*l.limit, maxReplay)
		l.sent.last = batch[len(batch)-1].key
	}
	if err != nil {
		return nil, err
	}
	l.endOutage()
	return nil, l.dropSent()
}

// send is push over the connection that is held.
func (l *lane) send(deadline time.Duration, elements []element) error {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if l.sent.conn == nil {
		node, err := l.master(ctx)
		if err != nil {
			return err
		}
		l.sent.conn = node.Conn()
	}
	dropped, err := l.pushReplicated(ctx, l.sent.conn, elements)
	l.tellDropped(dropped)
	return err
}

// dropSent lets the spool forget what has been confirmed, part by part.
func (l *lane) dropSent() error {
	for l.sent.last != nil {
		left, err := l.queue.dropThrough(l.sent.last, maxReplay)
		if err != nil {
			return err // tried again after the next confirmation
		}
		if !left {
			l.sent.last = nil
		}
	}
	l.sent.forget()
	return nil
}

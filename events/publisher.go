package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hookproxy/hookproxy/internal/buffer"
	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// DefaultDeadline is how long Redis has to acknowledge a batch of events.
const DefaultDeadline = 250 * time.Millisecond

// lossLogInterval is how often at most lost events are logged; each is counted.
const lossLogInterval = 10 * time.Second

// Options are what a Publisher works with.
type Options struct {
	// Client leads to Redis. Required, and made with PublishOptions, or else it
	// does not keep the Deadline.
	Client redis.UniversalClient
	// Layout is where the lists stand. Zero is the default namespace, one lane.
	Layout layout.Layout
	// Spool takes what Redis does not, and must have been opened with the same
	// Layout. Nil means none: events are lost while Redis is away.
	Spool *Spool
	// Deadline is how long Redis has to acknowledge a batch; zero means
	// DefaultDeadline. A replay, for which nobody waits, has 20 times as long.
	Deadline time.Duration
	// Replicas is how many of Redis' replicas must have an event before it counts
	// as safe, by WAIT; zero means that the master's acknowledgement is enough.
	// Until they have it the spool keeps a copy. It wants a *redis.Client or a
	// *redis.ClusterClient, and can wait in Deadline only.
	Replicas int
	// Log is where outages, losses and parked events are told. Nil: nowhere.
	Log *slog.Logger
	// Metrics is what counts. Nil: a registry that nobody reads.
	Metrics *Metrics
}

// Publisher is the way onto the Redis lists. Each lane has a writer of its own:
//
//	Publish ─► lane's group commit ─┬─► Redis, while it answers and the spool is empty
//	                                └─► spool ──Run replays in order──► Redis
//
// After a failure of Redis the lane's events go to the spool at once, without
// trying, until Run has found Redis well again and has emptied the spool. So
// per lane the order of sequential Publish calls, and that within one, holds
// across outages; but where the spool takes nothing more while Redis does, an
// event goes there out of order rather than nowhere.
//
// An event can stand on its list twice, with the same id: after a timeout that
// Redis acted on all the same. Dispatch drops the second.
type Publisher struct {
	client  redis.UniversalClient
	layout  layout.Layout
	lanes   []*lane
	spool   *Spool // nil: none
	log     *slog.Logger
	metrics *Metrics
	losses  losses
}

// NewPublisher answers a Publisher that can be used at once. It panics without
// a Client, and with a Spool opened for another number of lanes.
func NewPublisher(o Options) *Publisher {
	if o.Client == nil {
		panic("events: NewPublisher without a Client")
	}
	if o.Spool != nil && len(o.Spool.queues) != o.Layout.Count() {
		panic("events: the Spool was opened with another Layout")
	}
	if o.Deadline <= 0 {
		o.Deadline = DefaultDeadline
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(prometheus.NewRegistry())
	}
	warnOfSlowClient(o.Client, o.Log)
	o.Metrics.spool.Store(o.Spool)
	p := &Publisher{client: o.Client, layout: o.Layout, spool: o.Spool, log: o.Log, metrics: o.Metrics}
	for _, at := range o.Layout.All() {
		p.lanes = append(p.lanes, newLane(at, o))
	}
	return p
}

// entry is one event on its way, and what has become of it.
type entry struct {
	element
	call   *call
	memory *buffer.Buffer // of the element

	// Set before the call is done:
	to  string // toRedis or toSpool, if err is nil
	err error
}

// call is one Publish that waits for its entries.
type call struct {
	pending sync.WaitGroup
	entries []*entry
	// Most have one, which takes no memory of its own.
	only  entry
	first [1]*entry
}

func newCall(size int) *call {
	c := new(call)
	c.entries = c.first[:]
	if size == 1 {
		c.first[0] = &c.only
	} else {
		made := make([]entry, size)
		c.entries = make([]*entry, size)
		for i := range made {
			c.entries[i] = &made[i]
		}
	}
	c.pending.Add(size)
	return c
}

// release gives the elements' memory back: neither Redis nor the spool looks at
// them any more once their fate is decided.
func (c *call) release() {
	for _, e := range c.entries {
		e.memory.Release()
	}
}

func (e *entry) settle(to string, err error) {
	e.to, e.err = to, err
	e.call.pending.Done()
}

// Publish returns when every event of the batch is safe: acknowledged by Redis
// or fsynced in the spool. Where one of them is not it answers a LostError,
// which wraps ErrNowhere and the causes, and says which. It keeps nothing of the
// batch.
//
// It does not stop when ctx does, which serves the log alone: what happened at
// the API has happened, whether or not the client still waits. Its own deadlines
// bound it: Redis' for the batch in flight and for its own, and the spool's Patience.
func (p *Publisher) Publish(ctx context.Context, batch []Event) error {
	if len(batch) == 0 {
		return nil
	}
	start := time.Now()
	defer func() { p.metrics.duration.Observe(time.Since(start).Seconds()) }()
	c := newCall(len(batch))
	defer c.release()
	if err := p.encode(c, batch); err != nil {
		return err
	}
	p.handIn(batch, c.entries)
	c.pending.Wait()
	return p.report(ctx, batch, c.entries)
}

func (p *Publisher) encode(c *call, batch []Event) error {
	for i, e := range c.entries {
		event := &batch[i]
		e.call, e.parked, e.memory = c, event.Parked != "", buffer.Get(event.room())
		var err error
		if e.bytes, err = event.encodeTo(e.memory.Bytes); err != nil {
			p.metrics.lost.Add(float64(len(batch)))
			return fmt.Errorf("%w: %w", ErrNowhere, err)
		}
	}
	return nil
}

// handIn gives each lane its entries in one go, so that their order holds.
func (p *Publisher) handIn(batch []Event, entries []*entry) {
	if len(p.lanes) == 1 {
		p.lanes[0].waiting.add(entries...)
		return
	}
	byLane := map[int][]*entry{}
	for i, e := range entries {
		number := p.layout.Of(batch[i].User).Number
		byLane[number] = append(byLane[number], e)
	}
	for number, own := range byLane {
		p.lanes[number].waiting.add(own...)
	}
}

// report counts what has become of the events, tells of those parked or lost,
// and answers Publish's error.
func (p *Publisher) report(ctx context.Context, batch []Event, entries []*entry) error {
	var errs []error
	var lost []int
	for i, e := range entries {
		if e.err != nil {
			lost = append(lost, i)
			if !slices.Contains(errs, e.err) { // a lane gives the same one to all it fails
				errs = append(errs, e.err)
			}
			continue
		}
		p.metrics.published[e.to].Inc()
		if reason := batch[i].Parked; reason != "" {
			p.metrics.parked.WithLabelValues(p.metrics.parkedReason(reason)).Inc()
			p.log.LogAttrs(ctx, slog.LevelWarn, "event parked: it cannot be routed yet",
				slog.String("event", batch[i].Name), slog.String("id", batch[i].ID), slog.String("reason", reason))
		}
	}
	if len(lost) == 0 {
		return nil
	}
	err := errors.Join(errs...)
	p.metrics.lost.Add(float64(len(lost)))
	if count, due := p.losses.add(len(lost), time.Now()); due {
		p.log.LogAttrs(ctx, slog.LevelError, "EVENTS LOST", slog.Int("count", count), slog.Any("error", err))
	}
	return &LostError{Lost: lost, Err: err}
}

// Run replays the spool and finds out when Redis is back, until ctx is done;
// it must run, with or without a spool, or an outage never ends. When it
// returns, always nil, the batch in flight and every Publish that had handed in
// its events have come to their end; what is still in the spool stays for the
// next start. The Spool is closed after that, by whoever opened it.
func (p *Publisher) Run(ctx context.Context) error {
	var replays sync.WaitGroup
	if p.spool != nil {
		replays.Go(func() { p.spool.mend(ctx) }) // ends with ctx, waited for below
	}
	for _, l := range p.lanes {
		replays.Go(func() { l.replay(ctx) }) // ends with ctx, waited for below
	}
	replays.Wait()
	for _, l := range p.lanes {
		l.waiting.settle()
	}
	return nil
}

// losses counts events lost, in one way, between two log lines about them.
type losses struct {
	mu    sync.Mutex
	count int
	told  time.Time
}

// add answers the losses to tell of, and whether it is time to.
func (l *losses) add(n int, now time.Time) (count int, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count += n
	if !l.told.IsZero() && now.Sub(l.told) < lossLogInterval {
		return 0, false
	}
	count, l.count, l.told = l.count, 0, now
	return count, true
}

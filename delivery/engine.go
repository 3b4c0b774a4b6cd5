// Package delivery takes events off the Redis list, makes a delivery of each
// for every subscription that wants it, and posts it to the subscription's
// target URL: signed, retried, at least once.
//
//	events ──dispatch──► queue ──claim──► lease ──send──► finish ──► done
//	                       ▲                                │
//	                       └── retry, when it is due ◄──────┤
//	                                     dead, until redelivered or expired
//
// Everything between the arrows is in Redis. A process that dies loses its
// leases and nothing else; any other goes on where it stopped.
package delivery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/internal/addresses"
	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/subscriptions"
)

// Defaults of Options.
const (
	DefaultWorkers         = 64
	DefaultPerSubscription = 8
	DefaultMaxBacklog      = 10_000
	DefaultMaxKept         = 64 << 20
	DefaultMaxQueued       = 1_000_000
	DefaultRetain          = 30 * 24 * time.Hour
	DefaultBreakAfter      = 10
	DefaultTimeout         = 15 * time.Second
	DefaultDrainTimeout    = 20 * time.Second
)

const (
	// leaseFor is how long a delivery stays with a process that no longer says
	// so; twice a POST's timeout, and renewed three times in between.
	leaseFor   = 30 * time.Second
	renewEvery = 10 * time.Second
	// idleWait is how long a lane's loop blocks on Redis at most. It is two
	// commands each time: so long, two idle processes send fewer than one a second.
	idleWait = 6 * time.Second
	// finishGrace is how long after draining Redis may take to hear the last ends.
	finishGrace = 3 * time.Second
)

// Remover removes the subscription of a target that answered 410 Gone.
type Remover interface {
	// Remove deletes a subscription by its id; one that is gone already is no
	// error. An error means that the store could not be asked.
	Remove(ctx context.Context, id string) error
}

// Options says what an Engine works with and on.
type Options struct {
	// Client is the Redis that holds the deliveries: a *redis.Client or a
	// *redis.ClusterClient. Required. The engine does not close it.
	Client redis.UniversalClient
	// Layout names the keys.
	Layout layout.Layout
	// Subscriptions removes those that are gone. Required.
	Subscriptions Remover
	// Secrets opens the secrets that deliveries are signed with. Nil: they are
	// kept as they are.
	Secrets *subscriptions.Sealer
	// SigningKeys sign for subscriptions that ask for v1a. Nil: what is for those
	// waits, uncharged.
	SigningKeys *subscriptions.SigningKeys
	// Addresses tells which target addresses may be dialled. Zero: public ones.
	Addresses addresses.Policy
	// Workers bounds the deliveries under way in this process. Zero: DefaultWorkers.
	Workers int
	// PerSubscription bounds the deliveries under way to one subscription, over
	// all processes. Zero: DefaultPerSubscription.
	PerSubscription int
	// RetryWorkers bounds the deliveries under way that have failed before, so that
	// targets which fail slowly leave workers to the others. Zero: half of Workers.
	RetryWorkers int
	// BreakAfter is how many attempts must fail in a row for a subscription to be
	// left alone for a while; one that fails more often than not is, too. Zero:
	// DefaultBreakAfter.
	BreakAfter int
	// MaxBacklog is how many deliveries an inactive subscription keeps; beyond
	// it the oldest go. Zero: DefaultMaxBacklog.
	MaxBacklog int
	// MaxKept is how many bytes of deliveries an inactive subscription keeps;
	// beyond it the oldest go. Zero: DefaultMaxKept.
	MaxKept int64
	// MaxQueued is how many deliveries may wait for one active subscription;
	// beyond it the oldest are lost, counted and logged as errors. Zero:
	// DefaultMaxQueued.
	MaxQueued int
	// Retain is how long dead letters are kept, from when they were given up.
	// Zero: DefaultRetain.
	Retain time.Duration
	// Schedule spaces the attempts. Nil: DefaultSchedule.
	Schedule Schedule
	// Timeout bounds one exchange with a target, whole. Zero: DefaultTimeout.
	Timeout time.Duration
	// DrainTimeout is how long shutdown lets exchanges under way go on. Zero:
	// DefaultDrainTimeout.
	DrainTimeout time.Duration
	// Version is what the User-Agent says after "hookproxy/". Empty: "dev".
	Version string
	// TLS is for https targets. Nil: the system's roots.
	TLS *tls.Config
	// EgressProxy is an http or https URL, credentials and all, of a proxy that
	// targets are reached through, by CONNECT. Nil: there is none.
	EgressProxy *url.URL
	// Resolver turns target names into addresses. Nil: the system's.
	Resolver *net.Resolver
	// Log and Metrics; nil means none are kept.
	Log     *slog.Logger
	Metrics *Metrics
	// Offset, in ms, is added to Redis' clock. For tests; nil: none.
	Offset func() int64
}

// Engine delivers. Any number may work on the same Redis.
type Engine struct {
	options Options
	sender  *sender
	// slots are for what is claimed: one for each worker, and as many for deliveries
	// that wait for one, since all workers may end while a claim is on its way.
	slots   slots
	retries slots
	lanes   []*lane
	backlog *backlog // of every lane
	// idle is idleWait, but in tests.
	idle time.Duration
}

// lane is what the engine keeps per lane.
type lane struct {
	queue    *queue
	inflight *inflight
	finished chan finished
}

// New answers an engine that does nothing until Run, or an error that names the
// option that will not do.
func New(o Options) (*Engine, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("delivery: %w", err)
	}
	e := &Engine{options: o, sender: newSender(o), slots: newSlots(2 * o.Workers), retries: newSlots(o.RetryWorkers), backlog: new(backlog), idle: idleWait}
	e.backlog.keep(o.MaxBacklog, o.MaxKept)
	for _, l := range o.Layout.All() {
		e.lanes = append(e.lanes, &lane{
			queue: &queue{
				client: o.Client, lane: l, offset: o.Offset, leaseFor: leaseFor,
				cap: o.PerSubscription, breakAfter: o.BreakAfter, backlog: e.backlog,
				maxQueued: o.MaxQueued, retain: o.Retain,
			},
			inflight: newInflight(),
			finished: make(chan finished, o.Workers),
		})
	}
	return e, nil
}

// Keep changes MaxBacklog and MaxKept, for events that are dispatched from now on.
// Zero means the default.
func (e *Engine) Keep(most int, bytes int64) {
	setDefault(&most, DefaultMaxBacklog)
	setDefault(&bytes, DefaultMaxKept)
	e.backlog.keep(most, bytes)
}

func (o *Options) setDefaults() {
	setDefault(&o.Workers, DefaultWorkers)
	setDefault(&o.PerSubscription, DefaultPerSubscription)
	setDefault(&o.MaxQueued, DefaultMaxQueued)
	setDefault(&o.Retain, DefaultRetain)
	setDefault(&o.RetryWorkers, max(o.Workers/2, 1))
	setDefault(&o.BreakAfter, DefaultBreakAfter)
	setDefault(&o.MaxBacklog, DefaultMaxBacklog)
	setDefault(&o.MaxKept, DefaultMaxKept)
	setDefault(&o.Timeout, DefaultTimeout)
	setDefault(&o.DrainTimeout, DefaultDrainTimeout)
	setDefault(&o.Version, "dev")
	if o.Schedule == nil {
		o.Schedule = DefaultSchedule()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(prometheus.NewRegistry())
	}
	if o.Offset == nil {
		o.Offset = func() int64 { return 0 }
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (o *Options) validate() error {
	var errs []error
	if o.Client == nil {
		errs = append(errs, errors.New("Client is missing"))
	}
	if o.Subscriptions == nil {
		errs = append(errs, errors.New("Subscriptions is missing"))
	}
	for name, value := range map[string]int64{
		"Workers": int64(o.Workers), "PerSubscription": int64(o.PerSubscription), "MaxBacklog": int64(o.MaxBacklog), "MaxKept": o.MaxKept,
		"RetryWorkers": int64(o.RetryWorkers), "BreakAfter": int64(o.BreakAfter), "MaxQueued": int64(o.MaxQueued), "Retain": int64(o.Retain),
		"Timeout": int64(o.Timeout), "DrainTimeout": int64(o.DrainTimeout),
	} {
		if value < 0 {
			errs = append(errs, fmt.Errorf("%s is %d: want a positive value", name, value))
		}
	}
	return errors.Join(append(errs, o.Schedule.validate())...)
}

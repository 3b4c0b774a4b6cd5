package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/delivery"
	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/internal/addresses"
	"github.com/hookproxy/hookproxy/internal/record"
	"github.com/hookproxy/hookproxy/proxy"
	"github.com/hookproxy/hookproxy/subscriptions"
)

// program is all of hookproxy as one value, wired but for its rules and
// settings, that a test can start on port 0 and stop.
//
//	front ─► publisher ─► Redis ─► engine ─► target URLs
//	             └─► spool ─┘
type program struct {
	// openSpoolFile is events.OpenSpool, but for tests of a disk that fails.
	openSpoolFile func(string, events.SpoolOptions) (*events.Spool, error)

	// resolver turns target names into addresses; nil for the system's, but in tests.
	resolver *net.Resolver

	config   config
	log      *slog.Logger
	registry *prometheus.Registry
	health   *health
	closers  closers
	own      addresses.Own // never delivered to

	watch      *redisWatch           // knows how Redis is
	redis      redis.UniversalClient // for everything but publishing
	store      *subscriptions.Store
	operations *delivery.Operations // on what engines have in Redis
	embedded   *embeddedRedis       // nil with a real Redis
	spool      *events.Spool        // nil where there is none
	publisher  *events.Publisher    // nil where nothing is forwarded
	engine     *delivery.Engine     // nil where nothing is delivered
	proxy      *proxy.Proxy         // nil where nothing is forwarded
	recorder   *record.Recorder     // nil where nothing is recorded
	ruler      *ruler               // nil where nothing is forwarded
	reloader   *reloader            // nil where there is no rules file
	hangups    <-chan os.Signal     // have the rules file loaded; nil: none come
	front      *server              // serves proxy
	admin      *server              // nil where there is none
}

// newProgram opens everything that the settings name: listeners, the spool,
// Redis clients. Redis itself may be away; what can be wrong with a setting is
// found here. On an error nothing stays open.
func newProgram(ctx context.Context, c config, log *slog.Logger) (*program, error) {
	p := &program{config: c, log: log, openSpoolFile: events.OpenSpool}
	return p, p.open(ctx)
}

func (p *program) open(ctx context.Context) error {
	p.registry, p.health = prometheus.NewRegistry(), &health{}
	p.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, open := range []func(context.Context) error{
		p.openRedis, p.openPublisher, p.openFront, p.openEngine, p.openRules, p.openAdmin,
	} {
		if err := open(ctx); err != nil {
			return errors.Join(err, p.closers.close())
		}
	}
	return nil
}

// run serves until ctx is done or a part of the program fails. It stops in this
// order, so that what one part still hands on, the next is there to take:
//
//  1. readiness says stopped; the front stops accepting and finishes its
//     requests, each with its events; the engine stops claiming and finishes
//     its deliveries, or hands them back;
//  2. the publisher finishes what is pending;
//  3. the admin listener, so that the drain could be watched; the embedded Redis;
//  4. clients and files are closed.
//
// All of it takes no longer than the drain timeout and lateGrace.
func (p *program) run(ctx context.Context) error {
	p.announce()
	p.health.serving.Store(true)
	context.AfterFunc(ctx, func() {
		p.health.serving.Store(false)
		p.log.Info("stopping", "within", p.config.drainTimeout)
	})
	err := runComponents(ctx, p.config.drainTimeout, p.phases())
	p.health.serving.Store(false)
	if err != nil {
		p.log.Error("stopped", "error", err)
		return err
	}
	p.log.Info("stopped")
	return nil
}

func (p *program) phases() [][]component {
	var working, publishing []component
	rest := []component{{"Redis", p.watch.run}, {"doctor", p.examineLater}}
	if p.front != nil {
		working = append(working, component{"proxy", p.runFront})
		publishing = append(publishing, component{"publisher", p.publisher.Run})
	}
	if p.engine != nil {
		working = append(working, component{"delivery", p.runEngine})
	}
	if p.reloader != nil {
		working = append(working, component{"rules file", (&rulesWatch{reloader: p.reloader, signals: p.hangups, log: p.log}).run})
	}
	if p.admin != nil {
		rest = append(rest, component{"admin", p.admin.run})
	}
	if p.recorder != nil {
		rest = append(rest, component{"recorder", p.recorder.Run})
	}
	if p.embedded != nil {
		rest = append(rest, component{"embedded Redis", p.embedded.run})
	}
	return [][]component{working, publishing, rest, {{"clients and files", p.closeAll}}}
}

// closeAll is a component for its end: what others work with is closed in the
// last phase, and in time.
func (p *program) closeAll(ctx context.Context) error {
	<-ctx.Done()
	return p.closers.close()
}

// workShare is what requests and deliveries have of the drain timeout. The rest
// is for making their events and outcomes safe.
func (p *program) workShare() time.Duration { return p.config.drainTimeout / 10 * 8 }

// settleShare is when in the drain timeout the events of requests that were cut,
// or whose clients have gone, must be with the publisher.
func (p *program) settleShare() time.Duration { return p.config.drainTimeout / 10 * 9 }

// runFront serves until ctx is done, and returns when no request is left, or
// there is no more time for one.
func (p *program) runFront(ctx context.Context) error {
	if err := p.front.run(ctx); err != nil {
		return err
	}
	settled, cancel := context.WithDeadline(context.Background(), p.front.stopping.Add(p.settleShare()))
	defer cancel()
	if err := p.proxy.Wait(settled); err != nil {
		p.log.Warn("requests given up: their events, if they were to have any, may be missing", "requests", p.front.requests.Load(), "error", err)
	}
	p.logUnmatched()
	return nil
}

// announce says where everything is, and what the settings give up.
func (p *program) announce() {
	if p.embedded != nil {
		p.log.Warn("the embedded Redis lives in this process: subscriptions and events are gone when it ends")
	}
	if p.front != nil {
		p.log.Info("forwarding", "listen", p.front.url(), "upstream", p.config.upstream.String(), "rules", len(p.config.rules.Rules))
		if p.health.spool() == spoolNone {
			p.log.Warn("no spool: an event that Redis does not take at once is lost")
		}
	}
	if p.engine != nil {
		p.log.Info("delivering", "workers", p.config.workers)
	}
	if p.admin != nil {
		p.log.Info("admin", "listen", p.admin.url())
	}
}

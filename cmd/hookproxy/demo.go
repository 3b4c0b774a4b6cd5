package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/hookproxy/hookproxy/examples"
	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/sample"
	"github.com/hookproxy/hookproxy/rules"
)

const (
	demoListen  = "127.0.0.1:8080" // preferred; another port where it is taken
	demoAnyPort = "127.0.0.1:0"
	demoWait    = 5 * time.Second // for the hook to arrive
	demoDrain   = 2 * time.Second
	demoWorkers = 8
	demoBacklog = 256 // hooks the receiver holds until they are printed
)

// demoCommand shows the main job with nothing but this program.
type demoCommand struct {
	Once    bool `help:"Do the round trip and exit: 0 where every step went well."`
	Verbose bool `help:"Print hookproxy's own log as well."`
}

// Run starts everything, drives the round trip, and then, but for --once, stays
// up for the user to go on by hand.
func (d *demoCommand) Run(ctx context.Context, std streams) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	log := slog.New(slog.DiscardHandler)
	if d.Verbose {
		log = newLogger(std.err, false, slog.LevelInfo)
	}
	stage, err := newDemoStage(ctx, d.Once, log)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- stage.run(ctx) }() // ends with ctx, waited for below

	show := demoShow{stage: stage, out: std.out}
	failed := show.roundTrip(ctx)
	if failed == nil && !d.Once {
		failed = show.goOn(ctx)
	}
	cancel()
	return errors.Join(failed, <-ended)
}

// demoStage is everything that the demo runs: the sample API, the program as
// serve would start it, and a subscriber's receiver.
type demoStage struct {
	api, hooks *server
	receiver   *sample.Receiver
	program    *program
}

func newDemoStage(ctx context.Context, once bool, log *slog.Logger) (*demoStage, error) {
	receiver := sample.NewReceiver(demoBacklog)
	api, err := serveLoopback(sample.NewAPI().Handler())
	if err != nil {
		return nil, err
	}
	stage := &demoStage{api: api, receiver: receiver}
	stage.hooks, err = serveLoopback(http.HandlerFunc(stage.receive))
	if err != nil {
		return nil, err
	}
	config, err := demoConfig(api.url(), once)
	if err != nil {
		return nil, err
	}
	stage.program, err = newProgram(ctx, config, log)
	return stage, err
}

// receive takes a delivery. A subscription made by hand has shown its secret to
// the user alone; for the receiver to verify its deliveries too, the demo looks
// the secret up where it is kept.
func (s *demoStage) receive(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("X-Hook-Subscription")
	for _, account := range sample.Accounts {
		if found, err := s.program.store.Get(r.Context(), strconv.Itoa(account.ID), id); err == nil {
			s.receiver.Expect(id, found.Secret)
		}
	}
	s.receiver.ServeHTTP(w, r)
}

// run keeps the stage up until ctx is done: the program ends first, then what
// it talks to.
func (s *demoStage) run(ctx context.Context) error {
	return runComponents(ctx, demoDrain+lateGrace, [][]component{
		{{"hookproxy", s.program.run}},
		{{"sample API", s.api.run}, {"receiver", s.hooks.run}},
	})
}

func serveLoopback(handler http.Handler) (*server, error) {
	listener, err := listen(demoAnyPort)
	if err != nil {
		return nil, err
	}
	return &server{
		http:     &http.Server{Handler: handler, ReadHeaderTimeout: adminHeaderTimeout},
		listener: listener, drain: demoDrain,
	}, nil
}

// demoConfig is what serve would be given: the sample API, the reference rules,
// the embedded Redis, and leave to deliver to this machine.
func demoConfig(upstream string, once bool) (config, error) {
	file, err := rules.Parse("examples/rules.yaml", examples.Rules)
	if err != nil {
		return config{}, fmt.Errorf("the reference rules: %w", err)
	}
	api, err := url.Parse(upstream)
	if err != nil {
		return config{}, err
	}
	c := config{
		listen: demoListen, admin: demoAnyPort, proxies: true, delivers: true,
		upstream: api, rules: file, layout: layout.Layout{},
		allowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		workers:       demoWorkers, drainTimeout: demoDrain,
	}
	if once || taken(demoListen) {
		c.listen = demoAnyPort
	}
	return c, nil
}

// taken tells whether somebody listens on an address already.
func taken(address string) bool {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return true
	}
	return listener.Close() != nil
}

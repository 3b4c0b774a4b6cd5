package main

import (
	"context"
	"fmt"
)

// growth measures hookproxy alone while one thing grows tenfold, and again.
func growth(ctx context.Context, b *bench) error {
	upstream, err := b.startUpstream(ctx)
	if err != nil {
		return err
	}
	defer upstream.stop()
	for _, grow := range []func(context.Context, *bench, *process) error{growRules, growLoad} {
		if err := grow(ctx, b, upstream); err != nil {
			return err
		}
	}
	if err := growSubscriptions(ctx, b); err != nil {
		return err
	}
	return growBacklog(ctx, b)
}

// cpuUnit is what most curves show.
const cpuUnit = "µs of CPU a request"

func growRules(ctx context.Context, b *bench, upstream *process) error {
	c := b.report.curve("rules", "rules, none matching", cpuUnit)
	for _, n := range []int{10, 100, 1000, 10000} {
		err := withHookproxy(ctx, b, upstream, n, func(s started) error {
			return c.measure(ctx, b, n, s, load{call: get(512), connections: 64})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// growLoad lets connections grow, and then bodies.
func growLoad(ctx context.Context, b *bench, upstream *process) error {
	return withHookproxy(ctx, b, upstream, 10, func(s started) error {
		c := b.report.curve("connections", "connections", cpuUnit)
		for _, n := range []int{8, 80, 800} {
			if err := c.measure(ctx, b, n, s, load{call: get(512), connections: n}); err != nil {
				return err
			}
		}
		c = b.report.curve("bodies", "bytes of body", cpuUnit)
		for _, size := range []int{512, 5120, 51200, 512000} {
			if err := c.measure(ctx, b, size, s, load{call: get(size), connections: 64}); err != nil {
				return err
			}
		}
		return nil
	})
}

func withHookproxy(ctx context.Context, b *bench, upstream *process, rules int, do func(started) error) error {
	p, err := b.startHookproxy(ctx, upstream.addr, "127.0.0.1:1", unmatchedRules(rules))
	if err != nil {
		return err
	}
	defer p.stop()
	return do(started{"hookproxy", p.addr, []*process{p}})
}

// measure adds a point to the curve: the CPU of a request.
func (c *curve) measure(ctx context.Context, b *bench, x int, s started, l load) error {
	m, _, err := measure(ctx, s, l, b.Duration)
	if err != nil {
		return fmt.Errorf("%s at %d: %w", c.name, x, err)
	}
	c.add(float64(x), m.cpu)
	return nil
}

func growSubscriptions(ctx context.Context, b *bench) error {
	c := b.report.curve("subscriptions", "subscriptions", "deliveries a second")
	for _, n := range []int{10, 100, 1000} {
		if err := growDelivery(ctx, b, c, n, n, b.Events); err != nil {
			return err
		}
	}
	return nil
}

func growBacklog(ctx context.Context, b *bench) error {
	c := b.report.curve("backlog", "events waiting", "deliveries a second")
	for _, n := range []int{b.Events / 10, b.Events, b.Events * 10} {
		if err := growDelivery(ctx, b, c, n, subscribers, n); err != nil {
			return err
		}
	}
	return nil
}

// growDelivery adds a point: the rate at which so many events leave for so many
// subscriptions.
func growDelivery(ctx context.Context, b *bench, c *curve, x, subscriptions, n int) error {
	s, err := b.newStage(ctx, 0)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.subscribe(ctx, subscriptions); err != nil {
		return err
	}
	w := workers[len(workers)-1]
	w.prepare = func(ctx context.Context, s *stage, n int) error { return s.push(ctx, n, eventNames(subscriptions)) }
	m, _, err := s.deliver(ctx, w, n)
	if err != nil {
		return fmt.Errorf("%s at %d: %w", c.name, x, err)
	}
	c.add(float64(x), m.rate)
	return nil
}

package main

import "context"

// modest is the requests a second at which latency is measured: a rate that every
// peer can bear.
const modest = 500

// latency measures what each peer adds to the time of an answer.
func latency(ctx context.Context, b *bench) error {
	upstream, err := b.startUpstream(ctx)
	if err != nil {
		return err
	}
	defer upstream.stop()
	peers, stop, err := b.startAll(ctx, b.proxies(10), upstream)
	if err != nil {
		return err
	}
	defer stop()
	t := b.report.latencies("Latency added to a GET of 512 bytes, at 500 requests a second over 16 connections", "direct")
	for range b.Rounds {
		for _, s := range peers {
			m, _, err := measure(ctx, s, load{call: get(512), connections: 16, rate: modest}, b.Duration)
			if err != nil {
				return err
			}
			t.add(s.name, m)
		}
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/redis/go-redis/v9"
)

// hookproxyEvents is the list that hookproxy puts events on, in its only lane.
const hookproxyEvents = "hookproxy:{0}:events"

// capturer is a peer that puts each answer onto a Redis list.
type capturer struct {
	started
	list string
}

// captured measures writes that become events. What Redis spends on them counts.
func captured(ctx context.Context, b *bench) error {
	upstream, err := b.startUpstream(ctx)
	if err != nil {
		return err
	}
	defer upstream.stop()
	server, err := b.startRedis(ctx)
	if err != nil {
		return err
	}
	defer server.stop()
	client := redis.NewClient(&redis.Options{Addr: server.addr})
	defer client.Close()
	peers, stop, err := b.startCapturers(ctx, upstream, server)
	if err != nil {
		return err
	}
	defer stop()
	for _, size := range []int{512, 64 << 10} {
		t := b.report.table(fmt.Sprintf("Capture: POST answered 201 with %d bytes, an event each, 64 connections; Redis' CPU included", size), "nginx + Lua")
		post := call{method: http.MethodPost, path: fmt.Sprintf("/size/%d", size), body: body(512), status: http.StatusCreated, want: body(size)}
		for range b.Rounds {
			for _, c := range peers {
				m, requests, err := measure(ctx, c.started, load{call: post, connections: 64}, b.Duration)
				if err != nil {
					return err
				}
				if err := checkEvents(ctx, client, c, requests); err != nil {
					return err
				}
				t.add(c.name, m)
			}
		}
		t.mark("ahead of nginx + Lua", "hookproxy", "nginx + Lua", 1)
	}
	return nil
}

func (b *bench) startCapturers(ctx context.Context, upstream, server *process) ([]capturer, func(), error) {
	peers := []peer{{"hookproxy", func(ctx context.Context, b *bench, upstream string) (*process, error) {
		return b.startHookproxy(ctx, upstream, server.addr, unmatchedRules(9)+captureRule)
	}}}
	lists := []string{hookproxyEvents}
	if b.binaries.lua != "" {
		lua := configured(func(b binaries) string { return b.lua }, "nginx-lua.conf", nginxLua(server.addr), "-p", "DIR", "-c", "CONFIG")
		peers, lists = append(peers, peer{"nginx + Lua", lua}), append(lists, "events")
	}
	all, stop, err := b.startAll(ctx, peers, upstream)
	if err != nil {
		return nil, nil, err
	}
	var capturers []capturer
	for i, s := range all {
		s.processes = append([]*process{server}, s.processes...)
		capturers = append(capturers, capturer{s, lists[i]})
	}
	return capturers, stop, nil
}

// checkEvents wants an event for each request, and takes them away.
func checkEvents(ctx context.Context, client *redis.Client, c capturer, requests int) error {
	events, err := client.LLen(ctx, c.list).Result()
	if err != nil {
		return err
	}
	if int(events) != requests {
		return fmt.Errorf("%s: %d requests, but %d events in Redis", c.name, requests, events)
	}
	return client.Unlink(ctx, c.list).Err()
}

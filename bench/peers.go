package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// peer is one of those that are measured beside each other.
type peer struct {
	name string
	// start answers the peer in front of an upstream; nil for the upstream itself.
	start func(ctx context.Context, b *bench, upstream string) (*process, error)
}

// started is a peer that listens.
type started struct {
	name      string
	addr      string
	processes []*process // what its work costs
}

// startUpstream starts the API that all peers stand before.
func (b *bench) startUpstream(ctx context.Context) (*process, error) {
	return b.listening(ctx, "upstream", func(addr string) []string { return []string{b.binaries.self, "upstream", "--listen", addr} })
}

// listening starts a program on a free address.
func (b *bench) listening(ctx context.Context, name string, args func(addr string) []string) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	command := args(addr)
	return startServer(ctx, name, addr, command[0], command[1:]...)
}

// startRedis starts a Redis that keeps nothing on disk: its disk is not what is
// measured.
func (b *bench) startRedis(ctx context.Context) (*process, error) {
	return b.listening(ctx, "Redis", func(addr string) []string {
		host, port, _ := strings.Cut(addr, ":")
		return []string{b.binaries.redis, "--bind", host, "--port", port, "--dir", b.dir, "--save", "", "--appendonly", "no"}
	})
}

// configure writes a configuration and answers its path.
func (b *bench) configure(name, text string) (string, error) {
	path := filepath.Join(b.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// configured is a peer that reads all it needs from a file.
func configured(path func(binaries) string, file string, text func(b *bench, addr, upstream string) string, args ...string) func(context.Context, *bench, string) (*process, error) {
	return func(ctx context.Context, b *bench, upstream string) (*process, error) {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		config, err := b.configure(file, text(b, addr, upstream))
		if err != nil {
			return nil, err
		}
		given := make([]string, len(args))
		for i, arg := range args {
			given[i] = strings.ReplaceAll(strings.ReplaceAll(arg, "CONFIG", config), "DIR", b.dir)
		}
		return startServer(ctx, file, addr, path(b.binaries), given...)
	}
}

// proxies are the peers of pass-through that are there.
func (b *bench) proxies(rules ...int) []peer {
	peers := []peer{
		{"direct", nil},
		{"httputil.ReverseProxy", func(ctx context.Context, b *bench, upstream string) (*process, error) {
			return b.listening(ctx, "ReverseProxy", func(addr string) []string {
				return []string{b.binaries.self, "reverse", "--listen", addr, "--to", "http://" + upstream}
			})
		}},
	}
	if b.binaries.nginx != "" {
		peers = append(peers, peer{"nginx", configured(func(b binaries) string { return b.nginx }, "nginx.conf", nginxConfig, "-p", "DIR", "-c", "CONFIG")})
	}
	if b.binaries.haproxy != "" {
		peers = append(peers, peer{"HAProxy", configured(func(b binaries) string { return b.haproxy }, "haproxy.cfg", haproxyConfig, "-db", "-f", "CONFIG")})
	}
	if b.binaries.caddy != "" {
		peers = append(peers, peer{"Caddy", configured(func(b binaries) string { return b.caddy }, "caddy.json", caddyConfig, "run", "--config", "CONFIG")})
	}
	for _, n := range rules {
		peers = append(peers, peer{hookproxyWith(n), func(ctx context.Context, b *bench, upstream string) (*process, error) {
			return b.startHookproxy(ctx, upstream, "127.0.0.1:1", unmatchedRules(n))
		}})
	}
	return peers
}

func hookproxyWith(rules int) string { return fmt.Sprintf("hookproxy, %d rules", rules) }

// startHookproxy starts the proxy alone. No Redis is needed for requests that no
// rule matches.
func (b *bench) startHookproxy(ctx context.Context, upstream, redis, rules string) (*process, error) {
	return b.listening(ctx, "hookproxy", func(addr string) []string {
		path, err := b.configure("rules-"+strings.ReplaceAll(addr, ":", "-")+".yaml", rules)
		if err != nil {
			return []string{"/nonexistent"} // and the start will say so
		}
		return []string{b.binaries.hookproxy, "serve", "--role", "proxy", "--listen", addr, "--upstream", "http://" + upstream, "--rules", path,
			"--redis", "redis://" + redis, "--spool", "none", "--admin", "none",
			"--allow-networks", "127.0.0.0/8", "--log-level", "error"}
	})
}

// startAll starts peers before one upstream.
func (b *bench) startAll(ctx context.Context, peers []peer, upstream *process) (all []started, stop func(), err error) {
	stop = func() {
		for _, s := range all {
			for _, p := range s.processes {
				if p != upstream {
					p.stop()
				}
			}
		}
	}
	for _, peer := range peers {
		if peer.start == nil {
			all = append(all, started{peer.name, upstream.addr, []*process{upstream}})
			continue
		}
		p, err := peer.start(ctx, b, upstream.addr)
		if err != nil {
			stop()
			return nil, nil, fmt.Errorf("%s: %w", peer.name, err)
		}
		all = append(all, started{peer.name, p.addr, []*process{p}})
	}
	return all, stop, nil
}

package main

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/delivery"
	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/socket"
	"github.com/hookproxy/hookproxy/subscriptions"
)

// openRedis makes the clients, and refuses a store with another layout. A Redis
// that is away now is no reason not to start, nor is one that does not answer.
func (p *program) openRedis(ctx context.Context) error {
	if p.config.redis == nil {
		embedded, err := startEmbeddedRedis()
		if err != nil {
			return err
		}
		p.closers.add(embedded.close)
		p.embedded = embedded
		p.config.redis = universal(&redis.Options{})
		p.config.redis.Addrs = []string{embedded.server.Addr()}
	}
	for _, address := range p.config.redis.Addrs {
		if at, err := netip.ParseAddrPort(address); err == nil {
			p.own.Add(net.TCPAddrFromAddrPort(at)) // though Redis may be away yet
		}
	}
	p.config.redis.Dialer = p.dialRedis(p.config.redis)
	p.watch = newRedisWatch(*p.config.redis, p.config.layout, p.log)
	p.closers.add(p.watch.client.Close)
	p.health.redis = p.watch.read
	if err := p.watch.look(ctx, startPatience); errors.Is(err, layout.ErrMismatch) {
		return err
	}
	p.redis = p.newClient(*p.config.redis)
	p.store = subscriptions.NewStore(subscriptions.StoreOptions{
		Client: p.redis, Layout: p.config.layout, MaxPerUser: p.config.rules.Subscriptions.MaxPerUser,
		MaxTotal: p.config.rules.Subscriptions.MaxTotal, Secrets: p.config.secrets,
	})
	p.operations = delivery.NewOperations(p.redis, p.config.layout, nil)
	return nil
}

// dialRedis dials as go-redis does by itself, by sockets whose system calls cost
// less, and notes where Redis is, whatever names, Sentinels or other nodes led
// there: no hook is ever sent to it.
func (p *program) dialRedis(o *redis.UniversalOptions) func(context.Context, string, string) (net.Conn, error) {
	dial := redis.NewDialer(&redis.Options{DialTimeout: o.DialTimeout, TLSConfig: o.TLSConfig})
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		connection, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		p.own.Add(connection.RemoteAddr())
		return socket.Looked(connection), nil
	}
}

// newClient makes a client that waits for the watch to know the layout.
func (p *program) newClient(options redis.UniversalOptions) redis.UniversalClient {
	client := redis.NewUniversalClient(&options)
	client.AddHook(p.watch)
	if cluster, ok := client.(*redis.ClusterClient); ok {
		// For commands sent to a node, which pass the cluster's own hook by.
		cluster.OnNewNode(func(node *redis.Client) { node.AddHook(p.watch) })
	}
	p.closers.add(client.Close)
	return client
}

// runEngine delivers once the layout is known. The engine has a client of its
// own for waiting, which the watch's hook does not reach.
func (p *program) runEngine(ctx context.Context) error {
	select {
	case <-p.watch.checked:
		return p.engine.Run(ctx)
	case <-ctx.Done():
		return nil
	}
}

func (p *program) openPublisher(context.Context) error {
	p.health.spool, p.health.spooled = func() string { return spoolNone }, func() int { return 0 }
	if !p.config.proxies {
		return nil
	}
	if err := p.openSpool(); err != nil {
		return err
	}
	options := *p.config.redis
	events.PublishOptions(&options)
	p.publisher = events.NewPublisher(events.Options{
		Client: p.newClient(options), Layout: p.config.layout, Spool: p.spool, Replicas: p.config.redisWait,
		Log: p.log, Metrics: events.NewMetrics(p.registry),
	})
	return nil
}

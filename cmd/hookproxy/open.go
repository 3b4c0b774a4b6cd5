package main

import (
	"context"
	"crypto/tls"
	"net/http"
	"time"

	"github.com/hookproxy/hookproxy/delivery"
	"github.com/hookproxy/hookproxy/internal/addresses"
	"github.com/hookproxy/hookproxy/proxy"
)

// adminHeaderTimeout bounds how long an asker of the admin listener may take.
const adminHeaderTimeout = 5 * time.Second

// adminDrain is what the admin listener has to finish its answers, none of which
// takes longer.
const adminDrain = time.Second

func (p *program) addresses() addresses.Policy {
	return addresses.Policy{Allow: p.config.allowNetworks, Ports: p.config.targetPorts, Own: &p.own}
}

// openFront wires what stands before the API: identity, the subscription
// endpoints, and the proxy that forwards the rest.
func (p *program) openFront(context.Context) error {
	if !p.config.proxies {
		return nil
	}
	c := p.config
	transport := proxy.NewTransport(proxy.TransportOptions{CA: c.upstreamCA, H2C: c.upstream.Scheme == "h2c", NetHTTP: c.netHTTP})
	p.closers.add(func() error { transport.CloseIdleConnections(); return nil })
	upstream, err := p.recorded(transport)
	if err != nil {
		return err
	}
	p.ruler = p.newRuler(upstream)
	p.closers.add(p.ruler.close)
	ruling, err := p.ruler.rulingOf(c.rules)
	if err != nil {
		return err
	}
	p.proxy, err = proxy.New(proxy.Options{
		Upstream: c.upstream, Transport: upstream, Ruling: ruling, Publisher: p.publisher, Releaser: p.publisher,
		TrustedProxies: c.trustedProxies, Log: p.log, Metrics: proxy.NewMetrics(p.registry),
	})
	if err != nil {
		return err
	}
	return p.serveFront()
}

func (p *program) serveFront() error {
	listener, err := listen(p.config.listen)
	if err != nil {
		return err
	}
	p.own.Add(listener.Addr())
	front := proxy.NewServer(proxy.ServerOptions{Handler: p.proxy, TLS: p.tlsConfig(), Log: p.log})
	bounds := proxy.ListenerOptions{MaxConnections: p.config.maxConnections}
	if p.config.certificate == nil {
		bounds.Server = front
	}
	p.front = &server{http: front, listener: proxy.NewListener(listener, bounds), tls: p.config.certificate != nil, drain: p.workShare(), cut: func(requests int64) {
		p.log.Warn("requests cut: they were still in flight when the drain time was over", "requests", requests)
	}}
	p.closers.add(p.front.close)
	return nil
}

// tlsConfig answers what the front serves HTTPS with; nil for plain HTTP.
func (p *program) tlsConfig() *tls.Config {
	if p.config.certificate == nil {
		return nil
	}
	return &tls.Config{Certificates: []tls.Certificate{*p.config.certificate}, MinVersion: tls.VersionTLS12}
}

func (p *program) openEngine(context.Context) error {
	if !p.config.delivers {
		return nil
	}
	options := p.deliveryOptions()
	options.Metrics = delivery.NewMetrics(p.registry)
	engine, err := delivery.New(options)
	p.engine = engine
	return err
}

// deliveryOptions are those of the engine, and of whatever else sends as it does.
func (p *program) deliveryOptions() delivery.Options {
	return delivery.Options{
		Client: p.redis, Layout: p.config.layout, Subscriptions: p.store, Secrets: p.config.secrets, SigningKeys: p.config.signingKeys,
		Addresses: p.addresses(), TLS: p.config.targetTLS, EgressProxy: p.config.egressProxy, Resolver: p.resolver,
		Workers: p.config.workers, MaxBacklog: p.config.rules.Subscriptions.MaxBacklog,
		MaxKept:      p.config.rules.Subscriptions.MaxBacklogSize,
		DrainTimeout: p.workShare(), Version: version(), Log: p.log,
	}
}

func (p *program) openAdmin(context.Context) error {
	if p.config.admin == "" {
		return nil
	}
	p.registry.MustRegister(&backlogCollector{func(ctx context.Context) ([]delivery.Backlog, error) {
		return delivery.ReadBacklog(ctx, p.redis, p.config.layout)
	}})
	listener, err := listen(p.config.admin)
	if err != nil {
		return err
	}
	p.own.Add(listener.Addr())
	handler := newAdminHandler(p.health, p.registry, p.unmatched(), p.adminAPI(listener.Addr()))
	if p.config.pprof {
		handler = profiled(handler)
	}
	p.admin = &server{
		http:     &http.Server{Handler: handler, ReadHeaderTimeout: adminHeaderTimeout},
		listener: listener, drain: adminDrain,
	}
	p.closers.add(p.admin.close)
	return nil
}

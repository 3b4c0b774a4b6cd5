package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/hookproxy/hookproxy/delivery"
	"github.com/hookproxy/hookproxy/identity"
	"github.com/hookproxy/hookproxy/internal/record"
	"github.com/hookproxy/hookproxy/proxy"
	"github.com/hookproxy/hookproxy/rules"
	"github.com/hookproxy/hookproxy/subscriptions"
)

// ruler makes what requests are served by of a rules file: identity and the
// subscription endpoints. What does not hang on the file is made once.
type ruler struct {
	identity  identity.Options             // but for Entries and Before
	endpoints subscriptions.HandlerOptions // but for what the file says
	callers   *identity.Chain              // of the last ruling; nil before the first
	prober    interface{ Close() error }
	recorder  *record.Recorder // nil where nothing is recorded
}

func (p *program) newRuler(transport http.RoundTripper) *ruler {
	prober := delivery.NewProber(p.deliveryOptions())
	return &ruler{
		prober: prober, recorder: p.recorder,
		identity: identity.Options{
			Upstream: p.config.upstream, Transport: transport, TrustedProxies: p.config.trustedProxies,
			Log: p.log, Metrics: identity.NewMetrics(p.registry),
		},
		endpoints: subscriptions.HandlerOptions{
			Store: p.store, History: p.operations, AllowTarget: p.addresses().CheckHost, Prober: prober,
			SigningKeys: p.config.signingKeys, Log: p.log, Metrics: subscriptions.NewMetrics(p.registry),
		},
	}
}

// rulingOf answers what a file decides, or why it cannot be: a file that it
// names may be missing. What identity knows from the last ruling lives on.
func (r *ruler) rulingOf(file *rules.File) (proxy.Ruling, error) {
	asked := r.identity
	asked.Entries, asked.Before = identityEntries(file), r.callers
	callers, err := identity.New(asked)
	if err != nil {
		return proxy.Ruling{}, err
	}
	r.callers = callers
	r.recorder.Follow(record.Following{
		Callers: callers, Headers: credentialHeaders(file), Parameters: credentialParameters(file), MaxBody: file.Capture.MaxBody,
	})
	settings, served := file.Subscriptions, r.endpoints
	served.Identity, served.Events = callers, file.Events
	served.Credentials, served.Parameters = credentialHeaders(file), credentialParameters(file)
	served.Describe, served.Samples = describe(file), settings.Samples
	served.Path, served.EventsPath = settings.Path, settings.EventsPath
	served.Intent, served.IntentExempt = settings.Intent, settings.IntentExempt
	served.Limits = subscriptions.Limits(settings.Limits)
	return proxy.Ruling{
		Rules: file, Identity: callers,
		Own: subscriptions.NewHandler(served), OwnPaths: []string{settings.Path, settings.EventsPath},
	}, nil
}

// describe hands on what rules.yaml says about events.
func describe(file *rules.File) func(string) subscriptions.EventDetail {
	return func(event string) subscriptions.EventDetail {
		about, routes := file.About(event)
		detail := subscriptions.EventDetail{Description: about.Description, Example: about.Example, Schema: about.Schema}
		for _, route := range routes {
			detail.Routes = append(detail.Routes, subscriptions.Route(route))
		}
		return detail
	}
}

func (r *ruler) close() error {
	err := r.prober.Close()
	if r.callers != nil {
		err = errors.Join(err, r.callers.Close())
	}
	return err
}

// rule puts a rules file in force, or answers why it cannot be; then nothing
// has changed.
func (p *program) rule(file *rules.File) error {
	if p.ruler != nil {
		ruling, err := p.ruler.rulingOf(file)
		if err != nil {
			return err
		}
		if err := p.proxy.Replace(ruling); err != nil {
			return err
		}
	}
	p.store.Allow(file.Subscriptions.MaxPerUser, file.Subscriptions.MaxTotal)
	if p.engine != nil {
		p.engine.Keep(file.Subscriptions.MaxBacklog, file.Subscriptions.MaxBacklogSize)
	}
	return nil
}

// openRules makes ready to load the rules file again.
func (p *program) openRules(context.Context) error {
	p.health.mistakes = func() []string { return nil }
	if p.config.rulesFile != "" {
		p.reloader = newReloader(p.config.rulesFile, p.config.rulesSource, p.registry, p.log)
		p.reloader.forwards, p.reloader.apply = p.config.proxies, p.rule
		p.health.mistakes = func() []string { return *p.reloader.mistakes.Load() }
	}
	return nil
}

package proxy

import (
	"bytes"
	"context"
)

// fetchLater lets an exchange's response go and publishes the events of match
// behind it, with what is fetched by then. It reports whether it does: not where
// too many do already, and their resources must be fetched before the response.
//
// What is fetched later is in memory only: see
// docs/decisions/0011-fetch-later-is-in-memory.md.
func (p *Proxy) fetchLater(f *finished, match matcher) bool {
	wanted := match.FetchAfter(f.exchange)
	if len(wanted) == 0 {
		return false // nothing to wait for
	}
	limit := f.x.capture.limits.MaxBody
	pending := p.fetchesOf(f.x, match, wanted)
	l := f.x.capture.newLease()
	if !l.grow(f.size()) {
		return false
	}
	select {
	case p.later <- struct{}{}:
	default:
		l.release()
		return false
	}
	own, ctx := f.alone(), context.WithoutCancel(f.x.inbound.Context())
	p.asking.Go(func() { // ends within fetchFor and the publisher's deadline; Wait waits for it
		defer func() { <-p.later }()
		defer l.release()
		defer p.survive("later", func() { p.metrics.events.WithLabelValues(resultLost, "panic").Inc() })
		own.exchange.Fetched = p.fetchAll(ctx, pending, fetchLater, &l, limit)
		_ = p.publish(own, match, nil) // no strict rule fetches later, so no error
	})
	return true
}

// size is what the exchange keeps in memory.
func (f *finished) size() int64 {
	n := len(f.exchange.RequestBody) + len(f.exchange.ResponseBody)
	for _, document := range f.exchange.Previous {
		n += len(document.Body)
	}
	return int64(n)
}

// alone answers the exchange with headers and bodies of its own: the others' are on
// their way to the client, and gone with it.
func (f *finished) alone() *finished {
	own, exchange := *f, *f.exchange
	exchange.RequestBody, exchange.ResponseBody = bytes.Clone(exchange.RequestBody), bytes.Clone(exchange.ResponseBody)
	exchange.RequestHeader, exchange.ResponseHeader = exchange.RequestHeader.Clone(), exchange.ResponseHeader.Clone()
	own.exchange = &exchange
	return &own
}

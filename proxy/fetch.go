package proxy

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/hookproxy/hookproxy/rules"
)

// When a resource is fetched, as metrics name it.
const (
	fetchBefore = "before"
	fetchAfter  = "after"
	fetchLater  = "later"
)

// maxFetches is how many resources one exchange may need, before and again
// after it. The rest counts as failed.
const maxFetches = 4

// pendingFetch is a GET at the upstream in the caller's name. It goes straight
// to the transport: requests of ours never meet the rules.
type pendingFetch struct {
	target  string        // as the rules know it
	request *http.Request // nil: there is nothing of the upstream's to ask for
}

// fetchPrevious fetches what rules want to know of a resource before the
// request changes it. The request waits for that, for as long as fetchFor.
func (p *Proxy) fetchPrevious(x *exchange) {
	c := x.capture
	c.exchange = &c.own.exchange
	*c.exchange = p.asked(x)
	defer p.survive("fetch", func() {})
	if wanted := c.match.FetchBefore(c.exchange); len(wanted) > 0 {
		c.exchange.Previous = p.fetchAll(x.client, p.fetchesOf(x, c.match, wanted), fetchBefore, &c.fetched, c.limits.MaxBody)
	}
}

// fetchesOf prepares requests, so that they can be sent when the client's own
// request is gone.
func (p *Proxy) fetchesOf(x *exchange, match matcher, wanted []rules.Fetch) []pendingFetch {
	pending := make([]pendingFetch, 0, len(wanted))
	for _, w := range wanted[:min(len(wanted), maxFetches)] {
		pending = append(pending, pendingFetch{w.Target, p.fetchRequest(x, match, w)})
	}
	return pending
}

// fetchRequest answers the request for a resource, or nil where it is not the
// upstream's. The host in a Location is never dialled: it tells only whether
// the path is one of the upstream's.
func (p *Proxy) fetchRequest(x *exchange, match matcher, w rules.Fetch) *http.Request {
	at, ok := p.fetchURL(x, w)
	if !ok {
		return nil
	}
	r := &http.Request{
		Method: http.MethodGet, URL: new(url.URL), Host: x.inbound.Host, RemoteAddr: x.inbound.RemoteAddr,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Accept": {"application/json"}, "Accept-Encoding": {"identity"}, "User-Agent": {"hookproxy"}},
	}
	*r.URL = *at
	mount := x.ruling.mountOf(at)
	p.upstream.direct(r.URL, at, http.MethodGet, mount)
	r.URL.RawQuery = withParameters(at.RawQuery, x.inbound.URL.RawQuery, match.Parameters())
	for _, name := range match.Credentials() {
		if values := x.inbound.Header[name]; len(values) > 0 {
			r.Header[name] = append([]string(nil), values...)
		}
	}
	if accept := x.inbound.Header.Get("Accept"); strings.Contains(accept, "json") {
		r.Header.Set("Accept", accept) // some APIs choose their version by it
	}
	trusted := p.trusts(x.inbound.RemoteAddr)
	setForwarded(x.inbound, r.Header, trusted, new([3]string))
	x.ruling.setPrefix(x.inbound, r.Header, mount, trusted)
	x.ruling.strip(r)
	return r
}

// withParameters adds those of the caller's parameters to a query, as they were
// written, that names name and the query lacks.
func withParameters(query, from string, names []string) string {
	if len(names) == 0 || from == "" {
		return query
	}
	there, _ := url.ParseQuery(query)
	for pair := range strings.SplitSeq(from, "&") {
		written, _, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(written); err == nil && slices.Contains(names, name) && !there.Has(name) {
			query = strings.TrimPrefix(query+"&"+pair, "&")
		}
	}
	return query
}

// fetchURL answers where a resource is, in the clients' terms: without the
// upstream's base path.
func (p *Proxy) fetchURL(x *exchange, w rules.Fetch) (*url.URL, bool) {
	if w.Target == x.path { // which may be spelt as no URL parser would
		at := *x.inbound.URL
		at.RawQuery, at.ForceQuery = "", false
		return &at, true
	}
	at, err := url.Parse(w.Target)
	if err != nil || at.Opaque != "" {
		return nil, false
	}
	if !w.Location {
		return at, true
	}
	if !p.isUpstreams(at, x.inbound.Host) {
		return nil, false
	}
	if at.Host == "" && !strings.HasPrefix(at.Path, "/") {
		at = (&url.URL{Path: x.inbound.URL.Path, RawPath: x.inbound.URL.RawPath}).ResolveReference(at)
	} else if !p.outside(x, at) {
		return nil, false
	}
	at.Fragment, at.RawFragment = "", ""
	return at, true
}

// outside makes a path as the upstream writes it one as clients do: without the
// base path, and below the mount that the upstream does not know.
func (p *Proxy) outside(x *exchange, at *url.URL) bool {
	raw := rawPath(at)
	mount := x.ruling.mountOf(x.inbound.URL)
	if base := p.upstream.rawBase; base != "" && strings.HasPrefix(raw, base+"/") {
		raw = raw[len(base):]
	}
	if mount != "" && x.ruling.file.Stripped(raw) == 0 {
		raw = mount + raw
	}
	path, err := url.PathUnescape(raw)
	if err != nil {
		return false
	}
	at.Path, at.RawPath = path, raw
	return true
}

// isUpstreams reports whether a Location may be of the upstream's making: one
// without a host, with the host that the upstream or the client calls it by, or
// with one that leads nowhere outside, as behind a load balancer.
func (p *Proxy) isUpstreams(at *url.URL, host string) bool {
	switch {
	case at.User != nil || at.Scheme != "" && at.Scheme != "http" && at.Scheme != "https":
		return false
	case at.Host == "" || strings.EqualFold(at.Host, p.upstream.host) || strings.EqualFold(at.Host, host):
		return true
	}
	return isInternal(at.Hostname())
}

// internalDomains are what operators end internal names with (RFC 6761,
// RFC 6762, RFC 9476, ICANN's .internal, Kubernetes).
var internalDomains = []string{".internal", ".local", ".localhost", ".lan", ".intranet", ".svc", ".test", ".alt"}

func isInternal(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, domain := range internalDomains {
		if strings.HasSuffix(host, domain) {
			return true
		}
	}
	return host != "" && !strings.Contains(host, ".") && net.ParseIP(host) == nil
}

// fetchAll sends the requests one after the other and answers what came of
// them, by target.
func (p *Proxy) fetchAll(ctx context.Context, pending []pendingFetch, when string, l *lease, limit int64) map[string]rules.Document {
	ctx, cancel := context.WithTimeout(ctx, p.fetchFor)
	defer cancel()
	documents := make(map[string]rules.Document, len(pending))
	for _, f := range pending {
		document := p.fetch(ctx, f.request, l, limit)
		documents[f.target] = document
		p.metrics.fetches.WithLabelValues(when, resultOf(document)).Inc()
	}
	return documents
}

func resultOf(d rules.Document) string {
	switch {
	case d.Failed:
		return "failed"
	case d.Missing:
		return "missing"
	}
	return "ok"
}

// fetch answers a resource. RoundTrip follows no redirects, so that the
// caller's credentials reach the upstream and nobody else. What goes wrong is
// told by the metrics and the event; an error's text may hold anything.
func (p *Proxy) fetch(ctx context.Context, r *http.Request, l *lease, limit int64) rules.Document {
	failed := rules.Document{Failed: true}
	if r == nil {
		return failed
	}
	res, err := p.transport.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return failed
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusGone:
		return rules.Document{Missing: true}
	case res.StatusCode < 200 || res.StatusCode > 299 || res.ContentLength > limit || rules.Uncapturable(res.Header) != "":
		return failed
	}
	data, omitted, _ := readWhole(res.Body, res.ContentLength, limit, l)
	if omitted == "" {
		data, omitted = decodeWhole(res.Header, data, limit, l)
	}
	if omitted != "" {
		return failed
	}
	return rules.Document{Header: res.Header, Body: data}
}

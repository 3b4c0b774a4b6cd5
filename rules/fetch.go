package rules

import (
	"net/http"
	"net/url"
	"strings"

	"gopkg.in/yaml.v3"
)

// OmittedFetch is why an event lacks what fetch should have got.
const OmittedFetch = "fetch_failed"

// fetching is what a rule wants from the API beside the exchange itself.
type fetching struct {
	before, after bool
	later         bool // after, but behind the response
	beforeAt      text // the path; nil: the request's own
	afterAt       text // the path; nil: Location's, or the request's own
}

// Fetch is one GET at the API that a rule wants.
type Fetch struct {
	// Target is an escaped path as the API's clients write it or, where
	// Location says so, the value of that header as the API wrote it.
	Target   string
	Location bool
}

// Document is what came of a Fetch.
type Document struct {
	// Header and Body are of a 2xx, the body without content codings and in
	// UTF-8.
	Header http.Header
	Body   []byte
	// Missing says that the API knows of nothing there: 404 or 410.
	Missing bool
	// Failed says that nothing came that could be used.
	Failed bool
}

const expectedFetch = "before, after, later, a list of before and one of the others, or a map such as {after: /deals/{path.id}}"

var fetchWords = words{"before", "after", "later"}

var fetchSection = section{
	some: true,
	keys: []option{
		{"before", pathKind, "The path to ask before the request goes on.", nil},
		{"after", pathKind, "The path to ask once the API has answered.", nil},
		{"later", pathKind, "The path to ask behind the response.", nil},
	},
}

// fetch reads the option fetch. What it says decides which sources there are.
func (p *parser) fetch(n *yaml.Node) fetching {
	var f fetching
	if n.Kind == yaml.MappingNode {
		for when, value := range p.options(n, "fetch", fetchSection) {
			f.add(when, p.fetchPath(value, when))
		}
		if len(n.Content) == 0 {
			p.mistake(n, "fetch: expected %s, found an empty map", expectedFetch)
		}
		p.checkFetch(n, n.Content)
		return f
	}
	for _, item := range p.list(n, "fetch") {
		f.add(p.oneOf(item, "fetch", fetchWords), nil)
	}
	p.checkFetch(n, p.list(n, "fetch"))
	return f
}

func (f *fetching) add(when string, at text) {
	switch when {
	case "before":
		f.before, f.beforeAt = true, at
	case "after", "later":
		f.after, f.later, f.afterAt = true, when == "later", at
	}
}

func (p *parser) checkFetch(n *yaml.Node, words []*yaml.Node) {
	after, later := false, false
	for _, word := range words {
		after, later = after || word.Value == "after", later || word.Value == "later"
	}
	if after && later {
		p.mistake(n, "fetch: expected after or later, found both")
	}
}

// fetchPath reads a path below the mount with sources in it. Those are what the
// API or the route says: a caller must not choose by a query or body whose data
// an event carries.
func (p *parser) fetchPath(n *yaml.Node, when string) text {
	written, ok := p.text(n, "fetch", "a path such as /deals/{path.id}")
	if !ok {
		return nil
	}
	path, err := parseText(written)
	if err != nil {
		p.mistake(n, "fetch: %v", err)
		return nil
	}
	if !strings.HasPrefix(written, "/") || len(written) > maxTemplate {
		p.mistake(n, "fetch: expected a path such as /deals/{path.id}, found %s", quoted(written))
	}
	for _, part := range path {
		if part.source == nil && strings.ContainsFunc(part.literal, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`?#\`, r) }) {
			p.mistake(n, "fetch: expected a path only, found %s", quoted(written))
		}
	}
	for _, s := range path.sources() {
		if s.kind != pathParam && (s.kind != responseBody || when == "before") {
			p.mistake(n, "fetch: %s: expected parameters of the path, or with after and later also values of the response, found {%s}", when, s.text)
		}
		p.inScope(n, "fetch", s)
		p.storable(n, "fetch", s)
	}
	return path
}

// fetchable refuses a fetch of something that nothing names.
func (p *parser) fetchable(n *yaml.Node, o *options, routes []route) {
	for _, r := range routes {
		if o.fetch.before && o.fetch.beforeAt == nil && r.method == http.MethodPost && !r.template.itemLast {
			p.mistake(n, "fetch: before: expected where, such as {before: /deals/{path.id}}: POST %s is not the path of one resource", r.path)
			return
		}
	}
}

// FetchBefore answers what the rules want from the API before the request goes
// there. Of x, only what the request says is read.
func (m *Match) FetchBefore(x *Exchange) []Fetch {
	return m.fetches(x, func(o *options) bool { return o.fetch.before }, func(sc scene) Fetch { return sc.beforeTarget() })
}

// FetchAfter answers what the rules want from the API once x is complete. It
// leaves out rules that make no event of x anyway.
func (m *Match) FetchAfter(x *Exchange) []Fetch {
	return m.fetches(x, func(o *options) bool { return o.fetch.after }, func(sc scene) Fetch {
		if sc.skip() != "" || !sc.mayHold() {
			return Fetch{}
		}
		return sc.afterTarget()
	})
}

func (m *Match) fetches(x *Exchange, wanted func(*options) bool, target func(scene) Fetch) []Fetch {
	if !m.some(wanted) {
		return nil
	}
	r := &reading{Exchange: x}
	var all []Fetch
	seen := make(map[string]bool)
	for _, h := range m.hits {
		if !wanted(h.rule.options) {
			continue
		}
		if f := target(scene{reading: r, hit: h}); f.Target != "" && !seen[f.Target] {
			seen[f.Target] = true
			all = append(all, f)
		}
	}
	return all
}

// Split answers the rules whose events are complete with the exchange, and
// those that fetch behind the response. Either is nil where there are none.
func (m *Match) Split() (now, later *Match) {
	if !m.some(func(o *options) bool { return o.fetch.later }) {
		return m, nil
	}
	now = &Match{credentials: m.credentials, parameters: m.parameters}
	later = &Match{credentials: m.credentials, parameters: m.parameters}
	for _, h := range m.hits {
		if h.rule.options.fetch.later {
			later.hits = append(later.hits, h)
		} else {
			now.hits = append(now.hits, h)
		}
	}
	if len(now.hits) == 0 {
		now = nil
	}
	return now, later
}

// Credentials answers the request headers by which the API knows its callers,
// as far as rules.yaml tells: what a fetch in a caller's name has to carry.
func (m *Match) Credentials() []string { return m.credentials }

// Parameters answers the query parameters that do the same.
func (m *Match) Parameters() []string { return m.parameters }

// beforeTarget is where the resource is before the request.
func (sc scene) beforeTarget() Fetch {
	if at := sc.rule.options.fetch.beforeAt; at != nil {
		return Fetch{Target: sc.path(at)}
	}
	return Fetch{Target: sc.Path}
}

// afterTarget is where the resource is after it. A POST to a collection leads
// to what it made: never to the collection itself, which is other people's too.
func (sc scene) afterTarget() Fetch {
	o := sc.rule.options
	switch {
	case o.fetch.afterAt != nil:
		return Fetch{Target: sc.path(o.fetch.afterAt)}
	case sc.rule.Method != http.MethodPost || sc.rule.template.itemLast:
		return Fetch{Target: sc.Path}
	case sc.locationURL() != nil:
		return Fetch{Target: sc.ResponseHeader.Get("Location"), Location: true}
	case sc.rule.collection:
		if id := sc.made(); id != "" {
			return Fetch{Target: sc.resourcePath(id)}
		}
	}
	return Fetch{}
}

// path fills in a fetch's path, below the mount that the request came under, or
// answers "" where a part of it is nowhere to be found.
func (sc scene) path(at text) string {
	var b strings.Builder
	b.WriteString(escaped(Canonical(sc.Path)[:sc.rule.template.mounted]))
	for _, part := range at {
		if part.source == nil {
			b.WriteString(part.literal)
			continue
		}
		value := sc.idAt(*part.source)
		if value == "" || value == "." || value == ".." {
			return ""
		}
		b.WriteString(url.PathEscape(value))
	}
	return b.String()
}

// document answers one of the exchange's documents as a body.
func (r *reading) document(documents map[string]Document, at Fetch, missing string) *body {
	document, known := documents[at.Target]
	switch {
	case known && document.Missing:
		return &body{omitted: missing}
	case !known || document.Failed:
		return &body{omitted: OmittedFetch}
	}
	b := readBody(document.Header, document.Body)
	if b.omitted != "" {
		b = body{omitted: OmittedFetch}
	}
	return &b
}

// previousBody is the resource before the request. That there was none is known,
// and then every key is definitely absent.
func (sc scene) previousBody() *body {
	if !sc.rule.options.fetch.before {
		return &body{omitted: OmittedNoContent} // a create among a resource's verbs
	}
	return sc.document(sc.Previous, sc.beforeTarget(), OmittedNoContent)
}

// fetchedBody is the resource after it.
func (sc scene) fetchedBody() *body {
	if !sc.rule.options.fetch.after {
		return &body{omitted: OmittedNoContent} // a delete among a resource's verbs
	}
	return sc.document(sc.Fetched, sc.afterTarget(), OmittedFetch)
}

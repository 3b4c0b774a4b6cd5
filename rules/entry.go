package rules

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// defaultStatuses are the answers that complete a write, unless a rule names
// others. 202 promises only, 206 is a part, 3xx is elsewhere: only when named.
var defaultStatuses = []int{200, 201, 203, 204, 205}

// maxEvents bounds how many names one emit stands for.
const maxEvents = 256

var (
	eventName  = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)+$`)
	methodName = regexp.MustCompile(`^[A-Z][A-Z-]{0,31}$`)
)

// route is one method and path of an entry.
type route struct {
	method, path string
	template     *template
}

func (p *parser) rules(n *yaml.Node, file *File) {
	if n.Kind != yaml.SequenceNode {
		p.mistake(n, "rules: expected a list, found %s", describe(n))
		return
	}
	for _, item := range n.Content {
		p.rule(item, file)
	}
}

func (p *parser) rule(n *yaml.Node, file *File) {
	values := p.options(n, "rule", ruleSection)
	if n.Kind != yaml.MappingNode {
		return
	}
	var routes []route
	if on := values["on"]; on != nil {
		for _, item := range p.list(on, "on") {
			routes = append(routes, p.routes(item)...)
		}
	}
	p.scope = scope{each: values["each"] != nil}
	for _, r := range routes {
		p.scope.templates = append(p.scope.templates, r.template)
	}
	o := p.rest(values)
	if n := values["fetch"]; n != nil {
		p.fetchable(n, o, routes)
	}
	if emit := values["emit"]; emit != nil && len(routes) > 0 {
		if o.emit = p.emit(emit); o.emit != nil {
			file.Rules = append(file.Rules, p.expand(n, emit, routes, o)...)
		}
	}
}

// routes reads "PUT|PATCH /deals/{id}".
func (p *parser) routes(n *yaml.Node) []route {
	const expected = "a method and a path, such as POST /contacts or PUT|PATCH /contacts/{id}"
	written, ok := p.text(n, "on", expected)
	if !ok {
		return nil
	}
	methods, path, _ := strings.Cut(written, " ")
	path = strings.TrimSpace(path)
	if !strings.HasPrefix(path, "/") {
		p.mistake(n, "on: expected %s, found %s", expected, quoted(written))
		return nil
	}
	paths, templates := p.templates(n, "on", path)
	var routes []route
	for method := range strings.SplitSeq(methods, "|") {
		if !p.method(n, method) {
			continue
		}
		for i, t := range templates {
			routes = append(routes, route{method, paths[i], t})
		}
	}
	return routes
}

func (p *parser) method(n *yaml.Node, method string) bool {
	switch {
	case !methodName.MatchString(method):
		hint := ""
		if upper := strings.ToUpper(method); methodName.MatchString(upper) {
			hint = fmt.Sprintf("; did you mean %q?", upper)
		}
		p.mistake(n, "on: expected a method in capitals, found %s%s", quoted(method), hint)
		return false
	case slices.Contains([]string{http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodConnect}, method):
		p.mistake(n, "on: expected a method that changes something, found %s, which is never captured", method)
		return false
	}
	return true
}

// rest reads the options that rules and resources share.
func (p *parser) rest(values map[string]*yaml.Node) *options {
	o := &options{statuses: defaultStatuses, maxItems: MaxItems, same: sameness(values)}
	if n := values["keep"]; n != nil {
		o.keep = p.keep(n)
		p.scope.keep = o.keep
	}
	if n := values["fetch"]; n != nil {
		o.fetch = p.fetch(n)
		p.scope.fetch = o.fetch
	}
	if n := values["guarantee"]; n != nil {
		o.strict = p.oneOf(n, "guarantee", guarantees) == "strict"
	}
	o.observed = p.observing
	if n := values["mode"]; n != nil && p.oneOf(n, "mode", modes) == "observe" {
		o.observed = true
	}
	if n := values["each"]; n != nil {
		o.each = p.each(n)
		o.statuses = append(slices.Clone(defaultStatuses), http.StatusMultiStatus)
		o.payload = payload{source: &source{text: "item", kind: eachItem}}
	} else {
		o.payload = payload{source: &source{text: "response.body", kind: responseBody}}
	}
	if o.fetch.after {
		o.payload = payload{source: &source{text: "fetched", kind: fetchedBody}}
	}
	if n := values["max_items"]; n != nil {
		if o.maxItems, _ = p.whole(n, "max_items", maxItems); o.each == nil {
			p.mistake(n, "max_items: expected each beside it")
		}
	}
	if n := values["status"]; n != nil {
		o.statuses = p.statuses(n)
	}
	if n := values["when"]; n != nil {
		o.when = p.conditions(n)
	}
	if n := values["user"]; n != nil {
		o.user = p.owner(n)
	}
	if n := values["fetch"]; n != nil && o.each != nil {
		p.mistake(n, "fetch: expected no each beside it: one resource is fetched, not one for each item")
	}
	if o.strict && o.fetch.later {
		p.mistake(values["fetch"], "fetch: expected after instead of later beside guarantee: strict: what is in memory only is not safe")
	}
	p.payload(values, o)
	if n := values["resource"]; n != nil {
		o.resource = p.resource(n)
	}
	return o
}

// sameness answers what decides whether and for whom an entry's event happens.
func sameness(values map[string]*yaml.Node) string {
	var parts []string
	for _, key := range []string{"status", "when", "user", "each", "mode"} {
		parts = append(parts, written(values[key]))
	}
	return strings.Join(parts, "\n")
}

func (p *parser) each(n *yaml.Node) *source {
	const expected = "where the list stands, such as response.body or response.body.contacts"
	written, ok := p.text(n, "each", expected)
	if !ok {
		return nil
	}
	s, err := parseSource(written)
	if err != nil || !eachPlaces.has(s.kind) {
		p.mistake(n, "each: expected %s, found %s", expected, quoted(written))
	}
	return &s
}

func (p *parser) resource(n *yaml.Node) *source {
	written, ok := p.text(n, "resource", "where the resource's id stands, such as path.id or response.body.id")
	if !ok {
		return nil
	}
	s, ok := p.source(n, "resource", written)
	if ok {
		p.storable(n, "resource", s)
	}
	if ok && !idPlaces.has(s.kind) {
		p.mistake(n, "resource: expected where the resource's id stands, found response.status")
	}
	return &s
}

func (p *parser) statuses(n *yaml.Node) []int {
	var statuses []int
	for _, item := range p.list(n, "status") {
		status, ok := p.whole(item, "status", statusKind.of)
		if slices.Contains(statusKind.but, status) {
			p.mistake(item, "status: expected an answer after which the write is done, found %s", strconv.Itoa(status)+
				", which says that nothing happened here")
		}
		if ok {
			statuses = append(statuses, status)
		}
	}
	return statuses
}

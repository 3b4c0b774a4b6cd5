package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// emit reads the option emit: an event name, perhaps with path parameters.
func (p *parser) emit(n *yaml.Node) text {
	written, ok := p.text(n, "emit", "an event name, such as contact.create")
	if !ok {
		return nil
	}
	parts, err := parseText(written)
	if err != nil {
		p.mistake(n, "emit: %v", err)
		return nil
	}
	for _, s := range parts.sources() {
		if s.kind != pathParam {
			p.mistake(n, "emit: expected path parameters only, found {%s}", s.text)
			return nil
		}
		if !p.inScope(n, "emit", s) {
			return nil
		}
	}
	return parts
}

// expand makes one Rule of each route.
func (p *parser) expand(n, emit *yaml.Node, routes []route, o *options) []*Rule {
	var rules []*Rule
	for _, r := range routes {
		names := p.names(emit, o.emit, r.template)
		if len(names) == 0 {
			continue
		}
		rules = append(rules, &Rule{
			Position: fmt.Sprintf("%s:%d", p.name, n.Line), Line: n.Line, Column: n.Column,
			Method: r.method, Path: r.path, Emit: emit.Value, Events: names,
			options: o, template: r.template,
		})
	}
	return rules
}

// names answers every event name that emit stands for on one route.
func (p *parser) names(n *yaml.Node, emit text, t *template) []string {
	names := []string{""}
	for _, part := range emit {
		values := []string{part.literal}
		if part.source != nil {
			values = t.listed[part.source.name]
		}
		if len(values) == 0 {
			p.mistake(n, "emit: expected a parameter whose values are listed, such as {kind:contact|deal}, found {%s}", part.source.text)
			return nil
		}
		if len(names)*len(values) > maxEvents {
			p.mistake(n, "emit: expected at most %d event names", maxEvents)
			return nil
		}
		names = combine(names, values)
	}
	for _, name := range names {
		if !eventName.MatchString(name) || len(name) > 128 {
			p.mistake(n, "emit: expected an event name such as contact.create (a-z, 0-9, _ and at least one dot), found %s", quoted(name))
			return nil
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func combine(heads, tails []string) []string {
	all := make([]string, 0, len(heads)*len(tails))
	for _, head := range heads {
		for _, tail := range tails {
			all = append(all, head+tail)
		}
	}
	return all
}

// order puts the rules into the file's order, and refuses what can only be a
// mistake once all of them are known.
func (p *parser) order(file *File) {
	slices.SortStableFunc(file.Rules, func(a, b *Rule) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if len(file.Rules) > maxRules {
		last := file.Rules[maxRules]
		p.mistake(&yaml.Node{Line: last.Line, Column: last.Column}, "expected at most %d rules, found %d", maxRules, len(file.Rules))
		return
	}
	first := make(map[string]*Rule)
	for i, rule := range file.Rules {
		rule.order = i
		p.shadowed(rule, file)
		for _, name := range rule.Events {
			key := strings.Join([]string{rule.Method, rule.template.shape, name, rule.options.same}, "\x00")
			if other := first[key]; other != nil {
				p.mistake(&yaml.Node{Line: rule.Line, Column: rule.Column},
					"%s %s emits %s in line %d already; both would happen each time", rule.Method, rule.Path, name, other.Line)
				break
			}
			first[key] = rule
		}
	}
}

// shadowed refuses a rule for paths that are ours and never forwarded.
func (p *parser) shadowed(rule *Rule, file *File) {
	for _, own := range []string{file.Subscriptions.Path, file.Subscriptions.EventsPath} {
		prefix := Canonical(own)
		segments := rule.template.segments
		if len(segments) >= len(prefix) && slices.EqualFunc(segments[:len(prefix)], prefix, func(s segment, literal string) bool {
			return s.params == 0 && s.literal == literal
		}) {
			p.mistake(&yaml.Node{Line: rule.Line, Column: rule.Column},
				"%s %s never reaches the API: hookproxy answers under %s itself", rule.Method, rule.Path, own)
		}
	}
}

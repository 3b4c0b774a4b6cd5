package rules

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// scope is what the options of one entry may refer to.
type scope struct {
	templates []*template // every one the entry's options apply to
	each      bool        // there is an item
	fetch     fetching    // what there is beside the exchange
	keep      []string    // secret-like keys that stay, in lower case
}

// source reads a source and checks that the entry has what it refers to.
func (p *parser) source(n *yaml.Node, what, written string) (source, bool) {
	s, err := parseSource(written)
	if err != nil {
		p.mistake(n, "%s: %v", what, err)
		return s, false
	}
	return s, p.inScope(n, what, s)
}

func (p *parser) inScope(n *yaml.Node, what string, s source) bool {
	switch s.kind {
	case eachItem:
		if !p.scope.each {
			p.mistake(n, "%s: expected each beside it, found %s without", what, s.text)
			return false
		}
	case fetchedBody:
		if !p.scope.fetch.after {
			p.mistake(n, "%s: expected fetch: after or fetch: later beside it, found %s without", what, s.text)
			return false
		}
	case previousBody:
		if !p.scope.fetch.before {
			p.mistake(n, "%s: expected fetch: before beside it, found %s without", what, s.text)
			return false
		}
	case pathParam:
		for _, t := range p.scope.templates {
			if !slices.Contains(t.names, s.name) {
				p.mistake(n, "%s: expected a parameter of the path (%s), found %s%s", what,
					listOr(t.names, "it has none"), quoted(s.text), suggestion(s.name, t.names))
				return false
			}
		}
	}
	return true
}

// storable refuses what must never leave the exchange it was seen in.
func (p *parser) storable(n *yaml.Node, what string, s source) {
	if (s.kind == requestHeader || s.kind == responseHeader) && isCredential(s.name) {
		p.mistake(n, "%s: expected a source without credentials, found %s", what, s.text)
	}
	path := s.path
	if s.kind == queryParam {
		path = jsonPath{s.name}
	}
	p.unsecret(n, what, path)
}

// unsecret refuses a path through what would be left out again.
func (p *parser) unsecret(n *yaml.Node, what string, path jsonPath) {
	for _, key := range path {
		if p.withheld(key) {
			p.mistake(n, "%s: %s is a secret-like key; to hand it on, write keep: [%s] beside it", what, quoted(key), strings.ToLower(key))
		}
	}
}

// keyed refuses a template's key that would be taken out again.
func (p *parser) keyed(key *yaml.Node) {
	if p.withheld(key.Value) {
		p.mistake(key, "payload: %s is a secret-like key; to hand it on, write keep: [%s] beside it", quoted(key.Value), strings.ToLower(key.Value))
	}
}

func (p *parser) withheld(key string) bool {
	return isSecret(key) && !slices.Contains(p.scope.keep, strings.ToLower(key))
}

// keep reads the option keep.
func (p *parser) keep(n *yaml.Node) []string {
	var keys []string
	for _, item := range p.list(n, "keep") {
		key, ok := p.text(item, "keep", "a secret-like key, such as token")
		if ok && !isSecret(key) {
			p.mistake(item, "keep: expected a secret-like key, found %s, which is never left out%s", quoted(key), suggestion(key, secrets))
		}
		keys = append(keys, strings.ToLower(key))
	}
	return keys
}

func listOr(words []string, none string) string {
	if len(words) == 0 {
		return none
	}
	return strings.Join(words, ", ")
}

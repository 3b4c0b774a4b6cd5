package rules

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// A section is one kind of map in a rules file. It declares the map's keys once,
// for both who reads it and who describes it: the parser refuses any other key
// and takes its bounds from here, and Schema tells editors the same.
type section struct {
	about string
	keys  []option
	// shared are keys that several sections have alike.
	shared []option
	// need are keys that must be there.
	need []string
	// either are pairs of keys of which exactly one must be there.
	either []choice
	// short is the key that a value stands for which is no map; "" for none.
	short string
	// size is how many keys there are, exactly; zero: any number.
	size int
	// some says that there must be a key at least.
	some bool
}

// An option is one key of a section.
type option struct {
	key string
	// kind is what its value may be.
	kind kind
	// about says in the user's words what it is for.
	about string
	// otherwise is what counts where the key is missing; nil: about says so.
	otherwise any
}

// A choice is two keys of which exactly one must be there. expected is how the
// mistake goes on where it is otherwise.
type choice struct{ one, other, expected string }

func (s section) options() []option { return slices.Concat(s.keys, s.shared) }

// names answers the section's keys in order.
func (s section) names() []string {
	var names []string
	for _, o := range s.options() {
		names = append(names, o.key)
	}
	return names
}

// options answers a map's values by key. It refuses keys that the section does
// not have, and misses those that it needs.
func (p *parser) options(n *yaml.Node, what string, s section) map[string]*yaml.Node {
	values, known := make(map[string]*yaml.Node), s.names()
	for _, e := range p.entries(n, what) {
		if !slices.Contains(known, e.key.Value) {
			p.mistake(e.key, "%s: unknown key %s%s (expected one of %s)",
				what, quoted(e.key.Value), suggestion(e.key.Value, known), strings.Join(known, ", "))
			continue
		}
		values[e.key.Value] = e.value
	}
	if n.Kind != yaml.MappingNode {
		return values
	}
	for _, key := range s.need {
		if values[key] == nil {
			p.mistake(n, "%s: expected the key %s", what, key)
		}
	}
	for _, c := range s.either {
		if (values[c.one] == nil) == (values[c.other] == nil) {
			p.mistake(n, "%s: expected %s", what, c.expected)
		}
	}
	return values
}

// fields answers a map's values as options does, or that of the one key which a
// value stands for that is no map.
func (p *parser) fields(n *yaml.Node, what string, s section) map[string]*yaml.Node {
	if n.Kind != yaml.MappingNode {
		return map[string]*yaml.Node{s.short: n}
	}
	return p.options(n, what, s)
}

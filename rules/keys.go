package rules

import (
	"gopkg.in/yaml.v3"
)

// keys is a set of paths into JSON, as a tree: what stands below a key, nil
// where the path ends there and means everything. A list on the way is passed
// through: the path goes on in each of its items.
type keys map[string]keys

// add adds a path. The shorter of two on the same way counts.
func (k keys) add(path jsonPath) {
	below, exists := k[path[0]]
	switch {
	case exists && below == nil:
	case len(path) == 1:
		k[path[0]] = nil
	default:
		if !exists {
			below = make(keys)
			k[path[0]] = below
		}
		below.add(path[1:])
	}
}

// view is what of a JSON value goes out. Its zero value lets everything.
type view struct {
	picking bool // only what pick names
	pick    keys
	omit    keys
}

func (v view) all() bool { return !v.picking && v.omit == nil }

// below answers the view of a member's value, or that the member does not go
// out at all.
func (v view) below(key []byte) (below view, out bool) {
	if v.picking {
		picked, named := v.pick[string(key)]
		if !named {
			return view{}, false
		}
		below.picking, below.pick = picked != nil, picked
	}
	if v.omit != nil {
		omitted, named := v.omit[string(key)]
		if named && omitted == nil {
			return view{}, false
		}
		below.omit = omitted
	}
	return below, true
}

// keys reads the options pick and omit.
func (p *parser) keys(n *yaml.Node, what string) keys {
	set := make(keys)
	for _, item := range p.list(n, what) {
		written, ok := p.text(item, what, "a path into the payload, such as name or owner.id")
		if !ok {
			continue
		}
		path, err := parseJSONPath(written)
		if err != nil {
			p.mistake(item, "%s: %v", what, err)
			continue
		}
		if what == "pick" {
			p.unsecret(item, what, path)
		}
		set.add(path)
	}
	return set
}

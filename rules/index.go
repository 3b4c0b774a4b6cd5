package rules

import (
	"regexp"
	"slices"
)

// index finds the rules for a method and a path: a tree over the segments of
// their templates, one for each method. Literal segments and listed values are
// looked up in maps, so what a request costs depends on its own length and not
// on how many rules there are. Only segments with regular expressions are
// tried one after the other, and only below the same prefix.
type index map[string]*node

type node struct {
	rules    []*Rule            // whose templates end here
	literals map[string]*node   // by segment
	listed   map[string][]*node // by value; one node for each list that has it
	lists    map[string]*node   // by list as written, while building
	any      *node              // {id}
	patterns []*edge            // {id:[0-9]+}, {id}.json
	tails    []*Rule            // whose templates span what is left
}

type edge struct {
	source  string
	pattern *regexp.Regexp
	to      *node
}

func newIndex(rules []*Rule) index {
	x := make(index)
	for _, rule := range rules {
		n := x[rule.Method]
		if n == nil {
			n = new(node)
			x[rule.Method] = n
		}
		for _, s := range rule.template.segments {
			n = n.child(s)
		}
		if rule.template.tail != nil {
			n.tails = append(n.tails, rule)
		} else {
			n.rules = append(n.rules, rule)
		}
	}
	return x
}

// child answers the node below n for a segment, and makes it where missing.
func (n *node) child(s segment) *node {
	switch {
	case s.pattern != nil:
		for _, e := range n.patterns {
			if e.source == s.source {
				return e.to
			}
		}
		n.patterns = append(n.patterns, &edge{source: s.source, pattern: s.pattern, to: new(node)})
		return n.patterns[len(n.patterns)-1].to
	case s.values != nil:
		return n.list(s)
	case s.params > 0:
		if n.any == nil {
			n.any = new(node)
		}
		return n.any
	}
	if n.literals == nil {
		n.literals = make(map[string]*node)
	}
	if n.literals[s.literal] == nil {
		n.literals[s.literal] = new(node)
	}
	return n.literals[s.literal]
}

func (n *node) list(s segment) *node {
	if to := n.lists[s.source]; to != nil {
		return to
	}
	if n.lists == nil {
		n.lists, n.listed = make(map[string]*node), make(map[string][]*node)
	}
	to := new(node)
	n.lists[s.source] = to
	for _, value := range s.values {
		if !slices.Contains(n.listed[value], to) {
			n.listed[value] = append(n.listed[value], to)
		}
	}
	return to
}

// collect adds to c.found the rules below n that match the path's segments
// from i on.
func (n *node) collect(c *canonical, i int) {
	if i == len(c.spans) {
		c.found = append(c.found, n.rules...)
		return
	}
	for _, rule := range n.tails {
		if rule.template.tail.Match(c.rest(i)) {
			c.found = append(c.found, rule)
		}
	}
	key := c.key(i)
	if to := n.literals[string(key)]; to != nil {
		to.collect(c, i+1)
	}
	for _, to := range n.listed[string(key)] {
		to.collect(c, i+1)
	}
	if n.any != nil {
		n.any.collect(c, i+1)
	}
	for _, e := range n.patterns {
		if e.pattern.Match(c.segment(i)) {
			e.to.collect(c, i+1)
		}
	}
}

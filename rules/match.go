package rules

import (
	"cmp"
	"slices"
)

// Match is every rule that a request's method and path match, in file order.
type Match struct {
	hits        []hit
	credentials []string
	parameters  []string

	only [1]hit // which most have, in no memory of its own
}

// hit is one rule with what the path says for its parameters.
type hit struct {
	rule   *Rule
	params []string
	suffix string // the format suffix that its last segment had: ".json"
}

// Match answers the rules for a request, or nil where there are none, which
// allocates nothing. Methods match exactly, paths in their canonical form and
// as the section matching says.
func (f *File) Match(method, escapedPath string) *Match {
	tree := f.index[method]
	if tree == nil {
		return nil
	}
	c := canonicalOf(escapedPath)
	defer c.release()
	suffix := f.matching.prepare(c)
	tree.collect(c, 0)
	if len(c.found) == 0 {
		return nil
	}
	slices.SortFunc(c.found, func(a, b *Rule) int { return cmp.Compare(a.order, b.order) })
	m := &Match{credentials: f.credentials, parameters: f.parameters}
	m.hits = m.only[:0]
	for _, rule := range c.found {
		m.hits = append(m.hits, hit{rule, rule.template.capture(c), suffix})
	}
	return m
}

// Rules answers the rules that match, in file order.
func (m *Match) Rules() []*Rule {
	rules := make([]*Rule, len(m.hits))
	for i, h := range m.hits {
		rules[i] = h.rule
	}
	return rules
}

func (m *Match) some(is func(*options) bool) bool {
	return slices.ContainsFunc(m.hits, func(h hit) bool { return is(h.rule.options) })
}

// WantsStatus reports whether some rule makes an event of an answer with the
// status. Where none does, the response need not be captured.
func (m *Match) WantsStatus(status int) bool {
	return m.some(func(o *options) bool { return o.wants(status) })
}

// NeedsRequestBody reports whether some rule reads the request's body.
func (m *Match) NeedsRequestBody() bool {
	return m.some(func(o *options) bool { return o.reads(requestBody) })
}

// NeedsCaller reports whether some rule's event belongs to the caller, or some
// rule reads caller.user: whether the caller must be asked for at all.
func (m *Match) NeedsCaller() bool {
	return m.some(func(o *options) bool { return o.user.caller() || o.reads(callerUser) })
}

// Strict reports whether some rule that makes events of answers with the status
// is strict.
func (m *Match) Strict(status int) bool {
	return m.some(func(o *options) bool { return o.strict && !o.observed && o.wants(status) })
}

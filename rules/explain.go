package rules

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Considered is one rule looked at for a request.
type Considered struct {
	Rule *Rule
	// Why says in words why the rule does not match, each a thing to change in
	// the rule, in the section matching, or in what was asked. Empty where it
	// matches.
	Why []string
	// When are the conditions that then decide, as rules.yaml has them.
	When []string

	distance int
}

// What one difference counts: the smaller, the likelier a slip.
const (
	costMisspelt = 1
	costStatus   = 1
	costMethod   = 1
	costSegment  = 2 // one more, or one less
	costOther    = 3 // another word altogether
)

// Explain answers what every rule makes of a request, those that match first
// and then the nearest misses. status is the answer's, or zero where that is
// not asked.
func (f *File) Explain(method, escapedPath string, status int) []Considered {
	c := canonicalOf(escapedPath)
	defer c.release()
	f.matching.prepare(c)
	all := make([]Considered, 0, len(f.Rules))
	for _, rule := range f.Rules {
		one := Considered{Rule: rule}
		if rule.Method != method {
			one.miss(costMethod, "the method is %s; the rule has %s", method, rule.Method)
		}
		one.path(c)
		if status != 0 && !rule.options.wants(status) {
			one.miss(costStatus, "%s", rule.wantsStatus(status))
		}
		for _, condition := range rule.options.when {
			one.When = append(one.When, condition.shown)
		}
		all = append(all, one)
	}
	slices.SortStableFunc(all, func(a, b Considered) int { return cmp.Compare(a.distance, b.distance) })
	return all
}

func (e *Considered) miss(cost int, format string, args ...any) {
	e.distance += cost
	e.Why = append(e.Why, fmt.Sprintf(format, args...))
}

// path compares the paths, and says where they differ.
func (e *Considered) path(c *canonical) {
	t := e.Rule.template
	written, err := splitTemplate(e.Rule.Path)
	if err != nil {
		return // Parse has read it before
	}
	end := len(c.spans)
	if t.tail != nil {
		end = min(end, len(t.segments))
		rest := ""
		if end < len(c.spans) {
			rest = string(c.rest(end))
		}
		if !t.tail.MatchString(rest) {
			defer e.miss(costSegment, "behind /%s, the rest of the path is %q; the rule has %s there",
				strings.Join(written[:len(t.segments)], "/"), rest, strings.Join(written[len(t.segments):], "/"))
		}
	}
	steps := alignment{c, t.segments, written}.steps(end)
	lead := 0 // segments before all of the rule's
	for lead < len(steps) && steps[lead].kind == more {
		lead++
	}
	if lead > 0 && lead < len(steps) {
		before := "/" + string(c.text[:c.spans[lead-1].end])
		e.miss(lead*costSegment, "the request has %s before the rule's path; matching: {mount: %s} would put it before every rule's", before, before)
		steps = steps[lead:]
	}
	for _, s := range steps {
		if s.cost > 0 {
			e.miss(s.cost, "%s", s.why)
		}
	}
}

// alignment lays a request's segments beside a template's, as in a diff.
type alignment struct {
	c        *canonical
	segments []segment
	written  []string
}

type stepKind int

const (
	beside stepKind = iota // one of each
	more                   // the request has one more
	less                   // and here one less
)

type step struct {
	kind stepKind
	cost int
	why  string
}

// steps answers the cheapest way through both, for the request's first end
// segments.
func (a alignment) steps(end int) []step {
	n := len(a.segments)
	costs := make([][]int, end+1) // from i, j to the ends
	for i := end; i >= 0; i-- {
		costs[i] = make([]int, n+1)
		for j := n; j >= 0; j-- {
			if i < end || j < n {
				_, costs[i][j] = a.cheapest(costs, i, j, end)
			}
		}
	}
	var steps []step
	for i, j := 0, 0; i < end || j < n; {
		s, _ := a.cheapest(costs, i, j, end)
		steps = append(steps, s)
		if s.kind != less {
			i++
		}
		if s.kind != more {
			j++
		}
	}
	return steps
}

func (a alignment) cheapest(costs [][]int, i, j, end int) (best step, total int) {
	total = -1
	try := func(s step, rest int) {
		if total < 0 || s.cost+rest < total {
			best, total = s, s.cost+rest
		}
	}
	if i < end && j < len(a.segments) {
		try(a.compare(i, j), costs[i+1][j+1])
	}
	if i < end {
		try(step{more, costSegment, fmt.Sprintf("the request has the segment %q more", a.c.segment(i))}, costs[i+1][j])
	}
	if j < len(a.segments) {
		try(step{less, costSegment, "the rule has one more segment: " + a.written[j]}, costs[i][j+1])
	}
	return best, total
}

// compare says how a request's segment and a template's differ.
func (a alignment) compare(i, j int) step {
	s, text, key := a.segments[j], string(a.c.segment(i)), string(a.c.key(i))
	switch {
	case s.pattern != nil && s.pattern.MatchString(text), s.values != nil && slices.Contains(s.values, key):
		return step{}
	case s.pattern != nil:
		return step{beside, costSegment, fmt.Sprintf("segment %d is %q, which does not match %s", i+1, text, a.written[j])}
	case s.values != nil:
		return step{beside, costSegment, fmt.Sprintf("segment %d is %q; the rule has %s there", i+1, text, either(s.values))}
	case s.params > 0 || s.literal == key:
		return step{}
	}
	why := fmt.Sprintf("segment %d is %q; the rule has %q there", i+1, text, s.literal)
	suffix, suffixed := strings.CutPrefix(key, s.literal)
	switch {
	case strings.EqualFold(s.literal, text):
		return step{beside, costMisspelt, why + "; matching: {ignore_case: true} would take it"}
	case suffixed && formatSuffix.MatchString(suffix):
		return step{beside, costMisspelt, why + "; matching: {format_suffixes: [" + suffix + "]} would take it"}
	case editDistance(s.literal, key) <= min(2, len(s.literal)/2):
		return step{beside, costMisspelt, why}
	}
	return step{beside, costOther, why}
}

var formatSuffix = regexp.MustCompile(`^\.[A-Za-z0-9]{1,8}$`)

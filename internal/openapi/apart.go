package openapi

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// bookkeeping are properties that an API keeps by itself.
var bookkeeping = regexp.MustCompile(`^(_?id|uuid|guid|sid|[a-z0-9]+_id|rev|revision|version|etag|_?(created|updated|modified)(_?(at|on|date|time))?)$`)

// apart keeps a rule from requests that a more concrete route's own rule is
// for: all rules that match a request apply, whereas an API takes the most
// concrete route.
func (p *planner) apart(e *entry, o *operation) {
	not := make(map[string][]string)
	for _, other := range p.alike[o.likeness()] {
		if param, value, ok := o.excludes(other.route); ok && !slices.Contains(not[param], value) {
			not[param] = append(not[param], value)
		}
	}
	var conditions []string
	for _, s := range o.segments {
		if values := not[s.param]; s.params == 1 && len(values) > 0 {
			quoted := make([]string, len(values))
			for i, value := range values {
				quoted[i] = quote(value)
			}
			conditions = append(conditions, fmt.Sprintf("path.%s: {not: [%s]}", s.param, strings.Join(quoted, ", ")))
		}
	}
	if len(conditions) > 0 {
		e.set("when", "{"+strings.Join(conditions, ", ")+"}", "Other routes have these values in that place, and rules of their own.")
	}
}

// likeness is equal for operations whose routes may match the same requests.
func (o *operation) likeness() string { return fmt.Sprint(o.method, len(o.segments)) }

// joined puts entries together that differ in nothing but the method: PUT and
// PATCH of one path.
func joined(entries []*entry) []*entry {
	var all []*entry
	for _, e := range entries {
		if len(all) == 0 || !all[len(all)-1].takes(e) {
			all = append(all, e)
			continue
		}
		last := all[len(all)-1]
		last.methods, last.about = append(last.methods, e.methods...), append(last.about, e.about...)
	}
	return all
}

func (e *entry) takes(next *entry) bool {
	return e.path == next.path && e.event == next.event && e.aside == next.aside &&
		slices.Equal(e.options, next.options) && slices.Equal(e.why, next.why)
}

// distinct marks entries whose requests another one's route matches already.
func distinct(entries []*entry) {
	first := make(map[string]string)
	for _, e := range entries {
		for _, method := range e.methods {
			key := method + " " + e.shape()
			if other := first[key]; other != "" {
				e.mistake = fmt.Sprintf("%s matches the same requests", other)
				continue
			}
			first[key] = method + " " + e.path
		}
	}
}

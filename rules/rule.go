package rules

import (
	"slices"
)

// Rule says which event a request is. It stands for one method and one path
// template; an entry of rules.yaml that names several is several Rules.
type Rule struct {
	// Position names the line: "rules.yaml:12". It is what Event.Rule says.
	Position string
	// Line and Column are where the entry begins.
	Line, Column int
	// Method is matched exactly: methods are case-sensitive (RFC 9110 §9.1).
	Method string
	// Path is the path template as written.
	Path string
	// Emit is the event name as written; it may hold parameters: "{path.kind}.create".
	Emit string
	// Events are the names that Emit stands for, at least one.
	Events []string

	options  *options
	template *template
	order    int // in the file
	// collection says that the id behind the path is the path of what was made.
	collection bool
}

// Strict reports whether a client must not be told of a success whose event
// could be put nowhere: "guarantee: strict".
func (r *Rule) Strict() bool { return r.options.strict }

// OfCaller reports whether the rule's events belong to whoever sent the request,
// as they do unless it names another user.
func (r *Rule) OfCaller() bool { return r.options.user.caller() }

// Observed reports whether the rule's events are derived, counted and logged,
// but never published: "mode: observe", of the rule or of the whole file.
func (r *Rule) Observed() bool { return r.options.observed }

// options is what an entry of rules.yaml says beside its routes. The Rules
// that the entry expands to share it.
type options struct {
	emit     text
	statuses []int
	when     []condition
	user     owner
	payload  payload
	resource *source  // nil: the default order
	each     *source  // nil: one event per exchange
	maxItems int      // of each
	keep     []string // secret-like keys that stay, in lower case
	fetch    fetching // zero: nothing beside the exchange
	strict   bool     // guarantee: strict
	observed bool     // mode: observe
	same     string   // status, when, user, each and mode as written, to find duplicates
	kinds    int      // a bit for each kind of source that is read
}

// sources answers everything that the options read.
func (o *options) sources() []source {
	var all []source
	for _, c := range o.when {
		all = append(all, c.source)
		if c.previous != nil {
			all = append(all, *c.previous)
		}
	}
	all = append(all, o.payload.sources()...)
	for _, s := range []*source{o.user.source, o.resource, o.each} {
		if s != nil {
			all = append(all, *s)
		}
	}
	return all
}

func (o *options) reads(kind sourceKind) bool { return o.kinds&(1<<kind) != 0 }

// noteReads makes reads true: each exchange asks it several times.
func (o *options) noteReads() {
	for _, s := range o.sources() {
		o.kinds |= 1 << s.kind
	}
}

// wants reports whether an answer with the status can be the rule's event.
func (o *options) wants(status int) bool { return slices.Contains(o.statuses, status) }

// name answers the event name for the parameters of one request.
func (r *Rule) name(params []string) string {
	if len(r.Events) == 1 {
		return r.Events[0]
	}
	var name []byte
	for _, part := range r.options.emit {
		if part.source == nil {
			name = append(name, part.literal...)
		} else {
			name = append(name, r.template.param(params, part.source.name)...)
		}
	}
	return string(name)
}

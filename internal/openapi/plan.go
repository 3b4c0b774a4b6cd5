package openapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// An entry is a rule to be written, with the reasons for what it says.
type entry struct {
	methods []string
	route
	event   string
	about   []string // what the document says it does, one for each method
	why     []string
	options []option
	// aside is why the rule is written behind "#?"; "" where it is in force.
	aside string
	// mistake is why there can be no such rule; "" where there can.
	mistake string
}

// An option is one line of a rule.
type option struct{ key, value string }

func (e *entry) set(key, value, why string) {
	e.options = append(e.options, option{key, value})
	if why != "" {
		e.why = append(e.why, why)
	}
}

// planner decides what each rule says.
type planner struct {
	*api
	home   openapi3.Servers
	events map[*operation]string
	alike  map[string][]*operation
}

func newPlanner(spec *openapi3.T) *planner {
	p := &planner{api: apiOf(spec), alike: make(map[string][]*operation)}
	p.home, p.events = p.api.home(spec), p.unambiguous()
	for _, o := range p.writes {
		p.alike[o.likeness()] = append(p.alike[o.likeness()], o)
	}
	return p
}

// plan answers the entry for one operation.
func (p *planner) plan(o *operation) *entry {
	e := &entry{methods: []string{o.method}, route: o.route, event: p.events[o], about: []string{aboutOf(o)}}
	noun, param := p.subject(o)
	a := answersOf(o, noun, param)
	e.aside = p.aside(o, a)
	p.status(e, a)
	switch {
	case o.method == http.MethodDelete && a.has.id(noun, param) == "":
		p.named(e, "A delete", o.itemLast())
	case !a.known:
		p.silent(e, o, a)
	case a.list:
		p.lists(e, o, a, noun, param)
	default:
		p.one(e, o, a, noun, param)
	}
	p.apart(e, o)
	return e
}

// subject answers the noun of what an operation is about, and the parameter by
// which paths name one of it, both as the document writes them; "" for none.
func (p *planner) subject(o *operation) (noun, param string) {
	words := wordsOf(o.route)
	if o.isAction(p.api) {
		words = words[:len(words)-1]
	}
	if len(words) > 0 {
		noun = singular(words[len(words)-1].text)
	}
	switch item := p.item(o.route); {
	case o.isAction(p.api):
		param = o.params[o.actedOn()]
	case o.itemLast():
		param = o.params[o.lastParam()]
	case item != nil:
		param = item.params[item.lastParam()]
	}
	return noun, param
}

// aside answers why a rule waits for somebody to decide, or "".
func (p *planner) aside(o *operation, a answers) string {
	words := wordsOf(o.route)
	switch {
	case served(o.servers) != served(p.home):
		return "it is served elsewhere, at " + o.servers[0].URL
	case a.streams:
		return "it answers a stream, which is never captured"
	case o.asks(words):
		return "it looks like a question rather than a write"
	case len(a.statuses) > 0 && len(a.beyond()) == len(a.statuses) && !slices.Contains(a.statuses, http.StatusMultiStatus):
		return "it answers " + listed(a.statuses) + " only, which says that the work is still to come, or done elsewhere"
	}
	return ""
}

// asks reports whether a POST looks like a question, by the last word of its path
// or by what the document says of it.
func (o *operation) asks(words []word) bool {
	if o.method != http.MethodPost || len(words) == 0 || o.Responses.Value("201") != nil {
		return false
	}
	return questions[words[len(words)-1].text] || asking.MatchString(aboutOf(o))
}

// status names the statuses where the usual ones are not enough.
func (p *planner) status(e *entry, a answers) {
	beyond := a.beyond()
	all := "[" + listed(a.statuses) + "]"
	switch {
	case len(beyond) == 0:
	case e.aside != "" && len(beyond) == len(a.statuses):
		e.set("status", all, "")
	case slices.Contains(beyond, http.StatusMultiStatus):
		e.set("status", all, "207 says for each item what came of it.")
	default:
		e.why = append(e.why, fmt.Sprintf("It answers %s too, when the work is not done yet: an event of that as well is status: %s.", listed(beyond), all))
	}
}

// named has the event carry what the path names and nothing else. one says that
// the path names what it is about, and not what that lies below.
func (p *planner) named(e *entry, what string, one bool) {
	param := e.lastParam()
	switch {
	case param == "":
		e.set("payload", "{}", "Neither path nor answer says more than that it happened.")
	case one:
		e.set("payload", fmt.Sprintf(`{id: "{path.%s}"}`, param), what+" carries the id from the path.")
	default:
		e.set("payload", fmt.Sprintf(`{%s: "{path.%s}"}`, quote(param), param), what+" carries what the path says.")
	}
}

// silent is for an answer without JSON.
func (p *planner) silent(e *entry, o *operation, a answers) {
	says := "No JSON is described for its answer"
	if slices.Contains(a.statuses, http.StatusNoContent) {
		says = "It answers 204"
	}
	switch acted := o.actedOn(); {
	case o.isAction(p.api) && acted != "":
		e.set("resource", "path."+acted, "")
		if !e.fetchable(p, o.above(), "{after: "+quote(o.above().fetchPath())+"}", says) {
			p.named(e, says+": the event", true)
		}
	case o.isAction(p.api):
		p.named(e, says+": the event", false)
	case o.method == http.MethodPost && !o.itemLast() && a.location:
		e.set("fetch", "after", says+": what was made is fetched from Location.")
	case o.method == http.MethodPost && !o.itemLast():
		e.set("payload", `{location: "{response.header.Location}"}`, says+": the event carries Location, should the API send one.")
	case !e.fetchable(p, o.route, "after", says):
		p.named(e, says+": the event", o.itemLast())
	}
}

// fetchable has the resource at a path fetched, if the document has a GET of
// JSON there.
func (e *entry) fetchable(p *planner, at route, fetch, says string) bool {
	read := p.reads[at.shape()]
	if read == nil || served(read.servers) != "" && served(read.servers) != served(p.home) {
		return false
	}
	noun, param := p.subject(read)
	a := answersOf(read, noun, param)
	if !a.known {
		return false
	}
	e.set("fetch", fetch, says+": what there is then is fetched from GET "+read.written+".")
	if a.at != "" {
		e.set("payload", "fetched."+a.at, fmt.Sprintf("That answer holds it in %q.", a.at))
	}
	return true
}

// actedOn answers the parameter that names the one thing that a POST does
// something to, or "": /deals/{id}/close is done to a deal, /deals/import is not.
func (o *operation) actedOn() string {
	at := len(o.segments) - 1
	if o.last().params == 0 && !strings.Contains(o.last().literal, ":") {
		at--
	}
	if at < 0 || o.segments[at].params == 0 {
		return ""
	}
	return o.segments[at].param
}

// above is the path that a POST does something to.
func (o *operation) above() route {
	above := o.route
	if last := o.last(); last.params > 0 { // {id}:archive
		last.after, _, _ = strings.Cut(last.after, ":")
		above.segments = append(slices.Clone(o.segments[:len(o.segments)-1]), last)
		return above
	}
	above.segments = o.segments[:len(o.segments)-1]
	if literal, _, colon := strings.Cut(o.last().literal, ":"); colon {
		above.segments = append(slices.Clone(above.segments), segment{literal: literal})
	}
	return above
}

// fetchPath writes a path as fetch has it.
func (r route) fetchPath() string {
	var b strings.Builder
	for _, s := range r.segments {
		b.WriteString("/" + s.literal)
		if s.params > 0 {
			b.WriteString(s.before + "{path." + s.param + "}" + s.after)
		}
	}
	return b.String()
}

// lists is for an answer that holds several.
func (p *planner) lists(e *entry, o *operation, a answers, noun, param string) {
	at := "response.body"
	if a.at != "" {
		at += "." + a.at
	}
	if o.method != http.MethodPost || o.itemLast() || len(a.has) == 0 {
		if a.at != "" {
			e.set("payload", at, fmt.Sprintf("The answer holds a list in %q.", a.at))
		}
		return
	}
	e.set("each", at, "The answer is a list: an event for each item of it. Where it lists more than what was made, delete each.")
	if id := a.has.id(noun, param); id != "" && id != "id" {
		e.set("resource", "item."+id, "")
	}
}

// one is for an answer that holds one resource.
func (p *planner) one(e *entry, o *operation, a answers, noun, param string) {
	at := "response.body"
	if a.at != "" {
		at += "." + a.at
		e.set("payload", at, fmt.Sprintf("The answer holds it in %q.", a.at))
	} else if o.method != http.MethodDelete && p.partial(o, a) {
		e.set("merge", "[request.body, response.body]",
			"The answer holds only "+strings.Join(a.has.sorted(), ", ")+"; the rest is as the caller sent it.")
	}
	switch id := a.has.id(noun, param); {
	case o.isAction(p.api) && o.actedOn() != "":
		e.set("resource", "path."+o.actedOn(), "")
	case o.itemLast() || o.method != http.MethodPost || id == "" || id == "id":
	case p.item(o.route) != nil:
		e.set("resource", at+"."+id, fmt.Sprintf("Its id is %q, as in %s.", id, p.item(o.route).written))
	default:
		e.set("resource", at+"."+id, fmt.Sprintf("Its id is probably %q.", id))
	}
}

// partial reports whether an answer holds little more than an id, and the
// request the rest.
func (p *planner) partial(o *operation, a answers) bool {
	const little = 3
	if len(a.has) == 0 || len(a.has) > little || o.RequestBody == nil || o.RequestBody.Value == nil {
		return false
	}
	schema, known := jsonSchema(o.RequestBody.Value.Content)
	if !known || listOf(schema, 0) != nil {
		return false
	}
	for _, property := range a.has.sorted() {
		if !bookkeeping.MatchString(snake(property)) {
			return false
		}
	}
	sent := propertiesOf(schema, 0)
	for property := range sent {
		if a.has.named(property) == "" {
			return true
		}
	}
	return false
}

package openapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// How long an event's name may be, in bytes.
const (
	maxName = 128
	maxVerb = 40 // of it
)

// A name is an event's before it is made sure that no other is the same.
type name struct {
	prefix []string // words that are left out unless two names would be the same
	noun   []string
	verb   string
}

func (n name) String() string {
	noun := strings.Join(n.noun, ".")
	if most := maxName - len(n.verb) - len("_9999."); len(noun) > most {
		noun = strings.Trim(noun[:most], "._")
	}
	return noun + "." + n.verb
}

// longer is the name with the words that it was left without.
func (n name) longer() name {
	n.noun = append(slices.Clone(n.prefix), n.noun...)
	return n
}

// name answers what happens to what, by method and path:
//
//	POST   /contacts              contact.create      PUT    /contacts/{id}/avatar  contact.avatar.update
//	PATCH  /contacts/{id}         contact.update      POST   /deals/{id}/close      deal.close
//	DELETE /contacts/{id}         contact.delete      DELETE /contacts              contacts.delete
func (a *api) name(o *operation) name {
	words := wordsOf(o.route)
	n := name{verb: a.verb(o)}
	if n.verb == "" { // the path says it
		last := len(words) - 1
		n.verb, words = words[last].text, words[:last]
		n.verb = n.verb[:min(len(n.verb), maxVerb)]
	}
	oneOf := n.verb != "update" && n.verb != "delete" || o.itemLast()
	for i, w := range words {
		text := w.text
		if w.item || i == len(words)-1 && oneOf {
			text = singular(text)
		}
		if w.prefix {
			n.prefix = append(n.prefix, text)
		} else {
			n.noun = append(n.noun, text)
		}
	}
	if len(n.noun) == 0 {
		n.noun, n.prefix = n.prefix, nil
	}
	if len(n.noun) == 0 {
		n.noun = []string{"api"}
		if param := snake(o.lastParam()); param != "" {
			n.noun = []string{param}
		}
	}
	return n
}

// verb answers what an operation does, or "" where the path's last word says it.
func (a *api) verb(o *operation) string {
	switch o.method {
	case http.MethodDelete:
		return "delete"
	case http.MethodPut, http.MethodPatch:
		return "update"
	}
	switch {
	case o.isAction(a):
		return ""
	case !o.itemLast():
		return "create"
	case a.hasMethod(o.route, http.MethodPut) || a.hasMethod(o.route, http.MethodPatch):
		return "post"
	}
	return "update"
}

// isAction reports whether a POST's path ends with something to do with what
// stands before it: /deals/{id}/close, but not /deals/{id}/notes.
func (o *operation) isAction(a *api) bool {
	if o.method != http.MethodPost {
		return false
	}
	words := wordsOf(o.route)
	if len(words) < 2 || words[len(words)-2].prefix {
		return false
	}
	last := words[len(words)-1]
	if last.colon {
		return true
	}
	return !o.itemLast() && !plural(last.text) && a.item(o.route) == nil && o.Responses.Value("201") == nil
}

func (a *api) hasMethod(r route, method string) bool {
	return slices.ContainsFunc(a.items[collectionShape(r)], func(o *operation) bool {
		return o.method == method && o.shape() == r.shape()
	})
}

// A word is a segment of a path that names something.
type word struct {
	text   string
	item   bool // one of them: a parameter follows
	colon  bool // behind a colon: /contacts/{id}:archive
	prefix bool // says nothing: api, v1
}

func wordsOf(r route) []word {
	var words []word
	for _, s := range r.segments {
		literal, action, _ := strings.Cut(s.literal, ":")
		if s.params > 0 {
			if len(words) > 0 {
				words[len(words)-1].item = true
			}
			_, action, _ = strings.Cut(s.after, ":")
		}
		literal = formats.ReplaceAllString(literal, "")
		if text := snake(literal); text != "" {
			lower := strings.ToLower(literal)
			leading := !slices.ContainsFunc(words, func(w word) bool { return !w.prefix })
			words = append(words, word{text: text, prefix: version.MatchString(lower) || leading && prefixWords[lower]})
		}
		if text := snake(action); text != "" {
			words = append(words, word{text: text, colon: true})
		}
	}
	return words
}

// unambiguous names all operations so that two of them have the same name only
// where they do the same: PUT and PATCH of one path.
func (a *api) unambiguous() map[*operation]string {
	names := make(map[*operation]name)
	for _, o := range a.writes {
		names[o] = a.name(o)
	}
	for _, group := range a.clashes(names) {
		for _, o := range group {
			names[o] = names[o].longer()
		}
	}
	return a.numbered(names)
}

// meaning is equal for operations that may share a name.
func meaning(o *operation) string {
	if o.method == http.MethodPatch {
		return http.MethodPut + o.shape()
	}
	return o.method + o.shape()
}

// clashes answers the groups of operations that share a name and must not.
func (a *api) clashes(names map[*operation]name) map[string][]*operation {
	groups := make(map[string][]*operation)
	for _, o := range a.writes {
		groups[names[o].String()] = append(groups[names[o].String()], o)
	}
	for shared, group := range groups {
		if !slices.ContainsFunc(group, func(o *operation) bool { return meaning(o) != meaning(group[0]) }) {
			delete(groups, shared)
		}
	}
	return groups
}

// numbered puts numbers behind the names that are still not one operation's.
func (a *api) numbered(names map[*operation]name) map[*operation]string {
	final, taken := make(map[*operation]string), make(map[string]string)
	for _, o := range a.writes {
		n, own := names[o], names[o].String()
		noun := strings.TrimSuffix(own, "."+n.verb)
		for i := 2; taken[own] != "" && taken[own] != meaning(o); i++ {
			own = fmt.Sprintf("%s_%d.%s", noun, i, n.verb)
		}
		taken[own] = meaning(o)
		final[o] = own
	}
	return final
}

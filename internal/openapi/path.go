package openapi

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A segment is one part of a path between slashes.
type segment struct {
	literal string // where there is no parameter
	// before and after stand around the last parameter.
	before, param, after string
	params               int
	spans                bool // the parameter may hold slashes
}

// route is a path in the form of rules.yaml.
type route struct {
	path     string // as a template
	segments []segment
	params   map[string]string // the document's name of a parameter by ours
}

var (
	inBraces = regexp.MustCompile(`\{[^{}]*\}`)
	unnamed  = regexp.MustCompile(`[^A-Za-z0-9_-]+`)
)

// routeOf reads a document's path. Parameters get names that rules.yaml has:
// {pet.id} becomes {pet_id}, {+path} and {path*} are {path:.+}.
func routeOf(written string) route {
	r := route{params: make(map[string]string)}
	for part := range strings.SplitSeq(written, "/") {
		if part != "" {
			r.add(part)
		}
	}
	if r.path == "" {
		r.path = "/"
	}
	return r
}

func (r *route) add(part string) {
	places := inBraces.FindAllStringIndex(part, -1)
	if len(places) == 0 {
		r.segments = append(r.segments, segment{literal: part})
		r.path += "/" + part
		return
	}
	s, from := segment{params: len(places)}, 0
	r.path += "/"
	for _, at := range places {
		inner := part[at[0]+1 : at[1]-1]
		s.before, s.after = part[from:at[0]], part[at[1]:]
		s.param, from = r.name(inner), at[1]
		r.path += s.before + "{" + s.param
		if strings.ContainsAny(inner, "+*") {
			s.spans = true
			r.path += ":.+"
		}
		r.path += "}"
	}
	r.path += s.after
	r.segments = append(r.segments, s)
}

// name answers a name for a parameter that no other has.
func (r *route) name(written string) string {
	const most = 60 // of 64, for a number behind it
	written, _, _ = strings.Cut(strings.Trim(written, "+*;?#./ "), "=")
	name := strings.Trim(unnamed.ReplaceAllString(written, "_"), "_")
	if len(name) > most {
		name = name[:most]
	}
	if name == "" {
		name = "id"
	}
	unique := name
	for n := 2; r.params[unique] != ""; n++ {
		unique = fmt.Sprintf("%s_%d", name, n)
	}
	r.params[unique] = written
	if written == "" {
		r.params[unique] = name
	}
	return unique
}

// shape is equal for routes that match the same requests.
func (r route) shape() string {
	var b strings.Builder
	for _, s := range r.segments {
		b.WriteString("/" + s.shape())
	}
	return b.String()
}

func (s segment) shape() string {
	switch {
	case s.params == 0:
		return s.literal
	case s.spans:
		return "{+}"
	}
	return s.before + "{" + strings.Repeat("|", s.params-1) + "}" + s.after
}

// itemLast reports whether the path ends with a parameter: the path of one
// resource.
func (r route) itemLast() bool {
	return r.last().params > 0 && !strings.HasPrefix(r.last().after, ":")
}

// last answers the last segment; the root has none.
func (r route) last() (none segment) {
	if len(r.segments) == 0 {
		return none
	}
	return r.segments[len(r.segments)-1]
}

// lastParam answers the name of the last parameter, or "".
func (r route) lastParam() string {
	for _, s := range slices.Backward(r.segments) {
		if s.params > 0 {
			return s.param
		}
	}
	return ""
}

// excludes answers the value that a parameter of r must not have so that r does
// not match the requests of a more concrete route. ok is false where r matches
// none of them, or where more than one parameter decides.
func (r route) excludes(concrete route) (param, value string, ok bool) {
	if len(r.segments) != len(concrete.segments) {
		return "", "", false
	}
	for i, s := range r.segments {
		other := concrete.segments[i]
		if s.shape() == other.shape() {
			continue
		}
		literal, fits := strings.CutPrefix(other.literal, s.before)
		literal, ends := strings.CutSuffix(literal, s.after)
		if s.params != 1 || other.params > 0 || !fits || !ends || literal == "" || ok {
			return "", "", false
		}
		param, value, ok = s.param, literal, true
	}
	return param, value, ok
}

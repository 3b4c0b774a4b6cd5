package rules

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Bounds of a path template.
const (
	maxTemplate = 1024 // bytes
	maxSegments = 64
	maxListed   = 64 // values of one parameter
)

// template is a path with parameters, in gorilla/mux's syntax: {id} is one
// segment or a part of one, {id:[0-9]+} one that matches a regular expression.
// A parameter whose expression can match "/" spans segments: {name:.+}.
// A parameter is never empty.
type template struct {
	segments []segment
	tail     *regexp.Regexp // what is left of the path from the first spanning parameter on; nil: none spans
	names    []string       // parameters, in order
	listed   map[string][]string
	shape    string // equal for templates that differ in parameter names only
	itemLast bool   // the last segment holds a parameter
	mounted  int    // how many segments the mount has
	folds    bool   // ASCII letters match in any case
}

// segment is one path segment of a template.
type segment struct {
	literal string         // decoded; set where there are no parameters
	values  []string       // a parameter whose values are listed: {kind:contact|deal}
	pattern *regexp.Regexp // any other parameter with an expression, or several, or text around them
	params  int
	source  string // the shape
}

func parseTemplate(text string) (*template, error) {
	if !strings.HasPrefix(text, "/") || len(text) > maxTemplate {
		return nil, fmt.Errorf("expected a path template that begins with / and has at most %d bytes, found %s", maxTemplate, quoted(text))
	}
	written, err := splitTemplate(text)
	if err != nil {
		return nil, err
	}
	t := &template{listed: make(map[string][]string)}
	for i, raw := range written {
		pieces, err := parsePieces(raw)
		if err != nil {
			return nil, err
		}
		if err := t.name(pieces); err != nil {
			return nil, err
		}
		t.itemLast = len(pieces.params()) > 0
		if t.tail == nil && !pieces.span() {
			segment, err := pieces.segment()
			if err != nil {
				return nil, err
			}
			t.segments = append(t.segments, segment)
			t.shape += "/" + segment.source
			continue
		}
		if err := t.finish(written[i:]); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// splitTemplate splits at "/" outside braces.
func splitTemplate(text string) ([]string, error) {
	var parts []string
	depth, start := 0, 1
	for i := 1; i <= len(text); i++ {
		switch {
		case i == len(text) || text[i] == '/' && depth == 0:
			parts = append(parts, text[start:i])
			start = i + 1
		case text[i] == '{':
			depth++
		case text[i] == '}':
			depth--
		}
		if depth < 0 {
			break
		}
	}
	if depth != 0 {
		return nil, fmt.Errorf("expected as many { as }, found %s", quoted(text))
	}
	if parts[len(parts)-1] == "" { // a trailing slash is ignored
		parts = parts[:len(parts)-1]
	}
	if len(parts) > maxSegments {
		return nil, fmt.Errorf("expected at most %d segments, found %d", maxSegments, len(parts))
	}
	if slices.ContainsFunc(parts, func(part string) bool { return part == "" || part == "." || part == ".." }) {
		return nil, fmt.Errorf("expected a path without empty, . and .. segments, found %s", quoted(text))
	}
	return parts, nil
}

// name adds the parameters of a segment.
func (t *template) name(ps pieces) error {
	for _, param := range ps.params() {
		if slices.Contains(t.names, param.name) {
			return fmt.Errorf("the parameter {%s} stands there twice", param.name)
		}
		t.names = append(t.names, param.name)
		if param.values != nil {
			t.listed[param.name] = param.values
		}
	}
	return nil
}

// finish makes one expression of everything from the first spanning segment
// on, once: later segments find the tail complete.
func (t *template) finish(written []string) error {
	if t.tail != nil {
		return nil
	}
	var expressions []string
	for _, raw := range written {
		pieces, err := parsePieces(raw)
		if err != nil {
			return err
		}
		expressions = append(expressions, pieces.expression(`[^/]+`))
	}
	source := strings.Join(expressions, "/")
	tail, err := compileBounded("^" + source + "$")
	if err != nil {
		return err
	}
	t.tail = tail
	t.shape += "/…" + source
	return nil
}

// capture answers the parameters' values in a path that the template matches.
func (t *template) capture(c *canonical) []string {
	values := make([]string, 0, len(t.names))
	for i, s := range t.segments {
		switch {
		case s.pattern != nil:
			for _, value := range s.pattern.FindSubmatch(c.segment(i))[1:] {
				values = append(values, string(value))
			}
		case s.params == 1:
			values = append(values, string(c.segment(i)))
		}
	}
	if t.tail != nil {
		for _, value := range t.tail.FindSubmatch(c.rest(len(t.segments)))[1:] {
			values = append(values, string(value))
		}
	}
	if t.folds {
		t.asListed(values)
	}
	return values
}

// asListed writes listed values as the template does: names of events are made
// of them.
func (t *template) asListed(values []string) {
	for i, name := range t.names {
		for _, listed := range t.listed[name] {
			if strings.EqualFold(values[i], listed) {
				values[i] = listed
			}
		}
	}
}

// param answers the value of a parameter among those that capture found.
func (t *template) param(values []string, name string) string {
	if i := slices.Index(t.names, name); i >= 0 && i < len(values) {
		return values[i]
	}
	return ""
}

var errEmptyParam = errors.New("can match the empty text; a parameter is never empty, so expected an expression such as .+ or [0-9]+")

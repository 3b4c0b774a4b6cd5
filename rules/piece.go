package rules

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// piece is a part of a template's segment: literal text or a parameter.
type piece struct {
	literal string // decoded; of a parameter: empty
	name    string
	pattern string   // empty: any text
	values  []string // listed by the pattern, as in contact|deal
	spans   bool     // the pattern can match "/"
}

type pieces []piece

var (
	paramName  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	listedOnly = regexp.MustCompile(`^[A-Za-z0-9_-]+(\|[A-Za-z0-9_-]+)*$`)
)

// parsePieces splits one segment of a template, whose braces are balanced.
func parsePieces(raw string) (pieces, error) {
	var found pieces
	for raw != "" {
		open := strings.IndexByte(raw, '{')
		if open < 0 {
			open = len(raw)
		}
		if open > 0 {
			p, err := parseLiteral(raw[:open])
			if err != nil {
				return nil, err
			}
			found, raw = append(found, p), raw[open:]
			continue
		}
		end := closing(raw)
		if end < 0 {
			return nil, fmt.Errorf("expected as many { as }, found %s", quoted(raw))
		}
		p, err := parseParam(raw[1:end])
		if err != nil {
			return nil, err
		}
		found, raw = append(found, p), raw[end+1:]
	}
	return found, nil
}

// closing answers where the brace that opens raw is closed.
func closing(raw string) int {
	depth := 0
	for i := range len(raw) {
		switch raw[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func parseLiteral(raw string) (piece, error) {
	for _, r := range raw {
		switch {
		case r == '?' || r == '#':
			return piece{}, fmt.Errorf("expected a path only, found %q (match a query with when: {query.x: …})", r)
		case r <= ' ' || r == 0x7f || r == '\\' || r == '}':
			return piece{}, fmt.Errorf("expected a path, found %q in it", r)
		}
	}
	return piece{literal: string(unescapeInto(nil, raw))}, nil
}

func parseParam(raw string) (piece, error) {
	name, pattern, constrained := strings.Cut(raw, ":")
	if !paramName.MatchString(name) {
		return piece{}, fmt.Errorf("expected a parameter such as {id} or {id:[0-9]+}, its name of letters, digits, _ and -; found %s", quoted("{"+raw+"}"))
	}
	if !constrained {
		return piece{name: name}, nil
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return piece{}, fmt.Errorf("parameter {%s}: expected a regular expression: %w", name, err)
	}
	if parsed.MaxCap() > 0 {
		return piece{}, fmt.Errorf("parameter {%s}: expected groups without capture, (?:…), found (…)", name)
	}
	if isAnchored(parsed) {
		return piece{}, fmt.Errorf(`parameter {%s}: expected an expression without ^, $, \A, \z, \b and \B, found %s; it always has to match the whole parameter`, name, quoted(pattern))
	}
	whole, err := compileBounded("^(?:" + pattern + ")$")
	if err != nil {
		return piece{}, fmt.Errorf("parameter {%s}: %w", name, err)
	}
	if whole.MatchString("") {
		return piece{}, fmt.Errorf("parameter {%s}: %s %w", name, quoted(pattern), errEmptyParam)
	}
	p := piece{name: name, pattern: pattern, spans: canMatchSlash(parsed)}
	if listedOnly.MatchString(pattern) {
		p.values = strings.Split(pattern, "|")
	}
	if len(p.values) > maxListed {
		return piece{}, fmt.Errorf("parameter {%s}: expected at most %d listed values, found %d", name, maxListed, len(p.values))
	}
	return p, nil
}

// maxProgram bounds a regular expression's size once compiled: a few bytes of
// pattern can stand for megabytes.
const maxProgram = 1000

// compileBounded answers a regular expression that is not too large.
func compileBounded(pattern string) (*regexp.Regexp, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("expected a regular expression: %w", err)
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, fmt.Errorf("expected a regular expression: %w", err)
	}
	if len(program.Inst) > maxProgram {
		return nil, fmt.Errorf("expected a smaller regular expression, found one of %d steps (at most %d)", len(program.Inst), maxProgram)
	}
	return regexp.Compile(pattern)
}

// isAnchored reports whether an expression looks at what stands around its match.
// In the middle of a path it would match nothing, or another thing than alone.
func isAnchored(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	}
	return slices.ContainsFunc(re.Sub, isAnchored)
}

// canMatchSlash reports whether some part of an expression matches "/".
func canMatchSlash(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return true
	case syntax.OpLiteral:
		return strings.ContainsRune(string(re.Rune), '/')
	case syntax.OpCharClass:
		for i := 0; i+1 < len(re.Rune); i += 2 {
			if re.Rune[i] <= '/' && '/' <= re.Rune[i+1] {
				return true
			}
		}
	}
	for _, sub := range re.Sub {
		if canMatchSlash(sub) {
			return true
		}
	}
	return false
}

func (ps pieces) params() pieces {
	var params pieces
	for _, p := range ps {
		if p.name != "" {
			params = append(params, p)
		}
	}
	return params
}

func (ps pieces) span() bool {
	for _, p := range ps {
		if p.spans {
			return true
		}
	}
	return false
}

// expression answers the regular expression of the pieces, with one group for
// each parameter; any is that of a parameter without one.
func (ps pieces) expression(any string) string {
	var b strings.Builder
	for _, p := range ps {
		switch {
		case p.name == "":
			b.WriteString(regexp.QuoteMeta(p.literal))
		case p.pattern == "":
			b.WriteString("(" + any + ")")
		default:
			b.WriteString("(" + p.pattern + ")")
		}
	}
	return b.String()
}

// segment answers the pieces as one segment, none of them spanning.
func (ps pieces) segment() (segment, error) {
	params := ps.params()
	s := segment{params: len(params)}
	switch {
	case len(params) == 0:
		s.literal = ps[0].literal
		if s.literal == "." || s.literal == ".." {
			return s, fmt.Errorf("expected a path without . and .. segments, found %s", quoted(s.literal))
		}
		s.source = regexp.QuoteMeta(s.literal)
		return s, nil
	case len(ps) == 1 && ps[0].pattern == "":
		s.source = "{}"
		return s, nil
	case len(ps) == 1 && ps[0].values != nil:
		s.values = ps[0].values
	default:
		pattern, err := compileBounded("^" + ps.expression(`(?s:.+)`) + "$")
		if err != nil {
			return segment{}, err
		}
		s.pattern = pattern
	}
	s.source = ps.expression("")
	return s, nil
}

package rules

import (
	"errors"
	"strings"
)

// text is a text that may embed sources: "Deal {path.id} of {caller.user}".
type text []textPart

type textPart struct {
	literal string
	source  *source // nil: literal
}

// parseText splits at {source}; {{ and }} stand for the braces themselves.
func parseText(written string) (text, error) {
	var parts text
	var literal strings.Builder
	for rest := written; rest != ""; {
		switch {
		case strings.HasPrefix(rest, "{{"), strings.HasPrefix(rest, "}}"):
			literal.WriteByte(rest[0])
			rest = rest[2:]
		case rest[0] == '}':
			return nil, errors.New("expected { before }, found " + quoted(written) + " (write }} for the brace itself)")
		case rest[0] == '{':
			end := strings.IndexByte(rest, '}')
			if end < 0 {
				return nil, errors.New("expected } after {, found " + quoted(written) + " (write {{ for the brace itself)")
			}
			s, err := parseSource(rest[1:end])
			if err != nil {
				return nil, err
			}
			parts = append(parts.with(&literal), textPart{source: &s})
			rest = rest[end+1:]
		default:
			literal.WriteByte(rest[0])
			rest = rest[1:]
		}
	}
	return parts.with(&literal), nil
}

// with appends the literal gathered so far, if any, and starts a new one.
func (t text) with(literal *strings.Builder) text {
	if literal.Len() == 0 {
		return t
	}
	t = append(t, textPart{literal: literal.String()})
	literal.Reset()
	return t
}

func (t text) sources() []source {
	var all []source
	for _, part := range t {
		if part.source != nil {
			all = append(all, *part.source)
		}
	}
	return all
}

// whole answers the source that is the whole text, or nil.
func (t text) whole() *source {
	if len(t) == 1 {
		return t[0].source
	}
	return nil
}

// String shows the text in a table, much as it was written.
func (t text) String() string {
	var b strings.Builder
	for _, part := range t {
		b.WriteString(part.literal)
		if part.source != nil {
			b.WriteString("{" + part.source.text + "}")
		}
	}
	return b.String()
}

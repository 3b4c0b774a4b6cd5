package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// parser reads YAML nodes and gathers mistakes; it never stops at the first.
type parser struct {
	name      string
	mistakes  Mistakes
	scope     scope          // of the entry being read
	paths     *matchSettings // how requests find their rules
	observing bool           // the whole file
}

func (p *parser) mistake(n *yaml.Node, format string, args ...any) {
	p.mistakes = append(p.mistakes, Mistake{
		File: p.name, Line: max(n.Line, 1), Column: max(n.Column, 1), Message: printable(fmt.Sprintf(format, args...)),
	})
}

// printable keeps what a file holds from breaking lines or driving a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// entry is one key of a map with its value.
type entry struct{ key, value *yaml.Node }

// entries answers a map's entries in order, without those whose key is not a
// text or stands there for the second time.
func (p *parser) entries(n *yaml.Node, what string) []entry {
	if n.Kind != yaml.MappingNode {
		p.mistake(n, "%s: expected a map, found %s", what, describe(n))
		return nil
	}
	var entries []entry
	lines := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" {
			p.mistake(key, "%s: expected a text as key, found %s", what, describe(key))
			continue
		}
		if line, twice := lines[key.Value]; twice {
			p.mistake(key, "%s: the key %s stands in line %d already", what, quoted(key.Value), line)
			continue
		}
		lines[key.Value] = key.Line
		entries = append(entries, entry{key, value})
	}
	return entries
}

// list answers the elements of a list; a single value is a list of one.
func (p *parser) list(n *yaml.Node, what string) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		return []*yaml.Node{n}
	}
	if len(n.Content) == 0 {
		p.mistake(n, "%s: expected at least one value, found an empty list", what)
	}
	return n.Content
}

// text answers a non-empty text.
func (p *parser) text(n *yaml.Node, what, expected string) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" || n.Value == "" {
		p.mistake(n, "%s: expected %s, found %s", what, expected, describe(n))
		return "", false
	}
	return n.Value, true
}

// oneOf answers one of a few words.
func (p *parser) oneOf(n *yaml.Node, what string, k words) string {
	word, ok := p.text(n, what, strings.Join(k, " or "))
	if ok && !slices.Contains(k, word) {
		p.mistake(n, "%s: expected %s, found %s%s", what, strings.Join(k, " or "), quoted(word), suggestion(word, k))
	}
	return word
}

// whole answers a whole number within bounds.
func (p *parser) whole(n *yaml.Node, what string, k whole) (int, bool) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" {
		if number, err := strconv.Atoi(n.Value); err == nil && number >= k.least && number <= k.most {
			return number, true
		}
	}
	p.mistake(n, "%s: expected a whole number from %d to %d, found %s", what, k.least, k.most, describe(n))
	return 0, false
}

// truth answers true or false.
func (p *parser) truth(n *yaml.Node, what string) bool {
	value, ok := truthOf(n)
	if !ok {
		p.mistake(n, "%s: expected true or false, found %s", what, describe(n))
	}
	return value
}

// truthOf answers what a node says where it is true or false, which YAML also
// writes True and TRUE.
func truthOf(n *yaml.Node) (value, ok bool) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
		return false, false
	}
	return strings.EqualFold(n.Value, "true"), true
}

// describe says in a message what a node is.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		return describeScalar(n)
	default:
		return "nothing"
	}
}

func describeScalar(n *yaml.Node) string {
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return n.Value
	case "!!int", "!!float":
		return "the number " + strings.Trim(quoted(n.Value), `"`)
	default:
		if n.Value == "" {
			return "an empty text"
		}
		return quoted(n.Value)
	}
}

// isNull reports whether a key stands there without a value, as it does when
// everything below it is commented out.
func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// written answers a node in one canonical form, to compare two of them.
func written(n *yaml.Node) string {
	if n == nil {
		return "-"
	}
	if n.Kind == yaml.ScalarNode {
		return n.ShortTag() + strconv.Quote(n.Value)
	}
	parts := make([]string, len(n.Content))
	for i, child := range n.Content {
		parts[i] = written(child)
	}
	return fmt.Sprintf("%d(%s)", n.Kind, strings.Join(parts, " "))
}

// inline shows a value on one line, much as it was written.
func inline(n *yaml.Node) string {
	parts := make([]string, 0, len(n.Content))
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			return strconv.Quote(n.Value)
		}
		return n.Value
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			parts = append(parts, inline(n.Content[i])+": "+inline(n.Content[i+1]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	for _, child := range n.Content {
		parts = append(parts, inline(child))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

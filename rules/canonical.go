package rules

import (
	"sync"
)

// Canonical answers the segments of an escaped path in the form that rules are
// matched on: split at "/", each segment decoded once. So %2F stays data inside
// its segment; ".", ".." and empty segments are resolved, %2e spelling
// included; a trailing slash is ignored. A "%" that is not followed by two hex
// digits stands for itself.
func Canonical(escapedPath string) []string {
	c := canonicalOf(escapedPath)
	defer c.release()
	segments := make([]string, len(c.spans))
	for i := range segments {
		segments[i] = string(c.segment(i))
	}
	return segments
}

// canonical is a path in canonical form, in one buffer that is used again, so
// that looking at a path costs no allocation.
type canonical struct {
	text   []byte // the decoded segments, joined by "/"
	spans  []span // where in text each stands
	keys   []byte // text as the index knows it
	folded []byte // keys where they differ from text
	found  []*Rule
}

type span struct{ start, end int }

var canonicals = sync.Pool{New: func() any { return new(canonical) }}

// canonicalOf answers a path in canonical form, valid until it is released.
func canonicalOf(escapedPath string) *canonical {
	c := canonicals.Get().(*canonical)
	c.read(escapedPath)
	return c
}

func (c *canonical) release() {
	const most = 16 << 10 // a huge path must not stay in memory
	if cap(c.text) <= most {
		canonicals.Put(c)
	}
}

// key answers a segment to look up.
func (c *canonical) key(i int) []byte { return c.keys[c.spans[i].start:c.spans[i].end] }

func (c *canonical) segment(i int) []byte { return c.text[c.spans[i].start:c.spans[i].end] }

// rest answers the segments from i on, joined by "/".
func (c *canonical) rest(i int) []byte { return c.text[c.spans[i].start:] }

func (c *canonical) read(escapedPath string) {
	c.text, c.spans, c.found = c.text[:0], c.spans[:0], c.found[:0]
	start := 0
	for at := 0; at <= len(escapedPath); at++ {
		if at == len(escapedPath) || escapedPath[at] == '/' {
			c.push(escapedPath[start:at])
			start = at + 1
		}
	}
}

func (c *canonical) push(escaped string) {
	if escaped == "" {
		return
	}
	before := len(c.text)
	if len(c.spans) > 0 {
		c.text = append(c.text, '/')
	}
	start := len(c.text)
	c.text = unescapeInto(c.text, escaped)
	switch string(c.text[start:]) {
	case ".":
		c.text = c.text[:before]
	case "..":
		c.text = c.text[:before]
		c.pop()
	default:
		c.spans = append(c.spans, span{start, len(c.text)})
	}
}

func (c *canonical) pop() {
	if len(c.spans) == 0 {
		return
	}
	last := len(c.spans) - 1
	c.text = c.text[:max(c.spans[last].start-1, 0)] // and the "/" before it
	c.spans = c.spans[:last]
}

func unescapeInto(text []byte, escaped string) []byte {
	for i := 0; i < len(escaped); i++ {
		if escaped[i] == '%' && i+2 < len(escaped) {
			high, low := unhex(escaped[i+1]), unhex(escaped[i+2])
			if high >= 0 && low >= 0 {
				text = append(text, byte(high<<4|low))
				i += 2
				continue
			}
		}
		text = append(text, escaped[i])
	}
	return text
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

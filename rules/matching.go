package rules

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// matchSettings is the section matching: how requests find their rules.
type matchSettings struct {
	mounts         []string // put before each rule's path; "" for none
	ignoreCase     bool     // of the path's ASCII letters; methods never
	suffixes       []string // of the last segment, which requests may have: ".json"
	methodOverride []string // canonical header names
	stripped       []string // mounts that are left out of what is forwarded, the longest first
}

// Bounds of the section.
const (
	maxMounts   = 16
	maxSuffixes = 16
)

// pathKind is a path template.
const pathKind = matched("^/")

var matchingSection = section{
	about: "How requests find their rules. What is forwarded stays as it came, but for strip.",
	keys: []option{
		{"mount", several{pathKind}, "Where the API's paths begin, such as /api/v1: the rules' paths are written without it.", "/"},
		{"strip", truth{}, "Whether the mount is left out of what is forwarded, for an API that does not know of it. The API is told of it by X-Forwarded-Prefix.", false},
		{"ignore_case", truth{}, "Whether a path's letters a-z match in any case; methods never do.", false},
		{"format_suffixes", several{matched(`^\.`)}, "Suffixes that requests may have behind a path, such as .json.", nil},
		{"method_override", several{headerKind}, "Headers that name a POST's real method. Only those which the API heeds.", nil},
	},
}

func (p *parser) matching(n *yaml.Node, file *File) {
	m := &file.matching
	values := p.options(n, "matching", matchingSection)
	if v := values["mount"]; v != nil {
		m.mounts = p.mounts(v)
	}
	if v := values["ignore_case"]; v != nil {
		m.ignoreCase = p.truth(v, "matching.ignore_case")
	}
	if v := values["strip"]; v != nil && p.truth(v, "matching.strip") {
		m.stripped = p.strip(v, m.mounts)
	}
	if v := values["format_suffixes"]; v != nil {
		m.suffixes = p.suffixes(v)
	}
	if v := values["method_override"]; v != nil {
		for _, item := range p.list(v, "matching.method_override") {
			const expected = "a header name such as X-HTTP-Method-Override"
			name, ok := p.text(item, "matching.method_override", expected)
			if ok && (!isToken(name) || isCredential(http.CanonicalHeaderKey(name))) {
				p.mistake(item, "matching.method_override: expected %s, found %s", expected, quoted(name))
			}
			m.methodOverride = append(m.methodOverride, http.CanonicalHeaderKey(name))
		}
	}
}

func (p *parser) mounts(n *yaml.Node) []string {
	const expected = "a path such as /api/v1"
	var mounts []string
	for _, item := range p.list(n, "matching.mount") {
		path, ok := p.text(item, "matching.mount", expected)
		if !ok {
			continue
		}
		if path != "/" {
			t, err := parseTemplate(path)
			if err == nil && t.tail != nil {
				err = errors.New("expected parameters of one segment each, found " + quoted(path))
			}
			if err != nil {
				p.mistake(item, "matching.mount: %v", err)
				continue
			}
		}
		mounts = append(mounts, strings.TrimSuffix(path, "/"))
	}
	if len(mounts) > maxMounts {
		p.mistake(n, "matching.mount: expected at most %d paths, found %d", maxMounts, len(mounts))
		return nil
	}
	return mounts
}

func (p *parser) suffixes(n *yaml.Node) []string {
	const expected = "a suffix such as .json"
	var suffixes []string
	for _, item := range p.list(n, "matching.format_suffixes") {
		suffix, ok := p.text(item, "matching.format_suffixes", expected)
		if !ok {
			continue
		}
		name, dotted := strings.CutPrefix(suffix, ".")
		if !dotted || !paramName.MatchString(name) {
			p.mistake(item, "matching.format_suffixes: expected %s, found %s", expected, quoted(suffix))
			continue
		}
		if p.paths.ignoreCase {
			suffix = lower(suffix)
		}
		suffixes = append(suffixes, suffix)
	}
	if len(suffixes) > maxSuffixes {
		p.mistake(n, "matching.format_suffixes: expected at most %d, found %d", maxSuffixes, len(suffixes))
	}
	return suffixes
}

// Method answers the method that a request is matched by: its own or, for a
// POST, the one in the first header of matching.method_override that it has.
// An API that heeds such a header does another thing than the request line
// says; one that does not must not be listed there.
func (f *File) Method(method string, header http.Header) string {
	if method != http.MethodPost {
		return method
	}
	for _, name := range f.matching.methodOverride {
		if values := header[name]; len(values) > 0 && values[0] != "" {
			return strings.ToUpper(strings.TrimSpace(values[0]))
		}
	}
	return method
}

// templates answers the templates that a path as written stands for, one for
// each mount, and their paths.
func (p *parser) templates(n *yaml.Node, what, path string) (full []string, made []*template) {
	mounts := p.paths.mounts
	if len(mounts) == 0 {
		mounts = []string{""}
	}
	for _, mount := range mounts {
		whole := path
		if mount != "" {
			whole = mount + strings.TrimSuffix(path, "/")
		}
		t, err := p.paths.template(whole)
		if err != nil {
			p.mistake(n, "%s: %v", what, err)
			return nil, nil
		}
		t.mounted = len(Canonical(mount))
		full, made = append(full, whole), append(made, t)
	}
	return full, made
}

func (m *matchSettings) template(path string) (*template, error) {
	t, err := parseTemplate(path)
	if err != nil {
		return nil, err
	}
	for _, suffix := range m.suffixes {
		if strings.HasSuffix(strings.TrimSuffix(path, "/"), suffix) {
			return nil, fmt.Errorf("expected a path without %s, which format_suffixes leaves out of requests, found %s", suffix, quoted(path))
		}
	}
	if m.ignoreCase {
		err = t.ignoreCase()
	}
	return t, err
}

// ignoreCase makes the template match whatever case ASCII letters have.
func (t *template) ignoreCase() (err error) {
	for i := range t.segments {
		s := &t.segments[i]
		s.literal = lower(s.literal)
		s.values = slices.Clone(s.values)
		for j, value := range s.values {
			s.values[j] = lower(value)
		}
		if s.pattern != nil {
			if s.pattern, err = regexp.Compile("(?i)" + s.pattern.String()); err != nil {
				return err
			}
		}
	}
	if t.tail != nil {
		t.tail, err = regexp.Compile("(?i)" + t.tail.String())
	}
	t.folds = true
	return err
}

func lower(text string) string { return string(fold(nil, text)) }

// fold appends text with its ASCII letters in lower case, so that every byte
// keeps its place.
func fold[T string | []byte](to []byte, text T) []byte {
	for i := range len(text) {
		c := text[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		to = append(to, c)
	}
	return to
}

// prepare brings a request's path into the form that the index knows: what
// keys holds is compared, what text holds is what parameters are. It answers
// the format suffix that it left out.
func (m *matchSettings) prepare(c *canonical) (suffix string) {
	c.keys = c.text
	if m.ignoreCase {
		c.folded = fold(c.folded[:0], c.text)
		c.keys = c.folded
	}
	if len(m.suffixes) == 0 || len(c.spans) == 0 {
		return ""
	}
	last := &c.spans[len(c.spans)-1]
	for _, suffix := range m.suffixes {
		start := last.end - len(suffix)
		if start > last.start && string(c.keys[start:last.end]) == suffix {
			last.end = start
			c.text, c.keys = c.text[:start], c.keys[:start]
			return suffix
		}
	}
	return ""
}

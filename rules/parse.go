package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Bounds of a rules file. They keep a hostile or broken one from costing more
// than an error message.
const (
	// MaxFile is how large a rules file may be, in bytes.
	MaxFile  = 1 << 20
	maxDepth = 32     // maps and lists within each other
	maxRules = 10_000 // once expanded
)

// fileSection is the whole file. A section without a value is an empty one, as
// where everything below it is commented out.
var fileSection = section{
	keys: []option{
		{"identity", listed{resolverSection}, "Who is calling: a list, of which the first entry that applies to a request decides.", nil},
		{"subscriptions", subscriptionsSection, subscriptionsSection.about, nil},
		{"capture", captureSection, captureSection.about, nil},
		{"matching", matchingSection, matchingSection.about, nil},
		{"mode", modes, "publish, or observe: events are derived, counted and logged, and none is published.", "publish"},
		{"resources", named{resourceNames, resourceSection, 0}, "The common case, a line each: \"contact: /contacts\" stands for contact.create, contact.update and contact.delete.", nil},
		{"rules", listed{ruleSection}, "Everything else: which other requests are events. All rules that match a request apply.", nil},
		{"events", named{eventNames, oneKind{aboutSection, nothing{}}, 0}, "What subscribers are told about the events that the rules emit.", nil},
	},
}

// Parse reads a rules file. Its error is always Mistakes: all of them at once,
// each with its position; name is the file's name in those positions.
func Parse(name string, source []byte) (*File, error) {
	p := &parser{name: name}
	file := p.file(source)
	if len(p.mistakes) > 0 {
		return nil, p.mistakes.sorted()
	}
	for _, rule := range file.Rules {
		rule.options.noteReads()
	}
	file.index = newIndex(file.Rules)
	file.credentials, file.parameters = credentials(file.Identity), parameters(file.Identity)
	file.literals, file.Observing = literalsOf(file.Rules), p.observing
	return file, nil
}

func (p *parser) file(source []byte) *File {
	root := p.document(source)
	if root == nil || !p.plain(root, 0) {
		return nil
	}
	file := defaults()
	p.paths = &file.matching
	sections := p.options(root, "rules file", fileSection)
	for key, parse := range map[string]func(*yaml.Node, *File){
		"identity": p.identity, "subscriptions": p.subscriptions, "capture": p.capture, "matching": p.matching,
	} {
		if n := sections[key]; n != nil && !isNull(n) {
			parse(n, file)
		}
	}
	if n := sections["mode"]; n != nil && !isNull(n) {
		p.observing = p.oneOf(n, "mode", modes) == "observe"
	}
	if n := sections["resources"]; n != nil && !isNull(n) {
		p.resources(n, file)
	}
	if n := sections["rules"]; n != nil && !isNull(n) {
		p.rules(n, file)
	}
	p.order(file)
	if n := sections["events"]; n != nil && !isNull(n) {
		p.catalog(n, file)
	}
	return file
}

// document answers the one YAML document in source, or nil and a mistake.
func (p *parser) document(source []byte) *yaml.Node {
	start := &yaml.Node{Line: 1, Column: 1}
	if len(source) > MaxFile {
		p.mistake(start, "expected at most %d bytes, found more", MaxFile)
		return nil
	}
	if at := invalidUTF8(source); at >= 0 {
		before := source[:at]
		line := bytes.Count(before, []byte{'\n'}) + 1
		column := at - bytes.LastIndexByte(before, '\n')
		p.mistake(&yaml.Node{Line: line, Column: column}, "expected UTF-8, found the byte 0x%02x", source[at])
		return nil
	}
	documents, err := decode(source)
	if err != nil {
		p.syntax(err)
		return nil
	}
	if len(documents) == 0 || len(documents[0].Content) == 0 || isNull(documents[0].Content[0]) {
		p.mistake(start, "expected some of %s; found an empty file", strings.Join(fileSection.names(), ", "))
		return nil
	}
	if len(documents) > 1 {
		p.mistake(documents[1], "expected one YAML document, found another one after it")
		return nil
	}
	return documents[0].Content[0]
}

// decode answers the first two documents of source. A panic inside the YAML
// library is an error like any other: rules are loaded while traffic flows.
func decode(source []byte) (documents []*yaml.Node, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			documents, err = nil, fmt.Errorf("unreadable YAML: %v", panicked)
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	for len(documents) < 2 {
		document := new(yaml.Node)
		if err := decoder.Decode(document); errors.Is(err, io.EOF) {
			return documents, nil
		} else if err != nil {
			return nil, err
		}
		documents = append(documents, document)
	}
	return documents, nil
}

func invalidUTF8(source []byte) int {
	for at := 0; at < len(source); {
		r, size := utf8.DecodeRune(source[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// syntax reports an error of the YAML library, which names a line but no column.
func (p *parser) syntax(err error) {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if found := yamlLine.FindStringSubmatch(message); found != nil {
		line, _ = strconv.Atoi(found[1])
		message = strings.TrimPrefix(message, found[0])
	}
	p.mistake(&yaml.Node{Line: line, Column: 1}, "not YAML: %s", message)
}

// plain refuses what makes YAML files explode or mean something else than they
// show: deep nesting, anchors and aliases, explicit tags.
func (p *parser) plain(n *yaml.Node, depth int) bool {
	switch {
	case depth > maxDepth:
		p.mistake(n, "expected at most %d maps and lists within each other", maxDepth)
		return false
	case n.Kind == yaml.AliasNode:
		p.mistake(n, "expected a value, found the alias *%s; write the value out", n.Value)
		return false
	case n.Anchor != "":
		p.mistake(n, "expected a value, found the anchor &%s; write the value out where it is needed", n.Anchor)
		return false
	case n.Style&yaml.TaggedStyle != 0:
		p.mistake(n, "expected a value without a tag, found the tag %s", quoted(n.Tag))
		return false
	}
	plain := true
	for _, child := range n.Content {
		plain = p.plain(child, depth+1) && plain
	}
	return plain
}

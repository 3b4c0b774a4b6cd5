package rules

import (
	"errors"
	"fmt"
	"net/textproto"
	"strings"
)

// sourceKind is where in an exchange a value stands.
type sourceKind int

const (
	pathParam      sourceKind = iota // path.x
	queryParam                       // query.x
	requestHeader                    // request.header.X
	requestBody                      // request.body, request.body.<path>
	responseStatus                   // response.status
	responseHeader                   // response.header.X
	responseBody                     // response.body, response.body.<path>
	callerUser                       // caller.user
	eachItem                         // item, item.<path>
	fetchedBody                      // fetched, fetched.<path>
	previousBody                     // previous, previous.<path>
)

// forms lists every source by how it is written; "." at the end asks for more.
var forms = []struct {
	text string
	kind sourceKind
}{
	{"path.", pathParam},
	{"query.", queryParam},
	{"request.header.", requestHeader},
	{"request.body", requestBody},
	{"request.body.", requestBody},
	{"response.status", responseStatus},
	{"response.header.", responseHeader},
	{"response.body", responseBody},
	{"response.body.", responseBody},
	{"caller.user", callerUser},
	{"item", eachItem},
	{"item.", eachItem},
	{"fetched", fetchedBody},
	{"fetched.", fetchedBody},
	{"previous", previousBody},
	{"previous.", previousBody},
}

const expectedSource = "path.x, query.x, request.header.X, request.body, request.body.x, " +
	"response.status, response.header.X, response.body, response.body.x, caller.user, item, item.x, fetched, fetched.x, previous or previous.x"

// source is a place in an exchange that a rule reads.
type source struct {
	text string
	kind sourceKind
	name string   // of the parameter, query parameter or header
	path jsonPath // into a body or item
}

func parseSource(text string) (source, error) {
	for _, form := range forms {
		rest, found := strings.CutPrefix(text, form.text)
		if goesOn := strings.HasSuffix(form.text, "."); found && goesOn == (rest != "") {
			return form.kind.source(text, rest)
		}
	}
	return source{}, fmt.Errorf("expected a source (%s), found %s%s", expectedSource, quoted(text), nearestSource(text))
}

func (kind sourceKind) source(text, rest string) (source, error) {
	s := source{text: text, kind: kind}
	switch kind {
	case requestBody, responseBody, eachItem, fetchedBody, previousBody:
		if rest == "" {
			return s, nil
		}
		path, err := parseJSONPath(rest)
		s.path = path
		return s, err
	case requestHeader, responseHeader:
		if !isToken(rest) {
			return s, fmt.Errorf("expected a header name, found %s", quoted(rest))
		}
		s.name = textproto.CanonicalMIMEHeaderKey(rest)
	default:
		s.name = rest
	}
	if len(rest) > maxPath {
		return s, errors.New("expected a shorter name, found " + quoted(rest))
	}
	return s, nil
}

// nearestSource suggests a source whose beginning is misspelt in text.
func nearestSource(text string) string {
	words := strings.Split(text, ".")
	for _, form := range forms {
		known := strings.Split(strings.TrimSuffix(form.text, "."), ".")
		if len(words) < len(known) {
			continue
		}
		head := strings.Join(words[:len(known)], ".")
		if d := editDistance(head, strings.Join(known, ".")); d > 0 && d < 3 {
			return fmt.Sprintf("; did you mean %q?", strings.Join(append(known, words[len(known):]...), "."))
		}
	}
	return ""
}

// textual reports whether the source's values are always texts, never numbers.
func (s source) textual() bool {
	switch s.kind {
	case pathParam, queryParam, requestHeader, responseHeader, callerUser:
		return true
	}
	return false
}

// below answers the source one key deeper in the same body.
func (s source) below(key string) source {
	path := append(append(jsonPath(nil), s.path...), key)
	return source{text: s.text + "." + key, kind: s.kind, path: path}
}

// joined lists sources as they were written.
func joined(sources []source, separator string) string {
	texts := make([]string, len(sources))
	for i, s := range sources {
		texts[i] = s.text
	}
	return strings.Join(texts, separator)
}

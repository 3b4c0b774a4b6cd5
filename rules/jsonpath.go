package rules

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// Bounds of a path into JSON.
const (
	maxPath     = 256 // bytes
	maxPathKeys = 32
)

// jsonPath is a path into a JSON value: keys and array indexes. Empty means
// the value itself.
//
// It is the plain part of gjson's syntax and means the same there: keys joined
// by dots, a number being an index where an array stands, a backslash before
// a character taking it literally (`odata\.id`). Wildcards, queries, modifiers
// and multipaths are refused: what they find depends on the document, and some
// cost more than a pass over it.
type jsonPath []string

// reserved are the characters with a meaning in gjson beyond the plain part.
const reserved = `@*?#|!{}[]()"`

// pathPattern is the same as an expression, to describe paths by.
const pathPattern = pathKey + `(\.` + pathKey + `)*`

const pathKey = `(\\[\s\S]|[^\\.@*?#|!{}\[\]()"\x00-\x1f])+`

const jsonPathKind = matched("^" + pathPattern + "$")

func parseJSONPath(text string) (jsonPath, error) {
	if len(text) > maxPath {
		return nil, fmt.Errorf("expected a path of at most %d bytes, found %d", maxPath, len(text))
	}
	var path jsonPath
	var key strings.Builder
	literally := false
	for _, r := range text {
		switch {
		case literally:
			literally = false
			key.WriteRune(r)
		case r == '\\':
			literally = true
		case r == '.':
			path = append(path, key.String())
			key.Reset()
		case r < ' ' || strings.ContainsRune(reserved, r):
			return nil, fmt.Errorf("expected keys joined by dots, found %q in %s (write \\%c for a key that holds it)",
				r, quoted(text), r)
		default:
			key.WriteRune(r)
		}
	}
	path = append(path, key.String())
	return path, path.check(text, literally)
}

func (path jsonPath) check(text string, literally bool) error {
	if literally {
		return errors.New("expected a character after the backslash, found the end of " + quoted(text))
	}
	if len(path) > maxPathKeys {
		return fmt.Errorf("expected at most %d keys, found %d", maxPathKeys, len(path))
	}
	for _, key := range path {
		if key == "" {
			return fmt.Errorf("expected keys joined by dots, found an empty key in %s", quoted(text))
		}
	}
	return nil
}

// find answers what stands at the path inside valid JSON. Where an object on
// the way has the key twice, the last one counts, as most JSON parsers see it,
// and ambiguous is true: another parser may see the first.
func (path jsonPath) find(value gjson.Result) (found gjson.Result, ambiguous bool) {
	for _, key := range path {
		var next gjson.Result
		switch {
		case value.IsObject():
			value.ForEach(func(k, v gjson.Result) bool {
				if k.Str == key {
					ambiguous = ambiguous || next.Exists()
					next = v
				}
				return true
			})
		case value.IsArray():
			next = element(value, key)
		}
		if !next.Exists() {
			return gjson.Result{}, ambiguous
		}
		value = next
	}
	return value, ambiguous
}

func element(array gjson.Result, key string) (found gjson.Result) {
	index, err := strconv.ParseUint(key, 10, 31) // which takes no sign; leading zeros are gjson's too
	if err != nil {
		return gjson.Result{}
	}
	array.ForEach(func(_, v gjson.Result) bool {
		if index == 0 {
			found = v
			return false
		}
		index--
		return true
	})
	return found
}

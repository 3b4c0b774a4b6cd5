package rules

import (
	"regexp"
	"strings"
	"time"
)

// A kind is what a value in a rules file may be. The parser's readers take the
// ones with bounds: p.whole a whole, p.oneOf a words, and so on.
type kind interface {
	// schema answers the kind as a JSON Schema. It may allow what only the parser
	// can refuse, and never refuses what the parser takes.
	schema() schema
}

type (
	// whole is a whole number within bounds.
	whole struct{ least, most int }
	// number is any number within bounds.
	number struct{ least, most float64 }
	// size is a number of bytes up to most, perhaps with a unit.
	size struct{ most int64 }
	// lapse is a time above zero, up to most, such as 30s.
	lapse struct{ most time.Duration }
	// words is one of a few words.
	words []string
	// truth is true or false; agreed is true alone, never false.
	truth  struct{}
	agreed struct{}
	never  struct{}
	// matched is a text that matches a regular expression; "" any but the empty.
	matched string
	// places is a source of one of these kinds, as it is written.
	places []sourceKind
	// scalar is a text, a number, true, false or null.
	scalar struct{}
	// excepted is a number of of, but none of but.
	excepted struct {
		of  whole
		but []int
	}
	// identifier is a user's id: a text or a whole number.
	identifier struct{}
	// several is a value or a list of them.
	several struct{ of kind }
	// listed is a list, perhaps an empty one.
	listed struct{ of kind }
	// named is a map whose keys match names; least is how many there must be.
	named struct {
		names string
		of    kind
		least int
	}
	// anyMap is a map of anything.
	anyMap struct{}
	// oneKind is a value of one of several kinds.
	oneKind []kind
	// nothing is a key without a value.
	nothing struct{}
	// defined is a kind by its name among the schema's definitions, for one that
	// holds itself or is long.
	defined string
)

func (k whole) schema() schema {
	return schema{"type": "integer", "minimum": k.least, "maximum": k.most}
}

func (k excepted) schema() schema {
	s := k.of.schema()
	s["not"] = schema{"enum": k.but}
	return s
}

func (k size) schema() schema {
	number := schema{"type": "integer", "minimum": 1, "maximum": k.most}
	return schema{"anyOf": []schema{number, {"type": "string", "pattern": `^[0-9]+ *([KMG]iB|[kKMG]B|B)? *$`}}}
}

func (lapse) schema() schema {
	return schema{"type": "string", "pattern": `^\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`}
}

func (k words) schema() schema { return schema{"enum": []string(k)} }

func (truth) schema() schema { return schema{"type": "boolean"} }

func (agreed) schema() schema { return schema{"const": true} }

func (never) schema() schema { return schema{"const": false} }

func (k number) schema() schema {
	return schema{"type": "number", "minimum": k.least, "maximum": k.most}
}

func (k matched) schema() schema {
	if k == "" {
		return schema{"type": "string", "minLength": 1}
	}
	return schema{"type": "string", "pattern": string(k)}
}

func (k places) schema() schema { return schema{"type": "string", "pattern": k.pattern()} }

// pattern answers an expression of how the sources are written.
func (k places) pattern() string {
	var all []string
	for _, form := range forms {
		if k.has(form.kind) {
			all = append(all, regexp.QuoteMeta(form.text)+form.kind.pattern(form.text))
		}
	}
	return "^(" + strings.Join(all, "|") + ")$"
}

// pattern answers an expression of what stands behind a source's form.
func (kind sourceKind) pattern(form string) string {
	switch {
	case !strings.HasSuffix(form, "."):
		return ""
	case kind == requestHeader || kind == responseHeader:
		return headerPattern
	case kind == pathParam || kind == queryParam:
		return `[\s\S]+`
	}
	return pathPattern
}

func (scalar) schema() schema {
	return schema{"type": []string{"string", "number", "boolean", "null"}}
}

func (identifier) schema() schema {
	return schema{"anyOf": []schema{{"type": "string", "minLength": 1, "maxLength": maxID}, {"type": "integer"}}}
}

func (k several) schema() schema {
	return schema{"anyOf": []schema{k.of.schema(), {"type": "array", "minItems": 1, "items": k.of.schema()}}}
}

func (k listed) schema() schema { return schema{"type": "array", "items": k.of.schema()} }

func (k named) schema() schema {
	s := schema{"type": "object", "additionalProperties": k.of.schema(), "propertyNames": schema{"pattern": k.names}}
	if k.least > 0 {
		s["minProperties"] = k.least
	}
	return s
}

func (anyMap) schema() schema { return schema{"type": "object"} }

func (k oneKind) schema() schema {
	all := make([]schema, len(k))
	for i, one := range k {
		all[i] = one.schema()
	}
	return schema{"anyOf": all}
}

func (nothing) schema() schema { return schema{"type": "null"} }

func (k defined) schema() schema { return schema{"$ref": "#/$defs/" + string(k)} }

package rules

import (
	"strings"

	"github.com/tidwall/gjson"
)

// payload answers the event's data before redaction, or why there is none.
func (sc scene) payload() ([]byte, string) {
	p := sc.rule.options.payload
	switch {
	case p.thin:
		return sc.thin()
	case p.merge != nil:
		return sc.merged(p.merge)
	case p.source == nil:
		return sc.render(p.template)
	}
	// The whole body goes out as the very bytes that came in.
	if p.source.kind == responseBody && len(p.source.path) == 0 {
		b := sc.responseBody()
		return b.raw, b.omitted
	}
	v := sc.value(*p.source)
	switch {
	case v.unknown != "":
		return nil, v.unknown
	case v.json.Exists():
		return []byte(v.json.Raw), ""
	case p.source.kind == responseBody && sc.responseBody().raw == nil:
		return nil, OmittedNoContent
	}
	return nil, OmittedMissing
}

// merged answers one object with the members of several. Each key stands where
// it came first, with the value that came last. What is absent adds nothing.
func (sc scene) merged(sources []source) ([]byte, string) {
	type member struct{ key, value string }
	var members []member
	at := make(map[string]int)
	found := false
	for _, s := range sources {
		v := sc.value(s)
		switch {
		case v.unknown != "":
			return nil, v.unknown
		case !v.json.Exists():
			continue
		case !v.json.IsObject():
			return nil, OmittedNotObject
		}
		found = true
		v.json.ForEach(func(key, value gjson.Result) bool {
			i, known := at[key.Str]
			if !known {
				i = len(members)
				at[key.Str] = i
				members = append(members, member{key: key.Raw})
			}
			members[i].value = value.Raw
			return true
		})
	}
	if !found {
		return nil, OmittedMissing
	}
	data := []byte{'{'}
	for i, m := range members {
		if i > 0 {
			data = append(data, ',')
		}
		data = append(append(append(data, m.key...), ':'), m.value...)
	}
	return append(data, '}'), ""
}

// thin answers {"id": "7", "url": "/contacts/7"}, the id always a text, the URL
// null where nobody can tell it.
func (sc scene) thin() ([]byte, string) {
	id := sc.resource()
	if id == "" {
		return nil, OmittedMissing
	}
	url := "null"
	if path := sc.resourcePath(id); path != "" {
		url = quoteJSON(path)
	}
	return []byte(`{"id":` + quoteJSON(id) + `,"url":` + url + `}`), ""
}

// render fills in a template. What is absent becomes null, or nothing inside
// a text; what is unknown leaves no payload at all rather than a wrong one.
func (sc scene) render(template []payloadPart) ([]byte, string) {
	var data []byte
	for _, part := range template {
		switch {
		case part.source != nil:
			v := sc.value(*part.source)
			if v.unknown != "" {
				return nil, v.unknown
			}
			raw := strings.TrimSpace(v.json.Raw)
			if raw == "" {
				raw = "null"
			}
			data = append(data, raw...)
		case part.text != nil:
			text, unknown := sc.fill(part.text)
			if unknown != "" {
				return nil, unknown
			}
			data = append(data, quoteJSON(text)...)
		default:
			data = append(data, part.literal...)
		}
	}
	return data, ""
}

// fill answers a text with its sources filled in.
func (sc scene) fill(t text) (filled, unknown string) {
	var b strings.Builder
	for _, part := range t {
		if part.source == nil {
			b.WriteString(part.literal)
			continue
		}
		v := sc.value(*part.source)
		if v.unknown != "" {
			return "", v.unknown
		}
		b.WriteString(inText(v.json))
	}
	return b.String(), ""
}

// inText answers a value inside a text: a text itself, null and nothing as
// nothing, everything else as its JSON.
func inText(v gjson.Result) string {
	switch {
	case v.Type == gjson.String:
		return v.Str
	case v.Type == gjson.Null:
		return ""
	}
	return strings.TrimSpace(v.Raw)
}

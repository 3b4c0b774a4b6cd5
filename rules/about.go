package rules

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// resource answers the id of what the event is about, or "" where nobody can
// tell. Unless the rule says where it stands, these are asked in turn:
//
//   - with each, the item's id;
//   - for a path that ends with a parameter (/contacts/{id}), or any method but
//     POST, the path's last parameter;
//   - otherwise (POST /contacts/{id}/notes makes a note, not a contact) the id in
//     the payload's own object, in the response body, Location's last segment;
//   - at last, for an answer that says nothing (204, 205), the path's last
//     parameter: POST /deals/{id}/close was about the deal.
func (sc scene) resource() string {
	o, names := sc.rule.options, sc.rule.template.names
	switch {
	case o.resource != nil:
		return sc.idAt(*o.resource)
	case o.each != nil:
		return sc.first(source{text: "item.id", kind: eachItem, path: jsonPath{"id"}})
	case len(names) > 0 && (sc.rule.template.itemLast || sc.rule.Method != http.MethodPost):
		return sc.lastParam()
	}
	found := sc.made()
	if found == "" && (sc.Status == http.StatusNoContent || sc.Status == http.StatusResetContent) {
		found = sc.lastParam()
	}
	return found
}

// made answers the id of what the answer says it made.
func (sc scene) made() string {
	if o := sc.rule.options; o.resource != nil && o.resource.kind == responseBody {
		return sc.idAt(*o.resource)
	}
	if found := sc.first(source{text: "response.body.id", kind: responseBody, path: jsonPath{"id"}}); found != "" {
		return found
	}
	return sc.location()
}

// first answers the id in the object that the payload is, or else at otherwise.
func (sc scene) first(otherwise source) string {
	if s := sc.rule.options.payload.source; s != nil && s.kind == otherwise.kind && len(s.path) > 0 {
		if found := sc.idAt(s.below("id")); found != "" {
			return found
		}
	}
	return sc.idAt(otherwise)
}

// idAt answers the id at a source. An ambiguous one is none.
func (sc scene) idAt(s source) string {
	v := sc.value(s)
	found, ok := id(v.json)
	if !ok || v.ambiguous {
		return ""
	}
	return found
}

func (sc scene) lastParam() string {
	names := sc.rule.template.names
	if len(names) == 0 {
		return ""
	}
	last := sc.rule.template.param(sc.params, names[len(names)-1])
	if !isUser(last) {
		return ""
	}
	return last
}

// location answers the last segment of Location, which names what was made
// (RFC 9110 §10.2.2).
func (sc scene) location() string {
	target := sc.locationURL()
	if target == nil {
		return ""
	}
	segments := Canonical(target.EscapedPath())
	if len(segments) == 0 {
		return ""
	}
	last := segments[len(segments)-1]
	if !isUser(last) {
		return ""
	}
	return last
}

// resourcePath answers the path of the resource with the id, as the API's
// clients know it, or "": Location's; that of a request which names the
// resource; for a line of resources the one below the collection's.
func (sc scene) resourcePath(id string) string {
	itemLast := sc.rule.template.itemLast
	switch location := sc.locationPath(); {
	case sc.rule.options.each != nil:
		return ""
	case sc.rule.Method == http.MethodPost && !itemLast && location != "":
		return location
	case itemLast:
		return plainPath(sc.Path)
	case sc.rule.collection:
		collection := plainPath(sc.Path)
		cut := len(collection) - len(sc.suffix) // whose bytes are never escaped, but in the request's own case
		return collection[:cut] + "/" + url.PathEscape(id) + collection[cut:]
	}
	return ""
}

// locationPath answers the path in Location as the API's clients know it: without
// the upstream's base path, and below the mount that the upstream does not know.
func (sc scene) locationPath() string {
	target := sc.locationURL()
	if target == nil {
		return ""
	}
	segments, base := Canonical(target.EscapedPath()), Canonical(sc.BasePath)
	if len(base) > 0 && len(segments) > len(base) && slices.Equal(segments[:len(base)], base) {
		segments = segments[len(base):]
	}
	if mount := Canonical(sc.Mount); len(segments) < len(mount) || !slices.Equal(segments[:len(mount)], mount) {
		segments = append(mount, segments...)
	}
	return escaped(segments)
}

// locationURL answers where Location leads, or nil; with a 202 it leads to
// something else than the resource (RFC 9110 §15.3.3).
func (sc scene) locationURL() *url.URL {
	location := sc.ResponseHeader.Get("Location")
	if location == "" || sc.Status == http.StatusAccepted {
		return nil
	}
	from := plainPath(sc.Path)
	if strings.HasSuffix(sc.Path, "/") {
		from += "/"
	}
	base, err := url.Parse(from)
	if err != nil {
		return nil
	}
	target, err := base.Parse(location)
	if err != nil {
		return nil
	}
	return target
}

// plainPath answers an escaped path in canonical form, and escaped in one way only.
// Most paths are that already.
func plainPath(path string) string {
	if path == "" || path[0] != '/' || path[len(path)-1] == '/' {
		return escaped(Canonical(path))
	}
	for i := range len(path) {
		switch c := path[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '~':
		case (c == '/' || c == '.') && path[max(i-1, 0)] != '/', c == '/' && i == 0:
		default:
			return escaped(Canonical(path))
		}
	}
	return path
}

// escaped answers segments as a path.
func escaped(segments []string) string {
	var b strings.Builder
	for _, segment := range segments {
		b.WriteString("/" + url.PathEscape(segment))
	}
	return b.String()
}

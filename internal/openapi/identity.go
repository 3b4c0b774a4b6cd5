package openapi

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// whoPaths end the paths at which APIs tell callers who they are, the likeliest
// first.
var whoPaths = []string{
	"/me", "/users/me", "/user/me", "/whoami", "/users/current", "/users/self", "/current_user", "/current-user", "/currentuser", "/user", "/account",
	"/self", "/profile", "/accounts/me", "/account/me", "/users/profile", "/user/profile", "/userinfo",
}

// whoami says how callers are known: where the document has a path for that, and
// by which headers it says they show who they are.
func (p *planner) whoami(spec *openapi3.T, mount string) (lines []string) {
	get, user := "/me", "id"
	read := p.whoPath()
	if read == nil {
		lines = append(lines, "# CHANGE THIS: the document has no path at which a caller is told who he is. Any GET does",
			"# that answers the caller's own id; or see identity in the reference for other ways.")
	} else {
		lines = append(lines, "# "+about("GET "+read.written, aboutOf(read)))
		get, user = strings.TrimSuffix(mount, "/")+read.path, p.userIn(read)
	}
	entry := fmt.Sprintf("- whoami: {get: %s, user: %s", quote(get), quote(user))
	headers, parameters := credentials(spec)
	if len(headers) > 0 && !slices.Equal(headers, []string{"Authorization"}) { // the default
		entry += ", credentials: [" + strings.Join(headers, ", ") + "]"
	}
	if len(parameters) > 0 {
		entry += ", query: [" + strings.Join(parameters, ", ") + "]"
	}
	return append(lines, entry+"}")
}

// whoPath answers the GET that tells who is calling, or nil.
func (p *planner) whoPath() *operation {
	for _, wanted := range whoPaths {
		for _, shape := range slices.Sorted(maps.Keys(p.reads)) {
			read := p.reads[shape]
			if !strings.HasSuffix(strings.ToLower(shape), wanted) || read.lastParam() != "" || wordsBefore(read.route, wanted) {
				continue
			}
			if p.userIn(read) != "" {
				return read
			}
		}
	}
	return nil
}

// userIn answers where in an answer the caller's id stands, or "".
func (p *planner) userIn(read *operation) string {
	noun, _ := p.subject(read)
	a := answersOf(read, noun, "")
	user := a.has.id(noun, "")
	switch {
	case a.list || user == "":
		return ""
	case a.at != "":
		return a.at + "." + user
	}
	return user
}

// wordsBefore reports whether something other than api or v1 stands before the
// end of a path.
func wordsBefore(r route, end string) bool {
	words := wordsOf(r)
	before := words[:max(0, len(words)-strings.Count(end, "/"))]
	return slices.ContainsFunc(before, func(w word) bool { return !w.prefix })
}

// credentials answers the headers and query parameters that callers show who they
// are by.
func credentials(spec *openapi3.T) (headers, parameters []string) {
	if spec.Components == nil {
		return nil, nil
	}
	schemes := spec.Components.SecuritySchemes
	for _, name := range slices.Sorted(maps.Keys(schemes)) {
		ref := schemes[name]
		if ref == nil || ref.Value == nil {
			continue
		}
		header := "Authorization"
		switch scheme := ref.Value; {
		case scheme.Type != "apiKey":
		case scheme.In == "cookie":
			header = "Cookie"
		case !nameable.MatchString(scheme.Name):
			continue
		case scheme.In == "query":
			parameters = append(parameters, scheme.Name)
			continue
		default:
			header = http.CanonicalHeaderKey(scheme.Name)
		}
		headers = append(headers, header)
	}
	return unique(headers), unique(parameters)
}

// unique keeps the first of each.
func unique(names []string) []string {
	var all []string
	for _, name := range names {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

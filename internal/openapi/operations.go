package openapi

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// An operation is one method on one path.
type operation struct {
	route
	method  string
	written string // the path in the document
	*openapi3.Operation
	servers openapi3.Servers // where it is served, if not where the document says
}

// writeMethods are those that rules are written for, in the order of a
// resource's life.
var writeMethods = []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// api is a document as the rules' writer sees it.
type api struct {
	writes []*operation
	reads  map[string]*operation // GETs by their paths' shape
	items  map[string][]*operation
	routes []route // of all operations
}

// apiOf answers a document's operations, sorted by path and method.
func apiOf(spec *openapi3.T) *api {
	a := &api{reads: make(map[string]*operation), items: make(map[string][]*operation)}
	paths := spec.Paths.Map()
	for _, written := range sortedPaths(paths) {
		item, r := paths[written], routeOf(written)
		if item == nil || !strings.HasPrefix(written, "/") {
			continue
		}
		a.routes = append(a.routes, r)
		for _, method := range append([]string{http.MethodGet}, writeMethods...) {
			found := item.GetOperation(method)
			if found == nil {
				continue
			}
			o := &operation{route: r, method: method, written: written, Operation: found, servers: item.Servers}
			if found.Servers != nil && len(*found.Servers) > 0 {
				o.servers = *found.Servers
			}
			a.add(o)
		}
	}
	return a
}

func (a *api) add(o *operation) {
	shape := o.shape()
	if o.method == http.MethodGet && a.reads[shape] == nil {
		a.reads[shape] = o
	}
	if o.itemLast() {
		a.items[collectionShape(o.route)] = append(a.items[collectionShape(o.route)], o)
	}
	if o.method != http.MethodGet {
		a.writes = append(a.writes, o)
	}
}

// collectionShape answers the shape of the path above one resource's, without
// the ending that tells a format.
func collectionShape(item route) string {
	above := route{segments: item.segments[:len(item.segments)-1]}
	return formats.ReplaceAllString(above.shape(), "")
}

// item answers an operation on one resource of a collection, or nil.
func (a *api) item(collection route) *operation {
	if found := a.items[formats.ReplaceAllString(collection.shape(), "")]; len(found) > 0 {
		return found[0]
	}
	return nil
}

// sortedPaths keeps what is below a path behind it.
func sortedPaths(paths map[string]*openapi3.PathItem) []string {
	var all []string
	for written := range paths {
		all = append(all, written)
	}
	parts := func(written string) []string { return strings.Split(formats.ReplaceAllString(written, ""), "/") }
	slices.SortFunc(all, func(a, b string) int {
		return cmp.Or(slices.Compare(parts(a), parts(b)), cmp.Compare(a, b))
	})
	return all
}

// served tells where an operation is served, for comparison with others.
func served(servers openapi3.Servers) string {
	var all []string
	for _, server := range servers {
		if server != nil {
			all = append(all, strings.TrimRight(filledIn(server), "/"))
		}
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ", ")
}

// filledIn answers a server's URL with its variables' defaults.
func filledIn(server *openapi3.Server) string {
	where := server.URL
	for _, name := range slices.Sorted(maps.Keys(server.Variables)) {
		if variable := server.Variables[name]; variable != nil {
			where = strings.ReplaceAll(where, "{"+name+"}", variable.Default)
		}
	}
	return where
}

// home answers the servers that most operations have.
func (a *api) home(spec *openapi3.T) openapi3.Servers {
	counts, most := map[string]int{}, spec.Servers
	for _, o := range a.writes {
		if o.servers == nil {
			o.servers = spec.Servers
		}
		counts[served(o.servers)]++
	}
	for _, o := range a.writes {
		if n, best := counts[served(o.servers)], counts[served(most)]; n > best {
			most = o.servers
		}
	}
	return most
}

// mounts answers the base paths of servers, each once; none where there is
// nothing but the root.
func mounts(servers openapi3.Servers) []string {
	const most = 16 // as many as rules.yaml takes
	var all []string
	for _, server := range servers {
		if server == nil {
			continue
		}
		at, err := url.Parse(filledIn(server))
		if err != nil || strings.Contains(at.Path, "{") { // a variable that nothing is known of
			continue
		}
		base := "/" + strings.Trim(at.EscapedPath(), "/")
		if !slices.Contains(all, base) && len(all) < most {
			all = append(all, base)
		}
	}
	if len(all) == 1 && all[0] == "/" {
		return nil
	}
	return all
}

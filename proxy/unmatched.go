package proxy

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"sync"
)

const (
	// maxRouteWords is how many words may stand at one place of a route: more
	// are values, whatever they look like.
	maxRouteWords = 24
	// maxRouteNodes bounds all routes together, in segments, and maxRouteDepth
	// one of them.
	maxRouteNodes = 4096
	maxRouteDepth = 16
	// foldedSegment stands for every value.
	foldedSegment = "{id}"
)

// Unmatched is which writes succeeded that no rule matches, since the rules in force
// were loaded.
type Unmatched struct {
	// Routes are the most frequent first.
	Routes []UnmatchedRoute `json:"routes"`
	// Beyond counts those for whose routes there was no room.
	Beyond int64 `json:"beyond,omitempty"`
}

// UnmatchedRoute is one method and path template, such as POST
// /orders/{id}/items. It holds no values of requests: see foldSegment.
type UnmatchedRoute struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Count  int64  `json:"count"`
}

// Unmatched answers the report. It may be called at any time.
func (p *Proxy) Unmatched() Unmatched { return p.ruling.Load().unmatched.report() }

// noteUnmatched counts a write that succeeded and that no rule matches.
func (p *Proxy) noteUnmatched(x *exchange, status int) {
	if !isWrite(x.inbound.Method) || status < http.StatusOK || status > 299 || neverCaptured(x.inbound) {
		return
	}
	defer p.survive("unmatched", func() {})
	p.metrics.unmatched.Inc()
	x.ruling.unmatched.count(methodLabel(x.inbound.Method), x.path)
}

// unmatchedRoutes is a tree of path segments for each method.
type unmatchedRoutes struct {
	// literal reports whether the rules have a word in their paths: then it is
	// a route's.
	literal func(word string) bool

	mu     sync.Mutex
	roots  map[string]*routeNode
	nodes  int
	beyond int64
}

// routeNode is one segment of a route.
type routeNode struct {
	words  map[string]*routeNode
	id     *routeNode // what stands below any value
	folded bool       // there were too many words here: all are values
	count  int64      // of requests that end here
}

// count adds one request. It allocates for a route that is new only.
func (u *unmatchedRoutes) count(method, path string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	n, open := u.root(method), true
	for depth := 0; path != ""; {
		var segment string
		segment, path, _ = strings.Cut(path, "/")
		if segment == "" {
			continue
		}
		if depth++; depth > maxRouteDepth {
			u.beyond++
			return
		}
		var shown bool
		shown, open = foldSegment(segment, open, u.literal)
		if n = u.below(n, segment, shown); n == nil {
			u.beyond++
			return
		}
	}
	n.count++
}

func (u *unmatchedRoutes) root(method string) *routeNode {
	n := u.roots[method]
	if n == nil {
		n = new(routeNode)
		u.roots[method] = n
	}
	return n
}

// below answers the node for a segment, or nil where there is no room for it.
func (u *unmatchedRoutes) below(n *routeNode, segment string, shown bool) *routeNode {
	if !shown || n.folded {
		if n.id == nil && u.room() {
			n.id = new(routeNode)
		}
		return n.id
	}
	if to := n.words[segment]; to != nil {
		return to
	}
	if len(n.words) >= maxRouteWords {
		u.fold(n)
		return n.id
	}
	if !u.room() {
		return nil
	}
	if n.words == nil {
		n.words = make(map[string]*routeNode)
	}
	to := new(routeNode)
	n.words[strings.Clone(segment)] = to // the path must not stay in memory for it
	return to
}

func (u *unmatchedRoutes) room() bool {
	if u.nodes >= maxRouteNodes {
		return false
	}
	u.nodes++
	return true
}

// fold makes one value of all words of a node.
func (u *unmatchedRoutes) fold(n *routeNode) {
	if n.id == nil {
		n.id = new(routeNode)
		u.nodes++
	}
	for _, word := range n.words {
		u.merge(n.id, word)
	}
	n.words, n.folded = nil, true
}

// merge adds what was counted below one node to another.
func (u *unmatchedRoutes) merge(into, from *routeNode) {
	u.nodes--
	into.count += from.count
	if from.id != nil {
		if into.id == nil {
			into.id = new(routeNode)
			u.nodes++
		}
		u.merge(into.id, from.id)
	}
	if from.folded && !into.folded {
		u.fold(into)
	}
	for word, node := range from.words {
		to := u.below(into, word, true)
		if to == nil { // never: from's own nodes made room
			u.beyond += node.count
			continue
		}
		u.merge(to, node)
	}
}

func (u *unmatchedRoutes) report() Unmatched {
	u.mu.Lock()
	defer u.mu.Unlock()
	r := Unmatched{Routes: []UnmatchedRoute{}, Beyond: u.beyond}
	for method, root := range u.roots {
		root.add(&r, method, "")
	}
	slices.SortFunc(r.Routes, func(a, b UnmatchedRoute) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
	})
	return r
}

func (n *routeNode) add(r *Unmatched, method, path string) {
	if n.count > 0 {
		r.Routes = append(r.Routes, UnmatchedRoute{method, cmp.Or(path, "/"), n.count})
	}
	for word, to := range n.words {
		to.add(r, method, path+"/"+word)
	}
	if n.id != nil {
		n.id.add(r, method, path+"/"+foldedSegment)
	}
}

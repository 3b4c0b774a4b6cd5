package proxy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func newUnmatchedRoutes(literals ...string) *unmatchedRoutes {
	return &unmatchedRoutes{literal: func(word string) bool { return slices.Contains(literals, word) }, roots: map[string]*routeNode{}}
}

// routes shows a report on lines.
func (u *unmatchedRoutes) routes() string {
	var lines []string
	for _, r := range u.report().Routes {
		lines = append(lines, fmt.Sprintf("%d %s %s", r.Count, r.Method, r.Path))
	}
	return strings.Join(lines, "\n")
}

func TestWhatIsNotKnownToBeARoutesWordIsFolded(t *testing.T) {
	for path, want := range map[string]string{
		"/orders/7/items": "/orders/{id}/items",
		"/orders//7/":     "/orders/{id}",
		"/":               "/",
		"/api/v2/contacts/3f2504e0-4f89-11d3-9a0c-0305e82c3301": "/api/v2/contacts/{id}",
		"/contacts/01ARZ3NDEKTSV4RRFFQ69G5FAV":                  "/contacts/{id}",
		"/contacts/01arz3ndektsv4rrffq69g5fav/notes":            "/contacts/{id}/notes",
		"/files/deadbeef":                        "/files/{id}",
		"/files/eyJhbGciOiJIUzI1NiJ9.e30.abc":    "/files/{id}",
		"/reset/dGhpc2lzYXRva2Vu":                "/reset/{id}",
		"/users/ada@example.com/ban":             "/users/{id}/ban",
		"/users/ada%40example.com":               "/users/{id}",
		"/days/2026-01-02/bookings":              "/days/{id}/bookings",
		"/users/alice/posts":                     "/users/{id}/posts",
		"/users/james":                           "/users/{id}",
		"/user/james":                            "/user/{id}",
		"/gizmos/7/frobnications":                "/gizmos/{id}/{id}", // of those, nobody has heard
		"/api/v1/gizmos":                         "/api/v1/gizmos",
		"/insurance/policies/7/addresses":        "/insurance/policies/{id}/addresses",
		"/user/alice":                            "/user/{id}",
		"/u/alice":                               "/{id}/{id}",
		"/acme/orders":                           "/{id}/orders",
		"/Acme/orders":                           "/{id}/orders",
		"/search/private-words":                  "/search/{id}",
		"/repos/ada/lovelace-secret-plan/issues": "/repos/{id}/{id}/issues",
		"/contacts/import":                       "/contacts/import",
		"/contacts.json":                         "/contacts.json",
		"/contacts/7.json":                       "/contacts/{id}",
		"/contacts/ada.json":                     "/contacts/{id}",
		"/lineItems/7/prices":                    "/lineItems/{id}/prices",
		"/posts/how-i-lost-my-keys":              "/posts/{id}",
		"/how-i-lost-my-keys":                    "/{id}",
		"/gizmo/7/frobnicate":                    "/gizmo/{id}/frobnicate", // both stand in a rule
		"/Orders(7)":                             "/{id}",
		"/people/children":                       "/people/children",
		"/v1.2/me/settings":                      "/v1.2/me/settings",
		"/v123456/x":                             "/{id}/{id}",
		"/+49301234567/calls":                    "/{id}/calls",
	} {
		u := newUnmatchedRoutes("gizmo", "frobnicate")
		u.count("POST", path)
		if got := u.routes(); got != "1 POST "+want {
			t.Errorf("%s became %s, want %s", path, got, want)
		}
	}
}

// Whatever stands behind a collection, nothing that a client chose is shown.
func TestNoMadeUpWordIsShownBehindACollection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[a-z]{2,12}([-_.][a-z]{1,8}){0,2}|[0-9A-Za-z_%~-]{1,40}`).Draw(t, "value")
		if word := withoutFormat(value); routeWords[word] || areas[word] || isVersion(word) || routeWords[singular(word)] {
			t.Skip()
		}
		u := newUnmatchedRoutes()
		u.count("POST", "/contacts/"+value+"/notes")
		if got := u.routes(); got != "1 POST /contacts/{id}/notes" {
			t.Fatalf("%s is shown: %s", value, got)
		}
	})
}

func TestManyWordsAtOnePlaceAreValues(t *testing.T) {
	u := newUnmatchedRoutes()
	for i := range 100 {
		tenant := strings.Repeat(string(rune('a'+i%26)), i/26+1) + "holdings"
		u.count("POST", "/"+tenant+"/orders")
		u.count("POST", "/"+tenant+"/orders/7/items")
		u.count("PUT", "/"+tenant)
	}
	if got, want := u.routes(), "100 PUT /{id}\n100 POST /{id}/orders\n100 POST /{id}/orders/{id}/items"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if u.nodes > 10 {
		t.Errorf("%d nodes are left", u.nodes)
	}
}

func TestRoutesAreBoundedAndNothingIsLostOfTheCount(t *testing.T) {
	u := newUnmatchedRoutes()
	words := make([]string, 0, len(routeWords))
	for word := range routeWords {
		words = append(words, word)
	}
	slices.Sort(words)
	total := 0
	for i, a := range words[:20] {
		for j, b := range words[100:120] {
			for _, c := range words[200:220] {
				u.count("POST", fmt.Sprintf("/%s/%s/%s/%d", a, b, c, i*j))
				total++
			}
		}
	}
	u.count("POST", strings.Repeat("/7", 40))
	total++
	r := u.report()
	sum := r.Beyond
	for _, route := range r.Routes {
		sum += route.Count
	}
	if u.nodes > maxRouteNodes || r.Beyond == 0 || sum != int64(total) {
		t.Errorf("%d nodes; %d of %d counted, %d beyond", u.nodes, sum, total, r.Beyond)
	}
}

func TestOnlyWritesThatSucceededAndMatchNothingAreCounted(t *testing.T) {
	status := http.StatusCreated
	s, p := capturing(t, contacts, serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) }), nil)
	for _, request := range []string{"POST /orders", "GET /orders/7", "HEAD /orders", "OPTIONS /orders", "DELETE /contacts/7", "PURGE /orders/7", "PUT /orders/7"} {
		s.do(t, request, "")
	}
	status = http.StatusNotFound
	s.do(t, "POST /ghosts", "")
	p.one(t)
	if got, want := s.proxy.ruling.Load().unmatched.routes(), "1 POST /orders\n1 PUT /orders/{id}\n1 other /orders/{id}"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := countOf(t, s.proxy.metrics.unmatched); got != 3 {
		t.Errorf("the metric says %v", got)
	}
}

func TestCountingIsSafeForManyAtOnce(t *testing.T) {
	u := newUnmatchedRoutes()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 500 {
				u.count("POST", fmt.Sprintf("/%ss/%d/items", strings.Repeat("x", 3+(i*j)%27), j))
				_ = u.report()
			}
		})
	}
	all.Wait()
	sum := int64(0)
	for _, r := range u.report().Routes {
		sum += r.Count
	}
	if sum != 4000 {
		t.Error(sum)
	}
}

func TestCountingARouteAgainAllocatesNothing(t *testing.T) {
	u := newUnmatchedRoutes()
	path := "/api/v1/orders/3f2504e0-4f89-11d3-9a0c-0305e82c3301/items.json"
	u.count("POST", path)
	if allocs := testing.AllocsPerRun(100, func() { u.count("POST", path) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// BenchmarkUnmatchedReport shows what the report costs a write, and a read.
func BenchmarkUnmatchedReport(b *testing.B) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		b.Run(method, func(b *testing.B) { run(b, benchProxy(b, 10), method, "/api/v1/orders/7/items") })
	}
	b.Run("count alone", func(b *testing.B) {
		u := newUnmatchedRoutes()
		b.ReportAllocs()
		for b.Loop() {
			u.count("POST", "/api/v1/orders/7/items")
		}
	})
}

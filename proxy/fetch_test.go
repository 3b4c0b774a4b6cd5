package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookproxy/hookproxy/rules"
)

// records is an API of the old school: writes answer 204, or 201 with Location,
// and only a GET shows what there is.
type records struct {
	mu       sync.Mutex
	stored   map[string]string // by path
	location string            // what a POST answers
	gets     chan *http.Request
	get      http.HandlerFunc // instead of the usual GET
}

func newRecords(stored map[string]string) *records {
	return &records{stored: stored, location: "/contacts/8", gets: make(chan *http.Request, 100)}
}

func (a *records) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.Method == http.MethodGet {
		a.gets <- r
		if a.get != nil {
			a.get(w, r)
			return
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch r.Method {
	case http.MethodGet:
		if a.stored[r.URL.Path] == "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, a.stored[r.URL.Path])
	case http.MethodPost:
		a.stored["/contacts/8"] = string(body)
		if a.location != "" {
			w.Header().Set("Location", a.location)
		}
		w.WriteHeader(http.StatusCreated)
	case http.MethodDelete:
		delete(a.stored, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	default:
		a.stored[r.URL.Path] = string(body)
		w.WriteHeader(http.StatusNoContent)
	}
}

// fetching runs a proxy before such an API and sends one request.
func fetching(t *testing.T, source string, a *records, request, body string) (outcome string, s *stand) {
	t.Helper()
	s, p := capturing(t, source, serve(t, a.ServeHTTP), nil)
	if res, _ := s.do(t, request, body); res.StatusCode > 299 {
		t.Fatalf("the client got %d", res.StatusCode)
	}
	s.rest(t) // for what is fetched later
	eventually(t, s.proxy.metrics.budget, 0)
	return s.outcomeOf(t, p), s
}

func oneContact() map[string]string {
	return map[string]string{"/contacts/7": `{"id":7,"stage":"open","tags":["a"]}`}
}

func TestAnAPIThatAnswers204StillYieldsTheWholeResource(t *testing.T) {
	for _, when := range []string{"after", "later"} {
		source := "resources: {contact: {path: /contacts, fetch: " + when + "}}"
		for request, want := range map[string]string{
			put:  `contact.update 42/7 {"id":7,"new":1}`,
			post: `contact.create 42/8 {"id":7,"new":1}`,
			del:  `contact.delete 42/7 {"id":"7"}`,
		} {
			got, s := fetching(t, source, newRecords(oneContact()), request, `{"id":7,"new":1}`)
			if got != want {
				t.Errorf("%s, %s:\ngot  %s\nwant %s", when, request, got, want)
			}
			if request != del {
				eventually(t, s.proxy.metrics.fetches.WithLabelValues(when, "ok"), 1)
			}
		}
	}
}

func TestADeleteCarriesWhatWasDeleted(t *testing.T) {
	for source, want := range map[string]string{
		"resources: {contact: {path: /contacts, fetch: before}}":                                                    `contact.delete 42/7 {"id":7,"stage":"open","tags":["a"]}`,
		"resources: {contact: {path: /contacts, fetch: [before, after], pick: [stage]}}":                            `contact.delete 42/7 {"stage":"open"}`,
		"resources: {contact: {path: /contacts, fetch: before, payload: thin}}":                                     `contact.delete 42/7 {"id":"7"}`,
		`rules: [{on: "DELETE /contacts/{id}", emit: a.b, fetch: before, payload: {was: "{previous.stage}"}}]`:      `a.b 42/7 {"was":"open"}`,
		`rules: [{on: "DELETE /contacts/{id}", emit: a.b, fetch: before, user: previous.id, payload: previous.id}]`: `a.b 7/7 7`,
	} {
		if got, _ := fetching(t, source, newRecords(oneContact()), del, ""); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", source, got, want)
		}
	}
}

func TestAConditionMayAskForAChange(t *testing.T) {
	const fetched = `resources: {contact: {path: /contacts, only: [create, update], fetch: [before, after], when: {fetched.stage: {changed: true}}}}`
	const unchanged = `rules: [{on: "PUT /contacts/{id}", emit: a.b, fetch: [before, after], payload: {}, when: {fetched.tags: {changed: false}, fetched.stage: {not: {changed: false}, exists: true}}}]`
	for name, c := range map[string]struct{ source, request, body, want string }{
		"changed":             {fetched, put, `{"stage":"won"}`, `contact.update 42/7 {"stage":"won"}`},
		"not changed":         {fetched, put, `{"stage":"\u006fpen"}`, "skipped:when"},
		"gone":                {fetched, put, `{}`, `contact.update 42/7 {}`},
		"made by a PUT":       {fetched, "PUT /contacts/9", `{"stage":"open"}`, `contact.update 42/9 {"stage":"open"}`},
		"made by a POST":      {fetched, post, `{"stage":"open"}`, `contact.create 42/8 {"stage":"open"}`},
		"a list that stayed":  {unchanged, put, `{"tags": [ "\u0061" ],"stage":"won"}`, `a.b 42/7 {}`},
		"a list that did not": {unchanged, put, `{"tags":["a","b"],"stage":"won"}`, "skipped:when"},
	} {
		if got, _ := fetching(t, c.source, newRecords(oneContact()), c.request, c.body); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
		}
	}
}

func TestAnAnswersOwnBodyIsComparedToo(t *testing.T) {
	const source = `rules: [{on: "PUT /x", emit: deal.won, fetch: before, resource: response.body.id, when: {response.body.stage: {changed: true}}}]`
	upstream := func(before string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if r.Method == http.MethodGet {
				_, _ = io.WriteString(w, before)
				return
			}
			_, _ = io.WriteString(w, `{"id":7,"stage":{"n":1,"m":[2]}}`)
		}
	}
	runCases(t, source, []exchangeCase{
		{"changed", "PUT /x", "{}", upstream(`{"stage":{"n":1}}`), `deal.won 42/7 {"id":7,"stage":{"n":1,"m":[2]}}`},
		{"written otherwise", "PUT /x", "{}", upstream(`{"stage":{ "m":[2.0], "n":1 }}`), "skipped:when"},
		{"nobody knows", "PUT /x", "{}", upstream(`<html>`), `deal.won 42/7 {"id":7,"stage":{"n":1,"m":[2]}} parked:when_unknown`},
	})
}

func TestAFetchIsInTheCallersNameAndNoOtherPartOfTheRequest(t *testing.T) {
	a := newRecords(oneContact())
	source := "identity: [{whoami: {get: /me, credentials: [X-Key]}}]\nresources: {contact: {path: /contacts, fetch: [before, after]}}"
	_, _ = fetching(t, source, a, put+"?api=1\nAuthorization: Bearer b\nCookie: c=1\nX-Key: k\nX-Other: o\nAccept: application/vnd.api+json; version=2\nIf-Match: e\nIdempotency-Key: i", "{}")
	for range 2 {
		r := receive(t, a.gets)
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
			if r.Header.Get(name) == "" {
				t.Errorf("no %s", name)
			}
			r.Header.Del(name)
		}
		want := http.Header{
			"Authorization": {"Bearer b"}, "Cookie": {"c=1"}, "X-Key": {"k"}, "Accept": {"application/vnd.api+json; version=2"},
			"Accept-Encoding": {"identity"}, "User-Agent": {"hookproxy"},
		}
		if diff := cmp.Diff(want, r.Header); diff != "" {
			t.Error(diff)
		}
		if r.RequestURI != "/contacts/7" || r.ContentLength != 0 {
			t.Errorf("%s with %d bytes", r.RequestURI, r.ContentLength)
		}
	}
}

func TestOurOwnRequestsMakeNoEvents(t *testing.T) {
	const source = `rules: [{on: "PUT|GET /contacts/{id}", emit: a.b, fetch: [before, after]}]`
	a := newRecords(oneContact())
	if got, _ := fetching(t, source, a, put, `{"n":1}`); got != `a.b 42/7 {"n":1}` {
		t.Error(got)
	}
	if len(a.gets) != 2 {
		t.Errorf("%d GETs, want 2", len(a.gets))
	}
}

func TestRulesThatWantTheSameShareIt(t *testing.T) {
	const source = `rules: [{on: "PUT /contacts/{id}", emit: a.b, fetch: after}, {on: "PUT /contacts/{id}", emit: a.c, fetch: after}, {on: "PUT /contacts/{id}", emit: a.d, fetch: after, status: 202}]`
	a := newRecords(oneContact())
	if got, _ := fetching(t, source, a, put, `{"n":1}`); got != `a.b 42/7 {"n":1}; a.c 42/7 {"n":1}` || len(a.gets) != 1 {
		t.Errorf("%s, with %d GETs", got, len(a.gets))
	}
}

func TestAFetchNobodyNeedsIsNotSent(t *testing.T) {
	const source = `rules: [{on: "PUT /contacts/{id}", emit: a.b, fetch: after, when: {request.body.x: 1}}, {on: "PUT /contacts/{id}", emit: a.c, fetch: later, status: 202}]`
	a := newRecords(oneContact())
	if got, _ := fetching(t, source, a, put, `{}`); got != "skipped:status skipped:when" || len(a.gets) != 0 {
		t.Errorf("%s, with %d GETs", got, len(a.gets))
	}
}

func TestAPathToFetchMayBeWritten(t *testing.T) {
	const source = `
matching: {mount: "/{v:v1|v2}"}
rules:
  - {on: "POST /deals/{id}/close", emit: deal.closed, fetch: {before: "/deals/{path.id}", after: "/deals/{path.id}"}, payload: {was: "{previous.n}", is: "{fetched.n}"}}
`
	stored := map[string]string{"/v2/deals/a b": `{"n":1}`}
	if got, _ := fetching(t, source, newRecords(stored), "POST /v2/deals/a%20b/close", `{}`); got != `deal.closed 42/8 {"was":1,"is":1}` {
		t.Error(got)
	}
	for _, id := range []string{"%2e%2e", "..%2f..%2Fadmin"} {
		a := newRecords(stored)
		_, _ = fetching(t, source, a, "POST /v2/deals/"+id+"/close", `{}`)
		for range len(a.gets) {
			if r := receive(t, a.gets); !strings.HasPrefix(r.RequestURI, "/v2/deals/..%2F") {
				t.Errorf("%s led to %s", id, r.RequestURI)
			}
		}
	}
}

func TestWhereAFetchLeads(t *testing.T) {
	for location, want := range map[string]string{
		"/contacts/8":                        "/contacts/8",
		"contacts/8":                         "/contacts/8",
		"8?full=1#top":                       "/8?full=1",
		"http://API.example/contacts/8":      "/contacts/8", // as the client calls it
		"http://backend:8080/contacts/8":     "/contacts/8",
		"http://10.1.2.3/contacts/8":         "/contacts/8",
		"https://api.internal/contacts/8":    "/contacts/8",
		"https://localhost/contacts/8":       "/contacts/8",
		"http://[::1]/contacts/8":            "/contacts/8",
		"/base/contacts/8":                   "/base/contacts/8",
		"https://example.org/contacts/8":     "",
		"//example.org/contacts/8":           "",
		"http://8.8.8.8/contacts/8":          "",
		"ftp://backend/contacts/8":           "",
		"http://u:p@backend/contacts/8":      "",
		"mailto:someone":                     "",
		"http://api.example%2F@evil.org/x/8": "",
		"http://%zz/":                        "",
	} {
		p, err := New(Options{Upstream: parse(t, "http://127.0.0.1:1"), Transport: benchAnswer})
		if err != nil {
			t.Fatal(err)
		}
		x := &exchange{inbound: httptest.NewRequest(http.MethodPost, "http://api.example/contacts", nil), path: "/contacts", ruling: p.ruling.Load()}
		got := ""
		if r := p.fetchRequest(x, ruleMatch{new(rules.Match)}, rules.Fetch{Target: location, Location: true}); r != nil {
			got = r.URL.RequestURI()
			if r.URL.Host != "127.0.0.1:1" {
				t.Errorf("%s leads to the host %s", location, r.URL.Host)
			}
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", location, got, want)
		}
	}
}

func TestAFetchKnowsTheUpstreamsBasePath(t *testing.T) {
	for _, location := range []string{"/contacts/8", "/base/contacts/8", "http://internal/base/contacts/8"} {
		a := newRecords(map[string]string{})
		a.location = location
		upstream := serve(t, http.StripPrefix("/base", a).ServeHTTP)
		upstream.Path = "/base"
		s, p := capturing(t, "resources: {contact: {path: /contacts, fetch: after}}", upstream, nil)
		s.do(t, post, `{"n":1}`)
		if got := s.outcomeOf(t, p); got != `contact.create 42/8 {"n":1}` {
			t.Errorf("%s: %s", location, got)
		}
	}
}

func TestAFetchThatFailsLeavesTheEventWithoutDataAndTheAPIAlone(t *testing.T) {
	hang := make(chan struct{})
	for name, get := range map[string]http.HandlerFunc{
		"an error":  answering(500, asJSON, `{"n":1}`),
		"refused":   answering(403, asJSON, `{"n":1}`),
		"not found": answering(404, asJSON, `{"n":1}`),
		"elsewhere": answering(302, "Location: /contacts/9", ""),
		"a page":    answering(200, "Content-Type: text/html", "<html>"),
		"nothing":   answering(204, "", ""),
		"too large": answering(200, asJSON, `"`+strings.Repeat("x", 5000)+`"`),
		"a bomb":    coded(t, "gzip", strings.Repeat(" ", 1<<20)),
		"broken":    answering(200, asJSON+"\nContent-Length: 100", "{"),
		"a stream":  answering(200, "Content-Type: text/event-stream", "data: 1\n\n"),
		"never":     func(_ http.ResponseWriter, r *http.Request) { <-hang },
		"never ending": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = http.NewResponseController(w).Flush()
			<-hang
		},
	} {
		for _, when := range []string{"after", "later"} {
			a := newRecords(oneContact())
			a.get = get
			s, p := capturing(t, "capture: {max_body: 4096}\nresources: {contact: {path: /contacts, fetch: "+when+"}}", serve(t, a.ServeHTTP), func(o *Options) {
				if strings.HasPrefix(name, "never") {
					o.FetchTimeout = 20 * time.Millisecond
				}
			})
			if res, body := s.do(t, put, "{}"); res.StatusCode != http.StatusNoContent || body != "" {
				t.Errorf("%s, %s: the client got %d %q", name, when, res.StatusCode, body)
			}
			s.rest(t)
			if got := s.outcomeOf(t, p); got != "contact.update 42/7 omitted:fetch_failed" {
				t.Errorf("%s, %s: %s", name, when, got)
			}
			eventually(t, s.proxy.metrics.budget, 0)
		}
	}
	close(hang)
}

func TestAFetchCarriesTheKeyThatCallersAreKnownBy(t *testing.T) {
	asked := make(chan string, 1)
	upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			asked <- r.Header.Get("X-My-Key")
			created(`{"id":7}`)(w, r)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	const byKey = `
identity: [{key: {header: x-my-key, secret: {env: PSEUDONYMS}, verify: /me}}]
resources: {contact: {path: /contacts, fetch: after}}`
	s, p := capturing(t, byKey, upstream, nil)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, s.url+"/contacts/7", nil)
	r.Header.Set("X-My-Key", "k")
	res, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	p.one(t)
	if key := receive(t, asked); key != "k" {
		t.Errorf("the resource was fetched with the key %q", key)
	}
}

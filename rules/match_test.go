package rules

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// matching answers the events of the rules that match.
func matching(file *File, method, path string) string {
	m := file.Match(method, path)
	if m == nil {
		return ""
	}
	var names []string
	for _, h := range m.hits {
		names = append(names, h.rule.name(h.params)+fmt.Sprint(h.params))
	}
	return strings.Join(names, " ")
}

func TestPathsMatchInTheirCanonicalForm(t *testing.T) {
	file := parsed(t, `
rules:
  - {on: POST /contacts, emit: contact.create}
  - {on: "PUT /contacts/{id}", emit: contact.update}
  - {on: "PUT /contacts/{id}.json", emit: contact.json}
  - {on: "PUT /contacts/{id:[0-9]+}", emit: contact.number}
  - {on: PUT /contacts/me, emit: contact.me}
  - {on: "POST /api/{kind:contact|deal}/records", emit: "{path.kind}.create"}
  - {on: "PUT /v2/{name:.+}/manifests/{ref}", emit: image.push}
  - {on: "PUT /files/{path:[a-z/]+}", emit: file.put}
  - {on: "PUT /a%20b/{x}", emit: space.put}
  - {on: POST /, emit: root.post}
`)
	for _, c := range []struct{ method, path, want string }{
		{"POST", "/contacts", "contact.create[]"},
		{"POST", "/contacts/", "contact.create[]"},
		{"POST", "//contacts//", "contact.create[]"},
		{"POST", "/x/../contacts/.", "contact.create[]"},
		{"POST", "/../../contacts", "contact.create[]"},
		{"POST", "/x/%2e%2E/contacts", "contact.create[]"},
		{"POST", "/%63ontacts", "contact.create[]"},
		{"POST", "/", "root.post[]"},
		{"POST", "", "root.post[]"},
		{"post", "/contacts", ""},
		{"PUT", "/contacts", ""},
		{"POST", "/Contacts", ""},
		{"POST", "/contacts%2F", ""},
		{"PUT", "/contacts/a", "contact.update[a]"},
		{"PUT", "/contacts/a%2Fb", "contact.update[a/b]"},
		{"PUT", "/contacts/a%2F..%2Fb", "contact.update[a/../b]"},
		{"PUT", "/contacts/%zz%4", "contact.update[%zz%4]"},
		{"PUT", "/contacts/a%252Fb", "contact.update[a%2Fb]"},
		{"PUT", "/contacts/7", "contact.update[7] contact.number[7]"},
		{"PUT", "/contacts/me", "contact.update[me] contact.me[]"},
		{"PUT", "/contacts/7.json", "contact.update[7.json] contact.json[7]"},
		{"PUT", "/contacts/.json", "contact.update[.json]"},
		{"PUT", "/contacts/a/b", ""},
		{"POST", "/api/deal/records", "deal.create[deal]"},
		{"POST", "/api/de%61l/records", "deal.create[deal]"},
		{"POST", "/api/note/records", ""},
		{"PUT", "/v2/a/b/c/manifests/latest", "image.push[a/b/c latest]"},
		{"PUT", "/v2/manifests/latest", ""},
		{"PUT", "/v2/a/manifests", ""},
		{"PUT", "/files/x/y", "file.put[x/y]"},
		{"PUT", "/files/x/Y", ""},
		{"PUT", "/files", ""},
		{"PUT", "/a%20b/%C3%BC", "space.put[ü]"},
	} {
		if got := matching(file, c.method, c.path); got != c.want {
			t.Errorf("%s %s: got %q, want %q", c.method, c.path, got, c.want)
		}
	}
}

func TestCanonicalSplitsDecodesAndResolves(t *testing.T) {
	for path, want := range map[string][]string{
		"":                    {},
		"/":                   {},
		"/a/b/":               {"a", "b"},
		"/a//./b/../c":        {"a", "c"},
		"/a/../../b":          {"b"},
		"/a%2Fb/c%20d":        {"a/b", "c d"},
		"/a/%2e%2e/b":         {"b"},
		"/%252e%252e/x":       {"%2e%2e", "x"},
		"/a/..%2F..%2Fb":      {"a", "../../b"},
		"/%":                  {"%"},
		"/a;v=1/b":            {"a;v=1", "b"},
		"/a/b/c/../../../d/e": {"d", "e"},
	} {
		if diff := cmp.Diff(want, Canonical(path)); diff != "" {
			t.Errorf("%q: %s", path, diff)
		}
	}
}

func TestCanonicalUndoesEscaping(t *testing.T) {
	segment := rapid.StringN(1, 8, 32).Filter(func(s string) bool { return s != "." && s != ".." })
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(segment, 0, 6).Draw(t, "segments")
		path := ""
		for _, s := range want {
			path += rapid.SampledFrom([]string{"/", "//", "/./", "/x/../"}).Draw(t, "slash") + url.PathEscape(s)
		}
		if got := Canonical(path); !slices.Equal(got, want) {
			t.Fatalf("%q: got %q, want %q", path, got, want)
		}
	})
}

// manyRules answers a file with n rules over templates of every kind.
func manyRules(t testing.TB, n int, sections string) *File {
	var b strings.Builder
	b.WriteString(sections + "rules:\n")
	for i := range n {
		switch i % 5 {
		case 0:
			fmt.Fprintf(&b, "  - {on: POST /api/v1/things%d, emit: thing%d.create}\n", i, i)
		case 1:
			fmt.Fprintf(&b, "  - {on: 'PUT /api/v1/things%d/{id}', emit: thing%d.update}\n", i, i)
		case 2:
			fmt.Fprintf(&b, "  - {on: 'POST /api/v1/things%d/{id:[0-9]+}/notes', emit: thing%d.note}\n", i, i)
		case 3:
			fmt.Fprintf(&b, "  - {on: 'POST /api/v1/{kind:k%d|l%d}/records', emit: '{path.kind}.create'}\n", i, i)
		case 4:
			fmt.Fprintf(&b, "  - {on: 'PUT /api/v1/files%d/{name:.+}', emit: file%d.put}\n", i, i)
		}
	}
	return parsed(t, b.String())
}

// misses are requests that match none of manyRules.
var misses = []struct{ method, path string }{
	{"GET", "/api/v1/things0"},
	{"POST", "/"},
	{"POST", "/api/v1/other"},
	{"POST", "/api/v1/things2/abc/notes"},
	{"PUT", "/api/v1/things1/a/b/c"},
	{"POST", "/api/v1/things0%2F" + strings.Repeat("/deep%2Fer", 60)},
	{"POST", "//api/./x/../v1/%74hings2/%41/notes"},
}

// allMatching is the section matching with all that a request pays for.
const allMatching = "matching: {mount: [/, /x], ignore_case: true, format_suffixes: [.json, .xml], method_override: [X-Method]}\n"

func TestAMissAllocatesNothing(t *testing.T) {
	missesAllocateNothing(t, manyRules(t, 1000, ""))
	missesAllocateNothing(t, manyRules(t, 1000, allMatching))
}

func missesAllocateNothing(t *testing.T, file *File) {
	t.Helper()
	for _, miss := range misses {
		if file.Match(miss.method, miss.path) != nil {
			t.Fatalf("%s %s matches", miss.method, miss.path)
		}
		if raceEnabled {
			continue // sync.Pool drops at random then
		}
		if n := testing.AllocsPerRun(200, func() { file.Match(file.Method(miss.method, nil), miss.path) }); n != 0 {
			t.Errorf("%s %.40s: %v allocations", miss.method, miss.path, n)
		}
	}
}

func TestAMatchSaysWhatMustBeCaptured(t *testing.T) {
	file := parsed(t, `
rules:
  - {on: POST /own, emit: a.b, user: response.body.u}
  - {on: POST /call, emit: a.b}
  - {on: POST /tell, emit: a.b, user: {fixed: 1}, payload: {by: "x {caller.user}"}}
  - {on: POST /ask, emit: a.b, user: {fixed: 1}, when: {request.body.x: 1}, status: 202}
  - {on: POST /each, emit: a.b, each: response.body}
`)
	for _, c := range []struct {
		path                  string
		caller, request       bool
		ok, accepted, several bool
	}{
		{"/own", false, false, true, false, false},
		{"/call", true, false, true, false, false},
		{"/tell", true, false, true, false, false},
		{"/ask", false, true, false, true, false},
		{"/each", true, false, true, false, true},
	} {
		m := file.Match("POST", c.path)
		if m.NeedsCaller() != c.caller || m.NeedsRequestBody() != c.request {
			t.Errorf("%s: caller %v, request body %v", c.path, m.NeedsCaller(), m.NeedsRequestBody())
		}
		if m.WantsStatus(201) != c.ok || m.WantsStatus(202) != c.accepted || m.WantsStatus(207) != c.several || m.WantsStatus(404) {
			t.Errorf("%s: wants 201 %v, 202 %v, 207 %v", c.path, m.WantsStatus(201), m.WantsStatus(202), m.WantsStatus(207))
		}
		if m.Rules()[0].Path != c.path {
			t.Errorf("%s: rule %s", c.path, m.Rules()[0].Path)
		}
	}
}

func TestTheTableShowsWhatTheFileStandsFor(t *testing.T) {
	file := parsed(t, `resources:
  contact: /contacts
rules:
  - {on: "POST /a/{x}", emit: a.b, user: path.x, payload: {x: "{path.x}", t: "no {path.x}"}}
  - {on: POST /import, emit: a.b, each: response.body.rows, user: {fixed: 7}}
  - {on: POST /see, emit: a.b, mode: observe}
`)
	want := `ROUTE                  EVENT           USER     PAYLOAD                         LINE
POST /contacts         contact.create  caller   response.body                   2
PUT /contacts/{id}     contact.update  caller   response.body                   2
PATCH /contacts/{id}   contact.update  caller   response.body                   2
DELETE /contacts/{id}  contact.delete  caller   {"id":path.id}                  2
POST /a/{x}            a.b             path.x   {"x":path.x,"t":"no {path.x}"}  4
POST /import           a.b             fixed 7  item of response.body.rows      5
POST /see              a.b (observed)  caller   response.body                   6
`
	var b strings.Builder
	file.Table(&b)
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, rules := range []int{10, 1000} {
		file := manyRules(b, rules, "")
		run := func(name, method, path string) {
			b.Run(fmt.Sprintf("%s/%d_rules", name, rules), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					file.Match(method, path)
				}
			})
		}
		run("hit_literal", "POST", "/api/v1/things5")
		run("hit_parameter", "PUT", "/api/v1/things6/42")
		run("hit_expression", "POST", "/api/v1/things7/42/notes")
		run("hit_spanning", "PUT", "/api/v1/files9/a/b/c")
		run("miss_method", "GET", "/api/v1/things5")
		run("miss_path", "POST", "/api/v1/other/42")
		mounted := manyRules(b, rules, allMatching)
		b.Run(fmt.Sprintf("miss_all_matching/%d_rules", rules), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mounted.Match(mounted.Method("POST", nil), "/API/v1/other/42.json")
			}
		})
		run("miss_deep", "POST", "/api/v1/things0%2F"+strings.Repeat("/deep%2Fer", 10))
	}
}

func TestAFileServesManyGoroutinesAtOnce(t *testing.T) {
	file := manyRules(t, 50, "")
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 500 {
				id := fmt.Sprintf("%d-%d", worker, i)
				x := answer(201, js, `{"token":1,"id":"x"}`, to("PUT", "/api/v1/things1/"+id))
				ev := file.Match(x.Method, x.Path).Derive(x)[0].Event
				if ev.Resource != id || string(ev.Payload) != `{"id":"x"}` {
					t.Errorf("%s became %+v", id, ev)
				}
			}
		})
	}
	all.Wait()
}

func TestTrueIsTrueHoweverYAMLWritesIt(t *testing.T) {
	for written, matches := range map[string]bool{"true": true, "True": true, "TRUE": true, "false": false, "False": false} {
		file := parsed(t, "matching: {ignore_case: "+written+"}\nresources: {contact: /contacts}\n")
		if got := file.Match("POST", "/Contacts") != nil; got != matches {
			t.Errorf("ignore_case: %s: matches %v", written, got)
		}
	}
}

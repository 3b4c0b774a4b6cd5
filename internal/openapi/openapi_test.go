package openapi

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hookproxy/hookproxy/rules"
)

// written answers the rules of a document, and fails where they are none, now or
// when those behind "#?" are put in force.
func written(t rapid.TB, d *Document) *Written {
	t.Helper()
	w, err := d.Rules()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rules.Parse("rules.yaml", inForce(w.Source)); err != nil {
		t.Fatalf("with all rules in force: %v\n%s", err, inForce(w.Source))
	}
	return w
}

var behind = regexp.MustCompile(`(?m)^(\s*)#\? `)

// inForce deletes "#? " before every rule.
func inForce(source []byte) []byte { return behind.ReplaceAll(source, []byte("$1")) }

func loaded(t testing.TB, name string) *Document {
	t.Helper()
	d, err := Load(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func read(t testing.TB, source string) *Document {
	t.Helper()
	d, err := Read("spec", strings.NewReader(source))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAnAPIHasTheSameRulesWhicheverOpenAPIDescribesIt(t *testing.T) {
	want, err := os.ReadFile("testdata/shop.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"shop30.yaml", "shop31.yaml", "shop2.json"} {
		got := written(t, loaded(t, name)).Source
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestVersionsMayLackTheirQuotes(t *testing.T) {
	for _, version := range []string{"openapi: 3.1", "openapi: 3.0.3", "swagger: 2.0", "swagger: 2", "swagger: '2.0'"} {
		d := read(t, version+"\ninfo: {title: T, version: 1.0}\npaths: {/a: {post: {responses: {200: {description: d}}}}}\n")
		if w := written(t, d); w.Rules != 1 {
			t.Errorf("%s: %d rules", version, w.Rules)
		}
	}
}

func TestOperationsAndSchemasMayStandInFilesBeside(t *testing.T) {
	got := string(written(t, loaded(t, "split/api.yaml")).Source)
	for _, want := range []string{
		"  - on: POST /teams\n    emit: team.create\n    resource: response.body.team_id\n",
		"  - on: PATCH /teams/{team_id}\n    emit: team.update\n    payload: response.body.team\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("expected\n%sin\n%s", want, got)
		}
	}
}

// one is a document with one path item, in YAML's flow style.
func one(path, item string) string {
	return "openapi: 3.0.0\ninfo: {title: T, version: v}\npaths:\n  " + quote(path) + ": " + item + "\n"
}

const okJSON = `{"200": {description: ok, content: {application/json: {schema: {type: object, properties: {id: {type: integer}}}}}}}`

func TestRulesSayWhatTheDocumentSays(t *testing.T) {
	cases := []struct {
		promise, source string
		want            []string
	}{
		{"a POST to one resource updates it", one("/a/{id}", `{post: {responses: `+okJSON+`}}`), []string{"on: POST /a/{id}\n    emit: a.update"}},
		{"beside a PUT it does something else", one("/a/{id}", `{post: {responses: `+okJSON+`}, put: {responses: `+okJSON+`}}`),
			[]string{"on: POST /a/{id}\n    emit: a.post", "on: PUT /a/{id}\n    emit: a.update"}},
		{"PUT and PATCH that differ in nothing are one rule", one("/users/{id}", `{put: {responses: `+okJSON+`}, patch: {responses: `+okJSON+`}}`),
			[]string{"on: PUT|PATCH /users/{id}\n    emit: user.update"}},
		{"what follows a colon is done to what stands before", one("/mails/{id}:send", `{post: {responses: {"204": {description: d}}}}`),
			[]string{"emit: mail.send", `payload: {id: "{path.id}"}`}},
		{"parameters get names that rules.yaml has", one("/files/{+file.path}/{*}", `{delete: {responses: {"204": {description: d}}}}`),
			[]string{`on: "DELETE /files/{file_path:.+}/{id:.+}"`, `payload: {id: "{path.id}"}`}},
		{"hookproxy's own endpoints make way", one("/api/v1/event/{id}", `{put: {responses: `+okJSON+`}}`),
			[]string{"path: /hookproxy/subscription/\n  events_path: /hookproxy/event/"}},
		{"207 is looked at item by item", one("/orders", `{post: {responses: {"207": {description: d, content: {application/json: {schema: {type: array, items: {type: object, properties: {uuid: {type: string}}}}}}}}}}`),
			[]string{"status: [207]", "each: response.body", "resource: item.uuid"}},
		{"what is done to many is not about what they belong to", one("/accounts/{account}/deals/import", `{post: {responses: `+okJSON+`}}`) + "  /z: {post: {responses: " + okJSON + "}}\n",
			[]string{"emit: account.deal.import\n\n"}},
		{"nor does it have them all fetched", one("/deals/import", `{post: {responses: {"204": {description: d}}}}`) + "  /deals: {get: {responses: " + okJSON + "}}\n",
			[]string{"emit: deal.import\n    payload: {}\n"}},
		{"what is made without a word is known by Location", one("/deals", `{post: {responses: {"201": {description: d}}}}`),
			[]string{`payload: {location: "{response.header.Location}"}`}},
		{"an envelope has the resource's name, in the plural too", one("/policies", `{post: {responses: {"201": {description: d, content: {application/json: {schema: {type: object,
			properties: {policies: {type: array, items: {type: object, properties: {id: {type: string}}}}, meta: {type: object}}}}}}}}}`),
			[]string{"each: response.body.policies"}},
		{"what reads like a question waits", one("/paymentMethods", `{post: {summary: Get a list of payment methods, responses: `+okJSON+`}}`),
			[]string{"looks like a question", "#? - on: POST /paymentMethods"}},
		{"what makes something does not", one("/searches", `{post: {summary: Search for years, responses: {"201": {description: d}}}}`),
			[]string{"  - on: POST /searches\n    emit: search.create"}},
		{"an API that is only read has no rules", one("/a", `{get: {responses: `+okJSON+`}}`), []string{"0 rules in force", "\nrules:\n"}},
		{"a stream is never captured", one("/chats", `{post: {responses: {"200": {description: d, content: {text/event-stream: {}}}}}}`),
			[]string{"#? - on: POST /chats", "a stream, which is never captured"}},
		{"a text cannot end its comment", one("/a", `{post: {summary: "x\nrules: []\u2028y\u0085z", responses: `+okJSON+`}}`), []string{"  # x rules: [] y z\n"}},
		{"what no rule can match is left out", one("/a?action=b", `{post: {responses: `+okJSON+`}}`), []string{"# Left out: POST /a?action=b; on: expected a path only"}},
		{"callers are known by what the document says", one("/a", `{post: {responses: `+okJSON+`}}`) +
			"components: {securitySchemes: {a: {type: apiKey, in: query, name: api_key}, b: {type: apiKey, in: header, name: x-key}, c: {type: apiKey, in: cookie, name: sid}}}\n",
			[]string{"- whoami: {get: /me, user: id, credentials: [X-Key, Cookie], query: [api_key]}"}},
		{"what is served elsewhere waits", one("/up", `{servers: [{url: "https://up.example"}], post: {responses: `+okJSON+`}}`) + `  /down: {post: {responses: ` + okJSON + "}}\n  /in: {post: {responses: " + okJSON + "}}\n",
			[]string{"#? - on: POST /up", "at https://up.example", "  - on: POST /down"}},
	}
	for _, c := range cases {
		t.Run(c.promise, func(t *testing.T) {
			got := string(written(t, read(t, c.source)).Source)
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("expected %q in\n%s", want, got)
				}
			}
		})
	}
}

func TestNoTwoOperationsShareAName(t *testing.T) {
	var b strings.Builder
	b.WriteString("openapi: 3.0.0\ninfo: {title: T, version: v}\npaths:\n")
	for _, path := range []string{"/v1/contacts", "/v2/contacts", "/contact", "/contacts", "/api/contacts", "/kontakte/{id}", "/人/{id}", "/{x}", "/{y}", "/Contacts.json"} {
		fmt.Fprintf(&b, "  %s:\n    post: {responses: %s}\n    put: {responses: %s}\n", quote(path), okJSON, okJSON)
	}
	d := read(t, b.String())
	p := newPlanner(d.spec)
	meant := map[string]string{}
	for o, event := range p.events {
		if other, taken := meant[event]; taken && other != meaning(o) {
			t.Errorf("%s stands for %s and %s", event, other, meaning(o))
		}
		meant[event] = meaning(o)
	}
	written(t, d)
}

// manyOperations is a document of n resources with five operations each.
func manyOperations(n int) string {
	var b bytes.Buffer
	b.WriteString("openapi: 3.0.0\ninfo: {title: Many, version: '1'}\npaths:\n")
	item := `{"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}}}`
	for i := range n {
		fmt.Fprintf(&b, "  /kinds%d:\n    post: {summary: Add one, responses: %s}\n", i, item)
		fmt.Fprintf(&b, "  /kinds%d/{id}:\n    get: {responses: %s}\n    put: {responses: %s}\n    patch: {responses: %s}\n    delete: {responses: {'204': {description: gone}}}\n",
			i, item, item, item)
	}
	b.WriteString("components: {schemas: {Thing: {type: object, properties: {id: {type: string}, name: {type: string}, inner: {$ref: '#/components/schemas/Thing'}}}}}\n")
	return b.String()
}

func TestSixHundredOperationsTakeLessThanFiveSeconds(t *testing.T) {
	source, best := manyOperations(120), time.Hour
	for attempt := 0; attempt < 3 && best > 5*time.Second; attempt++ { // the machine may be busy with others
		started := time.Now()
		if w := written(t, read(t, source)); w.Rules != 360 { // PUT and PATCH are one
			t.Errorf("%d rules in force", w.Rules)
		}
		best = min(best, time.Since(started))
	}
	if best > 5*time.Second {
		t.Errorf("600 operations took %s", best)
	}
}

func BenchmarkRules(b *testing.B) {
	source := manyOperations(120)
	b.ReportAllocs()
	for b.Loop() {
		written(b, read(b, source))
	}
}

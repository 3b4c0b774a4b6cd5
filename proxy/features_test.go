package proxy

import (
	"net/http"
	"strings"
	"testing"
)

// features are what an entry of rules.yaml may say, each on its own, for POST
// /contacts/{id}. What each adds to a matched exchange is its figure less that
// of the first.
var features = []struct{ name, options, sections string }{
	{"nothing else", "", ""},
	{"when", "when: {response.body.name: Ann}", ""},
	{"a source", "payload: response.body.owner", ""},
	{"a template", `payload: {id: "{response.body.id}", by: "by {caller.user}"}`, ""},
	{"pick", "pick: [id, owner.id]", ""},
	{"omit", "omit: [owner.id]", ""},
	{"merge", "merge: [request.body, response.body]", ""},
	{"thin", "payload: thin", ""},
	{"each", "each: response.body.lines", ""},
	{"user", "user: response.body.owner.id", ""},
	{"strict", "guarantee: strict", ""},
	{"observe", "mode: observe", ""},
	{"fetch before", "fetch: before", ""},
	{"fetch after", "fetch: after", ""},
	{"changed", "fetch: before, when: {response.body.name: {changed: false}}", ""},
	{"matching", "", "matching: {mount: [/, /api], ignore_case: true, format_suffixes: [.json], method_override: [X-HTTP-Method-Override]}\n"},
}

const benchBody = `{"id":7,"name":"Ann","owner":{"id":5,"name":"Bob"},"lines":[{"id":1},{"id":2}]}`

func featureProxy(b *testing.B, options, sections string, header http.Header, body string) *Proxy {
	source := sections + `rules: [{on: "POST /contacts/{id}", emit: contact.update`
	if options != "" {
		source += ", " + options
	}
	p, err := New(Options{
		Upstream: parse(b, "http://upstream"), Transport: canned{header, []byte(body), false},
		Ruling: Ruling{Rules: rulesOf(b, source+"}]"), Identity: everybodyIs(b, "42")}, Publisher: nowhere{},
	})
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// BenchmarkFeatures shows what each option of a rule adds to an exchange that
// matches, with its allocations, and that one which does not pays for none.
func BenchmarkFeatures(b *testing.B) {
	asJSON := http.Header{"Content-Type": {"application/json"}}
	for _, f := range features {
		b.Run("matched/"+f.name, func(b *testing.B) {
			run(b, featureProxy(b, f.options, f.sections, asJSON, benchBody), http.MethodPost, "/contacts/7")
		})
	}
	for _, f := range features {
		b.Run("unmatched/"+f.name, func(b *testing.B) {
			run(b, featureProxy(b, f.options, f.sections, asJSON, benchBody), http.MethodPost, "/others/7")
		})
	}
}

// BenchmarkBodies shows what reading a body costs by how it is written.
func BenchmarkBodies(b *testing.B) {
	body := `{"id":7,"text":"` + strings.Repeat("hello ", 2000) + `"}`
	for _, coding := range []string{"identity", "gzip", "br", "zstd", "deflate"} {
		b.Run(coding, func(b *testing.B) {
			header := http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {coding}}
			run(b, featureProxy(b, "", "", header, string(encode(b, coding, []byte(body)))), http.MethodPost, "/contacts/7")
		})
	}
	for charset, written := range map[string]string{"utf-8": body, "iso-8859-1": body, "utf-16le": utf16le(body)} {
		b.Run(charset, func(b *testing.B) {
			header := http.Header{"Content-Type": {"application/json; charset=" + charset}}
			run(b, featureProxy(b, "", "", header, written), http.MethodPost, "/contacts/7")
		})
	}
}

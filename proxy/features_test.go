package proxy

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// features are what an entry of rules.yaml may say, each on its own, for POST
// /contacts/{id}. What each adds to a matched exchange is its figure less that
// of the first. docs/rules-cost.md has the figures.
var features = []struct{ name, options, sections string }{
	{"nothing else", "", ""},
	{"when", "when: {response.body.name: Ann}", ""},
	{"payload: a source", "payload: response.body.owner", ""},
	{"payload: a template", `payload: {id: "{response.body.id}", by: "by {caller.user}"}`, ""},
	{"pick", "pick: [id, owner.id]", ""},
	{"omit", "omit: [owner.id]", ""},
	{"merge", "merge: [request.body, response.body]", ""},
	{"payload: thin", "payload: thin", ""},
	{"each, of two items", "each: response.body.lines", ""},
	{"user", "user: response.body.owner.id", ""},
	{"resource", "resource: response.body.owner.id", ""},
	{"guarantee: strict", "guarantee: strict", ""},
	{"mode: observe", "mode: observe", ""},
	{"fetch: before", "fetch: before", ""},
	{"fetch: after", "fetch: after", ""},
	{"fetch: later", "fetch: later", ""},
	{"when: changed", "fetch: before, when: {response.body.name: {changed: false}}", ""},
	{"matching, all of it", "", "matching: {mount: [/, /api], ignore_case: true, format_suffixes: [.json], method_override: [X-HTTP-Method-Override]}\n"},
	{"matching: strip", "", "matching: {mount: [/, /api], strip: true}\n"},
}

const benchBody = `{"id":7,"name":"Ann","owner":{"id":5,"name":"Bob"},"lines":[{"id":1},{"id":2}]}`

func ruleWith(options, sections string) string {
	if options != "" {
		options = ", " + options
	}
	return sections + `rules: [{on: "POST /contacts/{id}", emit: contact.update` + options + "}]"
}

func featureProxy(t testing.TB, source string, answer canned, to Publisher) *Proxy {
	t.Helper()
	p, err := New(Options{
		Upstream: parse(t, "http://upstream"), Transport: answer, Publisher: to,
		Ruling: Ruling{Rules: rulesOf(t, source), Identity: everybodyIs(t, "42")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var jsonAnswer = canned{http.Header{"Content-Type": {"application/json"}}, []byte(benchBody), false}

// repeating answers what sends the same POST again and again, and waits for what
// is fetched behind its response.
func repeating(t testing.TB, p *Proxy, path string) func() {
	t.Helper()
	body := bytes.NewReader([]byte(`{"name":"Ann","note":"hello"}`))
	r := httptest.NewRequest(http.MethodPost, path, body)
	r.Header.Set("Content-Type", "application/json")
	ctx, cancel := context.WithCancel(t.Context()) // as net/http has it
	t.Cleanup(cancel)
	r = r.WithContext(ctx)
	r.Body = io.NopCloser(body)
	w := &discard{h: http.Header{}}
	return func() {
		_, _ = body.Seek(0, io.SeekStart)
		clear(w.h)
		p.ServeHTTP(w, r)
		p.exchanges.Wait()
	}
}

// BenchmarkFeatures shows what each option of a rule adds to an exchange that
// matches, with its allocations, and that one which does not pays for none.
func BenchmarkFeatures(b *testing.B) {
	for _, path := range []string{"/contacts/7", "/others/7"} {
		for _, f := range features {
			b.Run(map[string]string{"/contacts/7": "matched/", "/others/7": "unmatched/"}[path]+f.name, func(b *testing.B) {
				send := repeating(b, featureProxy(b, ruleWith(f.options, f.sections), jsonAnswer, nowhere{}), path)
				send() // fills pools
				b.ReportAllocs()
				before := cpu(b)
				for b.Loop() {
					send()
				}
				b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// The figures would be of nothing if an option had no effect, or failed.
func TestTheFeaturesOfTheBenchmarkMakeEvents(t *testing.T) {
	for _, f := range features {
		p := newPublisher()
		proxy := featureProxy(t, ruleWith(f.options, f.sections), jsonAnswer, p)
		repeating(t, proxy, "/contacts/7")()
		if f.name == "mode: observe" {
			if got := counted(t, proxy.metrics.events); got != "observed:" {
				t.Errorf("%s: %s", f.name, got)
			}
			continue
		}
		for _, e := range receive(t, p.batches) {
			if e.Payload == nil || e.Parked != "" || e.User == "" {
				t.Errorf("%s: %s", f.name, showEvent(e))
			}
		}
	}
}

// What a rule costs, only its own exchanges pay for.
func TestAnUnmatchedExchangePaysForNoFeature(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool forgets at random under the race detector")
	}
	const runs = 500
	allocations := func(source string) float64 {
		send := repeating(t, featureProxy(t, source, jsonAnswer, nowhere{}), "/others/7")
		send() // fills pools, and the report of unmatched routes
		return testing.AllocsPerRun(runs, send)
	}
	none := allocations("mode: publish")
	matched := testing.AllocsPerRun(runs, repeating(t, featureProxy(t, ruleWith("", ""), jsonAnswer, nowhere{}), "/contacts/7"))
	if matched <= none {
		t.Errorf("a matched exchange allocates %v times, one without rules %v: what is measured is not what matches", matched, none)
	}
	for _, f := range features {
		if got := allocations(ruleWith(f.options, f.sections)); got != none {
			t.Errorf("%s: an unmatched exchange allocates %v times, and %v without rules", f.name, got, none)
		}
	}
}

// BenchmarkBodies shows what reading a body costs by how it is written.
func BenchmarkBodies(b *testing.B) {
	body := `{"id":7,"text":"` + strings.Repeat("hello ", 2000) + `"}`
	for _, coding := range []string{"identity", "gzip", "br", "zstd", "deflate"} {
		b.Run(coding, func(b *testing.B) {
			header := http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {coding}}
			run(b, featureProxy(b, ruleWith("", ""), canned{header, encode(b, coding, []byte(body)), false}, nowhere{}), http.MethodPost, "/contacts/7")
		})
	}
	for charset, written := range map[string]string{"utf-8": body, "iso-8859-1": body, "utf-16le": utf16le(body)} {
		b.Run(charset, func(b *testing.B) {
			header := http.Header{"Content-Type": {"application/json; charset=" + charset}}
			run(b, featureProxy(b, ruleWith("", ""), canned{header, []byte(written), false}, nowhere{}), http.MethodPost, "/contacts/7")
		})
	}
}

package rules

import (
	"fmt"
	"strings"
	"testing"
)

// ruleOn answers a file with one rule for POST /contacts/{c} and these options.
func ruleOn(t testing.TB, options string) *File {
	t.Helper()
	return parsed(t, "rules:\n  - on: POST /contacts/{c}\n    emit: a.b\n    "+strings.ReplaceAll(options, "\n", "\n    "))
}

// posted is an exchange for ruleOn.
func posted(status int, body string, fns ...func(*Exchange)) *Exchange {
	return answer(status, js, body, append([]func(*Exchange){to("POST", "/contacts/7")}, fns...)...)
}

func query(raw string) func(*Exchange) { return func(x *Exchange) { x.RawQuery = raw } }

// comparisons are conditions, answers, and whether the ones hold for the others.
var comparisons = []struct {
	when, body string
	holds      bool
}{
	{"response.body.x: won", `{"x":"won"}`, true},
	{"response.body.x: won", `{"x":"w\u006fn"}`, true},
	{"response.body.x: won", `{"x":["won"]}`, false},
	{"response.body.x: 1", `{"x":1}`, true},
	{"response.body.x: 1", `{"x":1.0}`, true},
	{"response.body.x: 1", `{"x":1e0}`, true},
	{"response.body.x: 1", `{"x":"1"}`, false},
	{`response.body.x: "1"`, `{"x":1}`, false},
	{"response.body.x: 9007199254740993", `{"x":9007199254740992}`, false},
	{"response.body.x: 0x10", `{"x":16}`, true},
	{"response.body.x: -0.5", `{"x":-5e-1}`, true},
	{"response.body.x: true", `{"x":true}`, true},
	{"response.body.x: true", `{"x":"true"}`, false},
	{"response.body.x: false", `{"x":true}`, false},
	{"response.body.x: null", `{"x":null}`, true},
	{"response.body.x: null", `{}`, false},
	{"response.body.x: 2024-01-01", `{"x":"2024-01-01"}`, true},
	{"response.body.x: [a, 2, null]", `{"x":2}`, true},
	{"response.body.x: [a, 2, null]", `{"x":null}`, true},
	{"response.body.x: [a, 2]", `{"x":3}`, false},
	{"response.body.x: {not: a}", `{"x":"b"}`, true},
	{"response.body.x: {not: a}", `{}`, true},
	{"response.body.x: {not: [a, b]}", `{"x":"b"}`, false},
	{"response.body.x: {not: {matches: '^a'}}", `{"x":"ba"}`, true},
	{"response.body.x: {exists: true}", `{"x":null}`, true},
	{"response.body.x: {exists: true}", `{}`, false},
	{"response.body.x: {exists: false}", `{}`, true},
	{"response.body.x: {matches: '^D-[0-9]+$'}", `{"x":"D-12"}`, true},
	{"response.body.x: {matches: '1'}", `{"x":1}`, false},
	{"response.body.x: {matches: a, not: abc}", `{"x":"abc"}`, false},
	{"response.body.x: {matches: a, not: abc}", `{"x":"abd"}`, true},
	{"response.body.l.1.sku: b", `{"l":[{"sku":"a"},{"sku":"b"}]}`, true},
	{"response.body.l.2.sku: b", `{"l":[{"sku":"a"}]}`, false},
	{"response.body.l.-1: b", `{"l":["b"]}`, false},
	{`response.body.odata\.id: b`, `{"odata.id":"b"}`, true},
	{`response.body.\@id: b`, `{"@id":"b"}`, true},
	{"response.body.x.y: b", `{"x":"b"}`, false},
	{"response.body.x: b", `{"x":"a","x":"b"}`, true}, // the last counts
	{"response.status: [200, 201]", `{}`, true},
	{"response.status: 200", `{}`, false},
	{"path.c: '7'", `{}`, true},
	{"caller.user: ['42', '43']", `{}`, true},
	{"query.q: a b", `{}`, true},
	{"query.none: {exists: false}", `{}`, true},
	{"request.header.x-mode: {exists: true}", `{}`, true},
	{"request.body.stage: won", `{}`, true},
	{"{response.body.x: 1, response.body.y: 2}", `{"x":1,"y":3}`, false},
	{"{response.body.x: 1, response.body.y: 2}", `{"x":1,"y":2}`, true},
}

func TestConditionsCompareAsJSON(t *testing.T) {
	for _, c := range comparisons {
		when := c.when
		if !strings.HasPrefix(when, "{") {
			when = "\n  " + when
		}
		file := ruleOn(t, "when: "+when)
		x := posted(201, c.body, query("q=a+b&q=c&bad=%zz"), asked("application/json", `{"stage":"won"}`))
		x.RequestHeader.Set("X-Mode", "1")
		want := "skipped:when"
		if c.holds {
			want = "a.b 42/7 " + c.body
		}
		if got := shown(file, x); got != want {
			t.Errorf("%s with %s: got %s, want %s", c.when, c.body, got, want)
		}
	}
}

func TestAConditionThatCannotBeJudgedParksTheEvent(t *testing.T) {
	file := ruleOn(t, "when: {response.body.x: 1, query.q: yes}")
	for _, c := range []struct {
		x    *Exchange
		want string
	}{
		{posted(200, "", omitted("too_large"), query("q=yes")), "a.b 42/7 omitted:too_large parked:when_unknown"},
		{posted(200, "", omitted("too_large"), query("q=no")), "skipped:when"},
		{posted(200, `{"x":`, query("q=yes")), "a.b 42/7 omitted:not_json parked:when_unknown"},
		{posted(204, "", query("q=yes")), "skipped:when"},
	} {
		if got := shown(file, c.x); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	onRequest := ruleOn(t, "when: {request.body.x: 1}")
	lost := func(x *Exchange) { x.RequestOmitted = "too_large" }
	for _, c := range []struct {
		x    *Exchange
		want string
	}{
		{posted(200, `{}`, lost), "a.b 42/7 {} parked:when_unknown"},
		{posted(200, `{}`), "skipped:when"},
		{posted(200, `{}`, asked("application/x-www-form-urlencoded", "x=1")), "skipped:when"},
		{posted(200, `{}`, asked("application/json", "{\"x\":1}")), "a.b 42/7 {}"},
	} {
		if got := shown(onRequest, c.x); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func TestTheOwnerIsATextOrAWholeNumberOrTheEventIsParked(t *testing.T) {
	file := ruleOn(t, "user: response.body.o.id")
	for body, want := range map[string]string{
		`{"o":{"id":43}}`:                                 "43",
		`{"o":{"id":"ann"}}`:                              "ann",
		`{"o":{"id":12345678901234567890}}`:               "12345678901234567890",
		`{"o":{"id":""}}`:                                 ParkedUserUnknown,
		`{"o":{"id":null}}`:                               ParkedUserUnknown,
		`{"o":{"id":1.5}}`:                                ParkedUserUnknown,
		`{"o":{"id":true}}`:                               ParkedUserUnknown,
		`{"o":{"id":[43]}}`:                               ParkedUserUnknown,
		`{"o":{"id":"\ud800"}}`:                           ParkedUserUnknown,
		`{"o":{"id":"` + strings.Repeat("x", 513) + `"}}`: ParkedUserUnknown,
		`{}`:                          ParkedUserUnknown,
		`{"o":{"id":1,"id":2}}`:       ParkedUserAmbiguous,
		`{"o":{"id":1,"i\u0064":1}}`:  ParkedUserAmbiguous,
		`{"o":{"id":1},"o":{"id":1}}`: ParkedUserAmbiguous,
		`{"o":{"id":1},"x":{"id":2},"id":3,"o2":[{}]}`: "1",
	} {
		ev := file.Match("POST", "/contacts/7").Derive(posted(201, body))[0].Event
		if got := ev.User + ev.Parked; got != want || ev.User != "" && ev.Parked != "" {
			t.Errorf("%.60s: got user %q parked %q, want %s", body, ev.User, ev.Parked, want)
		}
		if string(ev.Payload) != body {
			t.Errorf("a parked event lost its payload: %s", ev.Payload)
		}
	}
}

func TestTheOwnerComesFromWhereTheRuleSays(t *testing.T) {
	for user, want := range map[string]string{
		"caller": "42", "caller.user": "42", "path.c": "7", "{fixed: 9}": "9", "{fixed: all}": "all",
		"response.header.X-Owner": "h",
	} {
		x := posted(204, "")
		x.ResponseHeader.Set("X-Owner", "h")
		file := ruleOn(t, "user: "+user)
		if got := file.Match("POST", "/contacts/7").Derive(x)[0].Event.User; got != want {
			t.Errorf("%s: got %q, want %q", user, got, want)
		}
	}
}

func TestAPayloadIsASourceOrATemplate(t *testing.T) {
	body := `{"id": 1, "n": 1.50, "s":"a\"\u003c", "deep": {"x": [1, {"y":null}]}, "z":null}`
	for _, c := range []struct{ payload, want string }{
		{"response.body", body},
		{"response.body.deep", `{"x": [1, {"y":null}]}`},
		{"response.body.deep.x.1", `{"y":null}`},
		{"response.body.z", "null"},
		{"response.body.n", "1.50"},
		{"response.body.none", "omitted:missing"},
		{"request.body", `{"stage":"won"}`},
		{"path.c", `"7"`},
		{`{}`, `{}`},
		{`{n: "{response.body.n}", s: "{response.body.s}", none: "{response.body.none}"}`, `{"n":1.50,"s":"a\"\u003c","none":null}`},
		{`{t: "<{response.body.s}> {response.body.n} {response.body.none}{response.body.deep.x.1}", "a b": "{{x}}"}`, `{"t":"<a\"<> 1.50 {\"y\":null}","a b":"{x}"}`},
		{`{list: [1, 0x10, 1.0, true, null, x, {y: "{path.c}"}], big: 12345678901234567890123}`, `{"list":[1,16,1.0,true,null,"x",{"y":"7"}],"big":12345678901234567890123}`},
		{`{status: "{response.status}", by: "{caller.user}", q: "{query.q}", whole: "{response.body}"}`, `{"status":201,"by":"42","q":"ü","whole":` + body + `}`},
	} {
		want := "a.b 42/7 " + c.want
		x := posted(201, body, query("q=%C3%BC"), asked("application/json", `{"stage":"won"}`))
		if got := shown(ruleOn(t, "payload: "+c.payload), x); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.payload, got, want)
		}
	}
}

func TestATemplateThatReadsWhatNobodyKnowsLeavesNoPayload(t *testing.T) {
	file := ruleOn(t, `payload: {n: "x {response.body.n}", by: "{caller.user}"}`)
	for _, c := range []struct {
		x    *Exchange
		want string
	}{
		{posted(200, "", omitted("budget")), "a.b 42/7 omitted:budget"},
		{posted(204, ""), `a.b 42/7 {"n":"x ","by":"42"}`},
		{posted(204, "", func(x *Exchange) { x.Caller = "" }), "a.b /7 omitted:caller_unknown parked:user_unknown"},
	} {
		if got := shown(file, c.x); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func TestEachItemIsAnEventOfItsOwn(t *testing.T) {
	file := ruleOn(t, "each: response.body.rows\nwhen: {item.ok: true}\nuser: item.owner")
	many := func(n int) string { return `{"rows":[` + strings.Repeat(`{"ok":true},`, n-1) + `{"ok":true}]}` }
	for _, c := range []struct{ body, want string }{
		{`{"id":9,"rows":[{"id":1, "ok":true,"owner":5},{"id":2},{"ok":true,"id":3}]}`,
			`a.b 5/1 {"id":1, "ok":true,"owner":5}; skipped:when; a.b /3 {"ok":true,"id":3} parked:user_unknown`},
		{`{"rows":[]}`, "skipped:no_items"},
		{`{"rows":{}}`, "skipped:no_items"},
		{`{}`, "skipped:no_items"},
		{`{"rows":`, "a.b / omitted:not_json parked:items_unknown"},
		{`[1]`, "skipped:no_items"},
		{many(MaxItems + 1), "a.b / omitted:too_many_items parked:too_many_items"},
	} {
		if got := shown(file, posted(200, c.body)); got != c.want {
			t.Errorf("%.80s:\ngot  %s\nwant %s", c.body, got, c.want)
		}
	}
	results := file.Match("POST", "/contacts/7").Derive(posted(207, many(MaxItems)))
	if len(results) != MaxItems || results[MaxItems-1].Item != MaxItems-1 {
		t.Errorf("%d results", len(results))
	}
	top := ruleOn(t, "each: response.body\npayload: item.data\nuser: path.c")
	want := `a.b 7/x {"id":"x"}; a.b 7/2 3; a.b 7/ omitted:missing parked:resource_unknown`
	if got := shown(top, posted(207, `[{"id":1,"data":{"id":"x"}},{"id":2,"data":3},{}]`)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAllMatchingRulesApplyInFileOrder(t *testing.T) {
	file := parsed(t, `
rules:
  - {on: "PATCH /{kind:deal|contact}s/{id}", emit: "{path.kind}.touch", payload: {}}
resources: {deal: /deals}
`)
	x := answer(200, js, `{"id":7}`, to("PATCH", "/deals/7"))
	want := `deal.touch 42/7 {}; deal.update 42/7 {"id":7}`
	if got := shown(file, x); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// imported is a body of some size with so many items, and what they share.
func imported(items, size int) string {
	var b strings.Builder
	b.WriteString(`{"rows":[`)
	for i := range items {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"x":%q}`, i, strings.Repeat("x", size/items))
	}
	b.WriteString(`],"account":"42"}`)
	return b.String()
}

func TestItemsThatRepeatTheWholeBodyDoNotMultiplyIt(t *testing.T) {
	file := ruleOn(t, "each: response.body.rows\npayload: {item: '{item.id}', all: '{response.body}'}")
	x := posted(200, imported(300, 1<<20))
	total, whole, omitted := 0, 0, 0
	for _, r := range file.Match("POST", "/contacts/7").Derive(x) {
		total += len(r.Event.Payload)
		switch {
		case r.Event.Omitted == OmittedTooLarge && r.Event.Resource != "":
			omitted++
		case r.Event.Payload != nil:
			whole++
		}
	}
	if total > maxRendered+2<<20 || whole == 0 || whole+omitted != 300 {
		t.Errorf("%d bytes in %d events, %d without data; want at most %d, and 300 events in all", total, whole, omitted, maxRendered)
	}
}

func BenchmarkDerive(b *testing.B) {
	file := parsed(b, "resources: {contact: /contacts}")
	for _, size := range []int{512, 64 << 10} {
		item := `{"name":"Ann","mail":"ann@example.org","n":1}`
		body := `{"id":1,"rows":[` + strings.Repeat(item+",", size/len(item)) + item + `]}`
		x := answer(201, js, body)
		m := file.Match("POST", "/contacts")
		b.Run(fmt.Sprintf("%d_bytes", size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				m.Derive(x)
			}
		})
	}
}

// BenchmarkEach shows what a source that all items share costs beside one of
// each item's own.
func BenchmarkEach(b *testing.B) {
	x := posted(200, imported(1000, 1<<20))
	for name, options := range map[string]string{
		"own":    "each: response.body.rows\nuser: item.id",
		"shared": "each: response.body.rows\nuser: response.body.account",
	} {
		b.Run(name, func(b *testing.B) {
			match := ruleOn(b, options).Match("POST", "/contacts/7")
			b.ReportAllocs()
			for b.Loop() {
				match.Derive(x)
			}
		})
	}
}

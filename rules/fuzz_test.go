package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// FuzzParse: any bytes are a File or Mistakes with positions, never a panic.
func FuzzParse(f *testing.F) {
	source, _ := example(f, func(int) bool { return true })
	f.Add([]byte(source))
	for _, refusal := range refusals {
		if len(refusal.source) < 1000 {
			f.Add([]byte(refusal.source))
		}
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		file, err := Parse("r", source)
		if err == nil {
			file.Table(io.Discard)
			if err := validate(t, string(source)); err != nil {
				t.Errorf("the schema refuses what Parse takes: %v", err)
			}
			for _, name := range file.Events() {
				if !eventName.MatchString(name) {
					t.Errorf("event %q", name)
				}
			}
			return
		}
		var mistakes Mistakes
		if !errors.As(err, &mistakes) || file != nil {
			t.Fatalf("%T, %v", err, file)
		}
		for _, m := range mistakes {
			if m.Line < 1 || m.Column < 1 || m.Message == "" || strings.Contains(m.Message, "\n") {
				t.Errorf("%+v", m)
			}
		}
	})
}

// naive answers the expression of a template, made without the index's parts,
// or nil for one that is not UTF-8 once decoded: regexp cannot say that.
func naive(t *testing.T, written string) *regexp.Regexp {
	parts, err := splitTemplate(written)
	if err != nil {
		t.Fatal(err)
	}
	expression, spans := "", false
	for _, raw := range parts {
		ps, err := parsePieces(raw)
		if err != nil {
			t.Fatal(err)
		}
		spans = spans || ps.span()
		// Segments end with a NUL here, as a decoded "/" is data before the first
		// parameter that spans; from there on both are "/".
		if !spans {
			expression += ps.expression(`[^\x00]+`) + `\x00`
		} else {
			expression += ps.expression(`[^/]+`) + "/"
		}
	}
	if spans {
		expression = strings.TrimSuffix(expression, "/")
	}
	if !utf8.ValidString(expression) {
		return nil
	}
	return regexp.MustCompile("^" + expression + "$")
}

// scan answers which rules match by trying each on its own.
func scan(t *testing.T, file *File, method, path string) []*Rule {
	segments := Canonical(path)
	var found []*Rule
	for _, rule := range file.Rules {
		fixed := len(rule.template.segments)
		if rule.Method != method || len(segments) < fixed || rule.template.tail == nil && len(segments) > fixed {
			continue
		}
		text := ""
		for _, s := range segments[:fixed] {
			text += s + "\x00"
		}
		if naive(t, rule.Path).MatchString(text + strings.Join(segments[fixed:], "/")) {
			found = append(found, rule)
		}
	}
	return found
}

// FuzzMatch: the index finds exactly the rules that a scan over all finds.
func FuzzMatch(f *testing.F) {
	for _, templates := range []string{
		"/contacts\n/contacts/{id}\n/contacts/{id:[0-9]+}\n/contacts/{id}.json\n/contacts/me",
		"/{kind:a|b}/x\n/{kind:b|c}/x\n/a/x\n/{any}/x\n/{all:.+}\n/a/{rest:.+}/x",
		"/v2/{name:.+}/manifests/{ref}\n/a%20b/{x}-{y}",
	} {
		for _, path := range []string{"/contacts/7.json", "/a/x", "/b/x/", "/v2/a/b/manifests/c", "/a%20b/1-2-3", "/..//a/%2e/x", "/a%2Fx"} {
			f.Add(templates, path)
		}
	}
	f.Add("/0/{0:0$}\n/0{0:.}", "0/0")
	f.Fuzz(func(t *testing.T, templates, path string) {
		if strings.ContainsRune(path, 0) || strings.Contains(path, "%00") || len(path) > 500 || len(templates) > 500 {
			t.Skip() // NUL is the scan's own separator
		}
		file := &File{}
		for i, written := range strings.Split(templates, "\n") {
			if template, err := parseTemplate(written); err == nil && !strings.Contains(written, "(?") && naive(t, written) != nil {
				file.Rules = append(file.Rules, &Rule{
					Method: "POST", Path: written, Events: []string{fmt.Sprintf("e.%d", i)},
					options: &options{}, template: template, order: i,
				})
			}
		}
		file.index = newIndex(file.Rules)
		var got []*Rule
		if m := file.Match("POST", path); m != nil {
			got = m.Rules()
			for _, h := range m.hits {
				if len(h.params) != len(h.rule.template.names) || slices.Contains(h.params, "") {
					t.Errorf("%s with %q: %q for %q", h.rule.Path, path, h.params, h.rule.template.names)
				}
			}
		}
		if want := scan(t, file, "POST", path); !slices.Equal(got, want) {
			t.Errorf("%q against %q: index %v, scan %v", path, templates, paths(got), paths(want))
		}
	})
}

func paths(rules []*Rule) []string {
	var all []string
	for _, r := range rules {
		all = append(all, r.Path)
	}
	return all
}

// FuzzDerive: whatever a server answers, payloads are JSON without the listed
// keys, and no event lacks both a payload and the reason.
func FuzzDerive(f *testing.F) {
	for _, body := range []string{`{"id":1,"token":2}`, `[{"password":"x","a":[{"jwt":1}]}]`, `{"rows":[{"id":1},2]}`, "\xef\xbb\xbf{}", `{"id":`, `{"u":1,"u":2}`} {
		f.Add(body, "application/json", "/x/1", 201)
		f.Add(body, "text/html; charset=latin1", "", 200)
	}
	file := parsed(f, `
resources: {contact: /contacts}
rules:
  - {on: POST /contacts, emit: a.b, payload: {all: "{response.body}", t: "{response.body.u} x"}, user: response.body.u}
  - {on: POST /contacts, emit: a.each, each: response.body.rows, when: {item.id: {exists: true}}}
  - {on: POST /contacts, emit: a.pick, pick: [id, rows.id], omit: [a.x]}
  - {on: POST /contacts, emit: a.merge, merge: [response.body, request.body, response.body.rows.0]}
  - {on: POST /contacts, emit: a.thin, payload: thin, status: [200, 201, 202, 207, 303]}
  - {on: POST /contacts, emit: a.fetch, fetch: {before: /contacts/me, later: "/contacts/{response.body.u}"}, when: {fetched.u: {changed: false}}}
`)
	f.Fuzz(func(t *testing.T, body, media, location string, status int) {
		x := answer(status, media, body, located(location), asked(media, body))
		m := file.Match("POST", "/contacts")
		x.Previous, x.Fetched = map[string]Document{"/contacts/me": {Body: []byte(body)}}, make(map[string]Document)
		for _, fetch := range m.FetchAfter(x) {
			if !strings.HasPrefix(fetch.Target, "/contacts/") || strings.Count(fetch.Target, "/") != 2 || strings.HasSuffix(fetch.Target, "/..") {
				t.Errorf("%s leads to %q", body, fetch.Target)
			}
			x.Fetched[fetch.Target] = Document{Body: []byte(body)}
		}
		for _, r := range m.Derive(x) {
			if r.Skipped != "" {
				continue
			}
			ev := r.Event
			if (ev.Payload == nil) == (ev.Omitted == "") {
				t.Errorf("payload %q, omitted %q", ev.Payload, ev.Omitted)
			}
			if (ev.User == "") != (ev.Parked == ParkedUserUnknown || ev.Parked == ParkedUserAmbiguous) && ev.Parked != ParkedItemsUnknown && ev.Parked != ParkedTooManyItems {
				t.Errorf("user %q, parked %q", ev.User, ev.Parked)
			}
			if ev.Payload != nil && (!json.Valid(ev.Payload) || secretKeysIn(decoded(t, ev.Payload))) {
				t.Errorf("payload %s", ev.Payload)
			}
		}
		if b := readBody(x.ResponseHeader, []byte(body)); b.raw != nil && !json.Valid(b.raw) {
			t.Errorf("taken for JSON: %q", body)
		}
	})
}

// FuzzJSONPath: a path that is accepted finds what gjson finds, which reads the
// same text for whoami.
func FuzzJSONPath(f *testing.F) {
	f.Add("a.b.0", `{"a":{"b":[1]}}`)
	f.Add(`a\.b`, `{"a.b":1}`)
	f.Add("a", `{"\u0061":[]}`)
	f.Add("0", `"[0"`) // gjson finds something there
	f.Add("a.00", `{"a":[1]}`)
	f.Fuzz(func(t *testing.T, path, raw string) {
		parsed, err := parseJSONPath(path)
		root := gjson.Parse(raw)
		if err != nil || !gjson.Valid(raw) || nesting([]byte(raw)) > maxNesting || !root.IsObject() && !root.IsArray() {
			t.Skip() // gjson looks for members inside a text, too
		}
		got, ambiguous := parsed.find(gjson.Parse(raw))
		if want := gjson.Get(raw, path); !ambiguous && (got.Exists() != want.Exists() || got.Raw != want.Raw) {
			t.Errorf("%q in %q: got %q, gjson %q", path, raw, got.Raw, want.Raw)
		}
	})
}

// FuzzText: a text that is accepted says the same when its parts are written out
// again, and its sources are written as the schema says.
func FuzzText(f *testing.F) {
	for _, written := range []string{"Deal {path.id} of {caller.user}", "{{}}{item}", "{response.body.a\\.b.0}", "{query.x}}}", "{request.header.X-A}{fetched.é}"} {
		f.Add(written)
	}
	described := regexp.MustCompile(allPlaces.pattern())
	braces := strings.NewReplacer("{", "{{", "}", "}}")
	f.Fuzz(func(t *testing.T, written string) {
		parsed, err := parseText(written)
		if err != nil {
			return
		}
		again := ""
		for _, part := range parsed {
			if part.source == nil {
				again += braces.Replace(part.literal)
				continue
			}
			again += "{" + part.source.text + "}"
			if utf8.ValidString(part.source.text) && !described.MatchString(part.source.text) {
				t.Errorf("the schema refuses %q", part.source.text)
			}
		}
		if twice, err := parseText(again); err != nil || !reflect.DeepEqual(parsed, twice) {
			t.Errorf("%q became %q: %v, %v", written, again, twice, err)
		}
	})
}

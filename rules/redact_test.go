package rules

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestSecretLikeKeysAreCutOutAndNothingElseChanges(t *testing.T) {
	for _, c := range []struct{ raw, want, found string }{
		{`{"token":1}`, `{}`, "token"},
		{`{ "token" : {"a":[1,"}"]} }`, `{  }`, "token"},
		{`{"a":1,"token":2}`, `{"a":1}`, "token"},
		{`{"token":2, "a" : 1}`, `{"a" : 1}`, "token"},
		{`{"a":1 , "token":2 ,"b":3}`, `{"a":1 ,"b":3}`, "token"},
		{`{"secret":0,"token":1,"a":2,"PassWord":[],"cvv":{}, "b":3,"jwt":"\""}`, `{"a":2, "b":3}`, "secret token PassWord cvv jwt"},
		{"{\n  \"a\": 1,\n  \"api_key\": \"x\"\n}", "{\n  \"a\": 1\n}", "api_key"},
		{`{"pass\u0077ord":1,"a":2}`, `{"a":2}`, "password"},
		{`[{"token":1,"x":1.0},{"token":2}, [{"token":null}]]`, `[{"x":1.0},{}, [{}]]`, "#.token #.#.token"},
		{`{"u":{"token":"}","n":12345678901234567890},"a":[]}`, `{"u":{"n":12345678901234567890},"a":[]}`, "u.token"},
		{`{"x":1,"x":2,"token":3,"token":4}`, `{"x":1,"x":2}`, "token"},
		{`{"tokens":1,"my_token":2,"token ":3,"":4}`, `{"tokens":1,"my_token":2,"token ":3,"":4}`, ""},
		{`{"a":"token"}`, `{"a":"token"}`, ""},
		{`"token"`, `"token"`, ""},
		{` 12 `, ` 12 `, ""},
		{`{"k\"":{"a\u002eb":{"token":1}}}`, `{"k\"":{"a\u002eb":{}}}`, `k".a.b.token`},
	} {
		got, found := redact([]byte(c.raw), nil, view{})
		if string(got) != c.want || strings.Join(found, " ") != c.found {
			t.Errorf("%s\ngot  %s %v\nwant %s %s", c.raw, got, found, c.want, c.found)
		}
	}
}

func TestNothingToRedactIsTheSameBytes(t *testing.T) {
	raw := []byte(`{"a":[1,2,{"b":"c"}]}`)
	got, _ := redact(raw, nil, view{})
	if &got[0] != &raw[0] {
		t.Error("copied")
	}
}

func TestARuleKeepsTheSecretsItNames(t *testing.T) {
	body := `{"id":1,"Token":"t","password":"p","rows":[{"token":2,"secret":3}]}`
	plain := ruleOn(t, "status: 201").Match("POST", "/contacts/7").Derive(posted(201, body))[0].Event
	if diff := cmp.Diff([]string{"Token", "password", "rows.#.token", "rows.#.secret"}, plain.Redacted); diff != "" {
		t.Error(diff)
	}
	keeping := ruleOn(t, "keep: [TOKEN]").Match("POST", "/contacts/7").Derive(posted(201, body))[0].Event
	if want := `{"id":1,"Token":"t","rows":[{"token":2}]}`; string(keeping.Payload) != want {
		t.Errorf("got %s", keeping.Payload)
	}
	if diff := cmp.Diff([]string{"password", "rows.#.secret"}, keeping.Redacted); diff != "" {
		t.Error(diff)
	}
	template := ruleOn(t, `payload: {all: "{response.body}"}`).Match("POST", "/contacts/7").Derive(posted(201, body))[0].Event
	if want := `{"all":{"id":1,"rows":[{}]}}`; string(template.Payload) != want {
		t.Errorf("got %s", template.Payload)
	}
}

func TestAnEventNamesABoundedNumberOfSecrets(t *testing.T) {
	var b strings.Builder
	for i := range 500 {
		b.WriteString(`{"k` + strings.Repeat("x", i) + `":{"token":1}},`)
	}
	got, found := redact([]byte("["+b.String()+"0]"), nil, view{})
	if len(found) != maxRedacted || len(strings.Join(found, "")) > maxRedacted*(maxRedactedPath+100) || bytes.Contains(got, []byte("token")) {
		t.Errorf("%d named", len(found))
	}
}

func TestAPathToASecretIsShortenedWhereItIsLong(t *testing.T) {
	deep := strings.Repeat(`{"key":`, 900) + `{"token":1}` + strings.Repeat("}", 900)
	_, found := redact([]byte(deep), nil, view{})
	if len(found) != 1 || len(found[0]) > maxRedactedPath+20 || !strings.HasSuffix(found[0], ".….token") {
		t.Errorf("got %q", found)
	}
	_, found = redact([]byte(`{"`+strings.Repeat("k", 1000)+`":{"token":1}}`), nil, view{})
	if diff := cmp.Diff([]string{"….token"}, found); diff != "" {
		t.Error(diff)
	}
}

// secretKeysIn answers whether decoded JSON has a listed key anywhere.
func secretKeysIn(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			if isSecret(key) || secretKeysIn(inner) {
				return true
			}
		}
	case []any:
		for _, inner := range value {
			if secretKeysIn(inner) {
				return true
			}
		}
	}
	return false
}

// without answers decoded JSON without the listed keys: what redact does, the
// slow way.
func without(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			if value[key] = without(inner); isSecret(key) {
				delete(value, key)
			}
		}
	case []any:
		for i, inner := range value {
			value[i] = without(inner)
		}
	}
	return value
}

func decoded(t interface{ Fatalf(string, ...any) }, raw []byte) any {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, raw)
	}
	return value
}

// anyJSON draws JSON with odd spacing, duplicate keys, escapes and secrets.
func anyJSON(t *rapid.T, depth int) string {
	space := rapid.SampledFrom([]string{"", "", " ", "\n\t"})
	ws := func() string { return space.Draw(t, "space") }
	kind := rapid.IntRange(0, 4).Draw(t, "kind")
	if depth == 0 {
		kind = 0
	}
	var parts []string
	switch kind {
	case 0, 1:
		return rapid.SampledFrom([]string{`1`, `-1.50e+9`, `"tok\"en"`, `"}\\"`, `true`, `null`, `{}`, `[]`, `{ }`}).Draw(t, "scalar")
	case 2:
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			parts = append(parts, ws()+anyJSON(t, depth-1)+ws())
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	key := rapid.SampledFrom([]string{`"a"`, `"b"`, `"token"`, `"TOKEN"`, `"pass\u0077ord"`, `"\u0073ecret"`, `"a\"b"`, `"\\"`})
	for range rapid.IntRange(1, 5).Draw(t, "members") {
		parts = append(parts, ws()+key.Draw(t, "key")+ws()+":"+ws()+anyJSON(t, depth-1)+ws())
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func TestRedactionEqualsRemovingKeysFromTheDecodedValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := []byte(anyJSON(t, 4))
		got, found := redact(raw, nil, view{})
		value := decoded(t, raw)
		if secretKeysIn(value) && len(found) == 0 {
			t.Fatalf("found nothing in %s", raw)
		}
		if diff := cmp.Diff(without(value), decoded(t, got)); diff != "" {
			t.Fatalf("%s became %s:\n%s", raw, got, diff)
		}
	})
}

func TestEveryKeyOnTheListIsLeftOut(t *testing.T) {
	for _, key := range SecretKeys() {
		for _, spelt := range []string{key, strings.ToUpper(key)} {
			got, found := redact([]byte(`{"`+spelt+`":{"a":1}}`), nil, view{})
			if string(got) != "{}" || len(found) != 1 {
				t.Errorf("%s: got %s", spelt, got)
			}
		}
	}
}

func TestWhatIsPickedFromALargeBodyDoesNotKeepItsMemory(t *testing.T) {
	file := ruleOn(t, "pick: [id]")
	x := posted(200, `{"id":7,"x":"`+strings.Repeat("x", 1<<20)+`"}`)
	payload := file.Match("POST", "/contacts/7").Derive(x)[0].Event.Payload
	if string(payload) != `{"id":7}` || cap(payload) > 64 {
		t.Errorf("the payload is %s, in %d bytes", payload, cap(payload))
	}
}

func TestAStringEndsAtItsFirstQuoteThatIsNotEscaped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := []byte(rapid.StringMatching(`["\\\\a]{0,12}`).Draw(t, "raw"))
		from := rapid.IntRange(0, len(raw)).Draw(t, "from")
		want := from
		for want < len(raw) && raw[want] != '"' {
			if raw[want] == '\\' {
				want++
			}
			want++
		}
		if got := stringEnd(raw, from); got != min(want, len(raw)) {
			t.Fatalf("%q from %d ends at %d, want %d", raw, from, got, want)
		}
	})
}

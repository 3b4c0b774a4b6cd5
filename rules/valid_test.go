package rules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"
)

// texts are JSON, or nearly so.
var texts = []string{
	`{"a":[1,2.5,-0,1e9,-1.5E-3,0.0,true,false,null,"x"],"b":{},"c":[],"":{"d":[[{}]]}}`, ` [ 1 , { "a" : 2 } ] `, "\t\n\r 7 \n",
	`"a\"b\\c\/\b\f\n\r\t\u00e9\uD83D"`, `"ü€𝄞` + "\x7f" + `"`, `{"token":1}`, `{"tok\u0065n":1}`, "", " ", "{", "}", "[", "]", `{]`, `[}`, `{"a"}`, `{"a":}`,
	`{"a":1,}`, `{,}`, `[1,]`, `[,1]`, `[1 2]`, `{"a":1 "b":2}`, `{a:1}`, `{1:1}`, `{"a":1}}`, `1 2`, `01`, `-`, `-a`, `+1`, `1.`, `.5`, `1e`, `1e+`, `1e+x`, `0x1`,
	`tru`, `truex`, `nul`, `"`, `"a`, `"\`, `"\x"`, `"\u12"`, `"\u12g4"`, "\"a\nb\"", "\"a\x00\"", "\"12345678\x1f\"", `"1234567"`, `"12345678"`, `"123456789`, `[1]x`, `["a","b"`, `{"a":"b"`,
	strings.Repeat("[", maxNesting) + strings.Repeat("]", maxNesting), strings.Repeat(`{"a":`, maxNesting) + "1" + strings.Repeat("}", maxNesting),
	strings.Repeat(`[{"a":`, maxNesting/2) + "1" + strings.Repeat("}]", maxNesting/2), strings.Repeat(`[{"a":`, maxNesting/2) + "1" + strings.Repeat("]}", maxNesting/2),
}

func checkAgainstLibrary(t interface {
	Helper()
	Errorf(string, ...any)
}, raw []byte) {
	t.Helper()
	beside, valid := isJSONText(raw)
	if nesting(raw) > maxNesting {
		if valid {
			t.Errorf("%.100q is too deep", raw)
		}
		return
	}
	if want := json.Valid(raw); valid != want {
		t.Errorf("%.100q: got %v, encoding/json says %v", raw, valid, want)
	}
	if _, found := redactIfValid(raw, valid); found > 0 && !beside.secrets {
		t.Errorf("%.100q has secrets, and is not suspect", raw)
	}
	if ascii := !bytes.ContainsFunc(raw, func(r rune) bool { return r > 0x7f }); valid && beside.wide == ascii {
		t.Errorf("%.100q has bytes above 0x7f: %v", raw, beside.wide)
	}
}

func redactIfValid(raw []byte, valid bool) ([]byte, int) {
	if !valid {
		return raw, 0
	}
	got, found := redact(raw, nil, view{})
	return got, len(found)
}

func TestJSONIsWhatTheStandardLibraryTakesForIt(t *testing.T) {
	for _, text := range texts {
		checkAgainstLibrary(t, []byte(text))
		for cut := range min(len(text), 60) {
			checkAgainstLibrary(t, []byte(text[:cut]))
		}
	}
	for at := range 45 { // wherever it stands among those that are looked at together
		for b := range 256 {
			text := []byte(`"` + strings.Repeat("x", 45) + `"`)
			text[1+at] = byte(b)
			checkAgainstLibrary(t, text)
		}
	}
	deep := strings.Repeat("[", maxNesting+1) + strings.Repeat("]", maxNesting+1)
	if _, valid := isJSONText([]byte(deep)); valid {
		t.Error("too deep, and taken")
	}
}

// TestABrokenByteAnywhereIsSeen changes one byte of valid texts at a time.
func TestABrokenByteAnywhereIsSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := []byte(anyJSON(t, 4))
		checkAgainstLibrary(t, raw)
		raw[rapid.IntRange(0, len(raw)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		checkAgainstLibrary(t, raw)
	})
}

// FuzzJSON: what counts as JSON, encoding/json reads, and nothing else.
func FuzzJSON(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { checkAgainstLibrary(t, raw) })
}

// bodies are what APIs answer: one long text, a list of records, and one in another
// script.
func bodies() map[string][]byte {
	record := `{"id":%d,"name":"Ada Lovelace","email":"ada%[1]d@example.com","active":true,"score":12.5,"tags":["a","b"],"owner":{"id":7,"created_at":"2026-11-28T12:00:00Z"}}`
	var list, cyrillic []string
	for i := range 420 {
		list = append(list, fmt.Sprintf(record, i))
		cyrillic = append(cyrillic, fmt.Sprintf(`{"id":%d,"text":"Съешь же ещё этих мягких французских булок, да выпей чаю"}`, i))
	}
	return map[string][]byte{
		"text":     []byte(`{"id":7,"note":"` + strings.Repeat("x", 64<<10) + `"}`),
		"records":  []byte("[" + strings.Join(list, ",") + "]"),
		"cyrillic": []byte("[" + strings.Join(cyrillic, ",") + "]"),
		"small":    []byte(`{"id":7,"name":"Ada","note":"` + strings.Repeat("x", 470) + `"}`),
	}
}

func BenchmarkValid(b *testing.B) {
	for name, body := range bodies() {
		for _, c := range []struct {
			name  string
			valid func([]byte) bool
		}{
			{"checker", func(raw []byte) bool { _, valid := isJSONText(raw); return valid }},
			{"gjson", gjson.ValidBytes},
			{"encoding-json", json.Valid},
			{"redact", func(raw []byte) bool { got, _ := redact(raw, nil, view{}); return bytes.Equal(got[:1], raw[:1]) }},
		} {
			b.Run(name+"/"+c.name, func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				for b.Loop() {
					if !c.valid(body) {
						b.Fatal("invalid")
					}
				}
			})
		}
	}
}

package rules

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

func TestAPathIsPlainHoweverItIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path := rapid.StringMatching(`[/.a~_0%2e+ -]{0,8}|(/[a-z.]{0,3}){0,4}`).Draw(t, "path")
		if got, want := plainPath(path), escaped(Canonical(path)); got != want {
			t.Fatalf("%q is %q, want %q", path, got, want)
		}
	})
}

func TestATextIsQuotedAsTheStandardLibraryReadsIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, again := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]*`)).Draw(t, "text"), ""
		if err := json.Unmarshal([]byte(quoteJSON(text)), &again); err != nil || again != text {
			t.Fatalf("%q became %s: %v", text, quoteJSON(text), err)
		}
	})
}

func TestAWholeNumberIsWrittenAsInJSON(t *testing.T) {
	for text, want := range map[string]bool{
		"0": true, "-0": true, "7": true, "-7": true, "12345678901234567890": true,
		"": false, "-": false, "01": false, "-01": false, "+1": false, "1.0": false, "1e3": false, "1 ": false, "--1": false, "١": false,
	} {
		if isInteger(text) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
}

package rules

import (
	"testing"

	"pgregory.net/rapid"
)

// anyKeys draws a set of paths.
func anyKeys(t *rapid.T, name string) keys {
	set := make(keys)
	key := rapid.SampledFrom([]string{"a", "b", `a"b`, `\`})
	for _, path := range rapid.SliceOfN(rapid.SliceOfN(key, 1, 3), 0, 4).Draw(t, name) {
		set.add(jsonPath(path))
	}
	return set
}

// stranger answers a member that the view does not let out, or "".
func stranger(value any, v view) string {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			below, out := v.below([]byte(key))
			if !out {
				return key
			}
			if found := stranger(inner, below); found != "" {
				return key + "." + found
			}
		}
	case []any:
		for _, inner := range value {
			if found := stranger(inner, v); found != "" {
				return "#." + found
			}
		}
	default:
		if v.picking {
			return "a value among keys"
		}
	}
	return ""
}

func TestOnlyWhatAViewLetsOutGoesOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := []byte(`{"a":` + anyJSON(t, 4) + `,"b":[` + anyJSON(t, 4) + `]}`)
		v := view{omit: anyKeys(t, "omit")}
		if v.picking = rapid.Bool().Draw(t, "picking"); v.picking {
			v.pick = anyKeys(t, "pick")
		}
		got, _ := redact(raw, nil, v)
		if found := stranger(decoded(t, got), v); found != "" {
			t.Fatalf("%s became %s, which has %s", raw, got, found)
		}
		if again, _ := redact(got, nil, v); string(again) != string(got) {
			t.Fatalf("%s became %s, and that %s", raw, got, again)
		}
	})
}

func TestTheShorterOfTwoPathsCounts(t *testing.T) {
	for _, paths := range [][]jsonPath{{{"a"}, {"a", "b"}}, {{"a", "b"}, {"a"}}} {
		set := make(keys)
		for _, path := range paths {
			set.add(path)
		}
		if below, named := set["a"]; !named || below != nil {
			t.Errorf("%v became %v", paths, set)
		}
	}
}

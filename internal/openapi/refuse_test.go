package openapi

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhatIsNoDocumentIsRefusedWithTheReason(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 'b'; i <= 'k'; i++ {
		before := string(i - 1)
		bomb += string(i) + ": &" + string(i) + " [" + strings.TrimSuffix(strings.Repeat("*"+before+",", 10), ",") + "]\n"
	}
	cases := map[string]struct{ source, want string }{
		"nothing":           {"", "found an empty file"},
		"a list":            {"[1, 2]", "expected an OpenAPI document, a map with the key openapi or swagger, found a list"},
		"a text":            {"hello", "found a text"},
		"no YAML":           {"a: b: c", "neither JSON nor YAML: mapping values are not allowed"},
		"rules.yaml":        {"rules: []", "found neither"},
		"another version":   {"openapi: 4.0.0\npaths: {}", `found version "4.0.0"`},
		"Swagger 1":         {`{"swaggerVersion": "1.2"}`, "found neither"},
		"an old swagger":    {`{"swagger": "1.2", "paths": {}}`, `found version "1.2"`},
		"two documents":     {"openapi: 3.0.0\n---\nopenapi: 3.0.0", "another one after it"},
		"no paths":          {"openapi: 3.1.0\ninfo: {title: T, version: v}\nwebhooks: {}", "expected paths, found none"},
		"a bomb of aliases": {bomb, "values once aliases are written out"},
		"an endless alias":  {"a: &a\n  b: *a\n", "maps and lists within each other"},
		"depth":             {strings.Repeat("[", 300) + strings.Repeat("]", 300), "maps and lists within each other"},
		"depth in JSON":     {`{"a":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + "}", "maps and lists within each other"},
		"a broken $ref": {one("/a", `{post: {responses: {"200": {description: d, content: {application/json: {schema: {$ref: "#/components/schemas/Gone"}}}}}}}`),
			"components"},
		"paths of another kind":    {"openapi: 3.0.0\npaths: [1]", "paths"},
		"a response of a list":     {one("/a", `{post: {responses: {"200": [1]}}}`), ""},
		"a reference to the net":   {one("/a", `{post: {responses: {"200": {$ref: "http://127.0.0.1:1/x.yaml#/r"}}}}`), "nothing is fetched"},
		"an operation on the net":  {one("/a", `{post: {$ref: "http://127.0.0.1:1/x.yaml"}}`), "nothing is fetched"},
		"files beside nothing":     {one("/a", `{post: {responses: {"200": {$ref: "x.yaml#/r"}}}}`), "name the document by its file"},
		"an operation from inside": {one("/a", `{post: {$ref: "#/components/x"}}`), `found a reference to "#/components/x"`},
	}
	for what, c := range cases {
		t.Run(what, func(t *testing.T) {
			_, err := Read("spec.yaml", strings.NewReader(c.source))
			if err == nil || !strings.HasPrefix(err.Error(), "spec.yaml: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v; expected %q in it", err, c.want)
			}
		})
	}
}

func TestAHundredMegabytesAreRefusedUnread(t *testing.T) {
	source := io.LimitReader(repeat("# nothing\n"), 100<<20)
	if _, err := Read("spec", source); err == nil || !strings.Contains(err.Error(), "at most 32 MiB") {
		t.Errorf("error %v", err)
	}
	if left, err := io.Copy(io.Discard, source); err != nil || left < 60<<20 {
		t.Errorf("%d bytes were left unread, %v", left, err)
	}
}

// repeat is a text without end.
type repeat string

func (r repeat) Read(p []byte) (int, error) {
	return copy(p, bytes.Repeat([]byte(r), len(p)/len(r)+1)), nil
}

// folder writes files, by their names, and answers where.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	at := t.TempDir()
	for name, content := range files {
		whole := filepath.Join(at, name)
		if err := os.MkdirAll(filepath.Dir(whole), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(whole, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return at
}

func TestReferencesStayInTheDocumentsFolder(t *testing.T) {
	response := "r: {description: d}\n"
	at := folder(t, map[string]string{
		"secret.yaml":       response,
		"api/beside.yaml":   response,
		"api/below/it.yaml": response,
	})
	if err := os.Symlink(filepath.Join(at, "secret.yaml"), filepath.Join(at, "api/link.yaml")); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{
		"beside.yaml#/r":                            "",
		"./below/it.yaml#/r":                        "",
		"../secret.yaml#/r":                         "secret.yaml",
		"link.yaml#/r":                              "link.yaml",
		filepath.Join(at, "secret.yaml") + "#/r":    "secret.yaml",
		"file://" + at + "/secret.yaml#/r":          "nothing is fetched",
		"missing.yaml#/r":                           "missing.yaml",
		"beside.yaml#/nothing":                      "nothing",
		"https://example.com/openapi.yaml#/x/y":     "nothing is fetched",
		"//example.com/openapi.yaml#/x":             "nothing is fetched",
		"below/../../secret.yaml#/r":                "secret.yaml",
		"http://user:secret@127.0.0.1:1/a.yaml#/r?": "nothing is fetched",
	} {
		document := filepath.Join(at, "api/openapi.yaml")
		if err := os.WriteFile(document, []byte(one("/a", `{post: {responses: {"200": {$ref: "`+ref+`"}}}}`)), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Load(document)
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", ref, err)
				continue
			}
			written(t, d)
		} else if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v; expected %q in it", ref, err, want)
		}
	}
}

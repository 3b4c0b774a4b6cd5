// Package shape holds tests over the source itself: who imports whom, and how
// long a function and a file may be.
package shape

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module          = "github.com/hookproxy/hookproxy/"
	maxFunctionLine = 60
	maxFileLines    = 400
)

// imports is whom of our own packages each package may depend on, through
// others too. Data travels one way, and this keeps it so.
var imports = map[string][]string{
	"events":             {"internal/buffer", "internal/layout", "internal/pause"},
	"identity":           {},
	"rules":              {"events", "internal/buffer", "internal/layout", "internal/pause"},
	"proxy":              {"events", "identity", "internal/buffer", "internal/http1", "internal/layout", "internal/pause", "internal/plain", "internal/presence", "internal/socket", "rules"},
	"subscriptions":      {"identity", "internal/layout", "internal/problem"},
	"delivery":           {"events", "identity", "internal/addresses", "internal/buffer", "internal/http1", "internal/layout", "internal/pause", "internal/problem", "internal/socket", "subscriptions"},
	"console":            {"delivery", "events", "identity", "internal/addresses", "internal/buffer", "internal/http1", "internal/layout", "internal/pause", "internal/problem", "internal/socket", "subscriptions"},
	"internal/buffer":    {},
	"internal/http1":     {},
	"internal/layout":    {},
	"internal/addresses": {},
	"internal/har":       {},
	"internal/replay":    {"events", "identity", "internal/buffer", "internal/har", "internal/http1", "internal/layout", "internal/pause", "internal/plain", "internal/presence", "internal/socket", "proxy", "rules"},
	"internal/record":    {"events", "identity", "internal/buffer", "internal/har", "internal/http1", "internal/layout", "internal/pause", "internal/plain", "internal/presence", "internal/socket", "proxy", "rules"},
	"internal/pause":     {},
	"internal/plain":     {"internal/http1", "internal/presence"},
	"internal/presence":  {},
	"internal/problem":   {},
	"internal/nametest":  {},
	"internal/openapi":   {"events", "internal/buffer", "internal/layout", "internal/pause", "rules"},
	"internal/redistest": {},
	"internal/sample":    {},
	"internal/socket":    {},
}

func TestPackagesImportOnlyWhomTheyMay(t *testing.T) {
	for name, allowed := range imports {
		for _, dependency := range goList(t, "-deps", "../../"+name) {
			own, ours := strings.CutPrefix(dependency, module)
			if ours && own != name && !slices.Contains(allowed, own) {
				t.Errorf("%s depends on %s; it may on %v", name, own, allowed)
			}
		}
	}
}

func TestEveryPackageHasAnImportRule(t *testing.T) {
	exempt := []string{"bench", "cmd/hookproxy", "examples", "internal/chaos", "internal/shape"}
	for _, path := range goList(t, "../../...") {
		name := strings.TrimPrefix(path, module)
		if _, ruled := imports[name]; !ruled && !slices.Contains(exempt, name) {
			t.Errorf("%s has no entry in imports", name)
		}
	}
}

// Only the packages that own a structure in Redis speak to it.
func TestRedisIsSpokenToInFewPlaces(t *testing.T) {
	for _, name := range []string{"rules", "proxy", "identity", "console", "internal/addresses", "internal/sample"} {
		for _, imported := range goList(t, "-f", `{{join .Imports "\n"}}`, "../../"+name) {
			if strings.HasPrefix(imported, "github.com/redis/") {
				t.Errorf("%s imports %s", name, imported)
			}
		}
	}
}

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}

func TestFunctionsAndFilesStayShort(t *testing.T) {
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() == "testdata" {
			return filepath.SkipDir // other people's code
		}
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if lines := files.File(file.Pos()).LineCount(); lines > maxFileLines {
			t.Errorf("%s has %d lines; at most %d", path, lines, maxFileLines)
		}
		checkFunctions(t, files, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkFunctions(t *testing.T, files *token.FileSet, file *ast.File) {
	t.Helper()
	for _, declaration := range file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok {
			continue
		}
		start, end := files.Position(function.Pos()), files.Position(function.End())
		if lines := end.Line - start.Line + 1; lines > maxFunctionLine {
			t.Errorf("%s: %s has %d lines; at most %d", start, function.Name.Name, lines, maxFunctionLine)
		}
	}
}

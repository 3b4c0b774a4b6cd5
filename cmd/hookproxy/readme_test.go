package main

import (
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// pages are the documents that users read.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, path := range append(found, "../../README.md", "../../CONTRIBUTING.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[path] = string(text)
	}
	return texts
}

// A link's title names the test, or whatever else, that must be in that file.
var link = regexp.MustCompile(`\]\(([^)\s]+)(?: "([^"]+)")?\)`)

func TestTheDocumentsLinksLeadToWhatTheyName(t *testing.T) {
	proofs := 0
	for path, text := range pages(t) {
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			to, err := url.Parse(found[1])
			if err != nil || to.IsAbs() || to.Path == "" {
				continue
			}
			target, err := os.ReadFile(filepath.Join(filepath.Dir(path), to.Path))
			if info, statErr := os.Stat(filepath.Join(filepath.Dir(path), to.Path)); statErr == nil && info.IsDir() {
				continue
			}
			switch name := found[2]; {
			case err != nil:
				t.Errorf("%s: %v", path, err)
			case name != "" && !strings.Contains(string(target), "func "+name+"("):
				t.Errorf("%s: %s has no %s", path, to.Path, name)
			case name != "":
				proofs++
			}
		}
	}
	if proofs < 20 {
		t.Errorf("%d promises are linked to their tests; the links are read wrongly", proofs)
	}
}

func TestTheReadmeListsEverySettingWithItsDefault(t *testing.T) {
	text := pages(t)["../../README.md"]
	fields := reflect.TypeFor[settings]()
	for i := range fields.NumField() {
		tag := fields.Field(i).Tag
		name := tag.Get("name")
		if name == "" {
			name = strings.ToLower(fields.Field(i).Name)
		}
		row := ""
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "| `--") && strings.Contains(line, "`--"+name+"`") && strings.Contains(line, "`"+tag.Get("env")+"`") {
				row = line
			}
		}
		switch value := tag.Get("default"); {
		case row == "":
			t.Errorf("--%s (%s) is not in the table of settings", name, tag.Get("env"))
		case value != "" && !strings.Contains(row, "`"+value+"`"):
			t.Errorf("--%s is %s unless set, and its row does not say so: %s", name, value, row)
		}
	}
}

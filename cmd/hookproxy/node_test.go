package main

import (
	"os"
	"path/filepath"
	"testing"
)

// requireNodeEnv, set to 1, makes a missing npm package a failure.
const requireNodeEnv = "HOOKPROXY_REQUIRE_NODE"

// wantNode answers where a file of an npm package is, or skips the test.
func wantNode(t *testing.T, file string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata/npm/node_modules", file))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		if os.Getenv(requireNodeEnv) == "1" {
			t.Fatalf("%s=1, but: %v", requireNodeEnv, err)
		}
		t.Skipf("no %s; `npm ci --prefix cmd/hookproxy/testdata/npm` installs it", file)
	}
	return path
}

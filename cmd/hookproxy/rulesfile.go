package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hookproxy/hookproxy/rules"
)

// readRulesFile answers what a rules file holds, and of one that is too large
// only so much that rules.Parse says so.
func readRulesFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, rules.MaxFile+1))
}

// readRules reads a rules file, or prints every mistake in it, and answers them
// beside errReported.
func readRules(name string, std streams) (*rules.File, error) {
	source, err := readRulesFile(name)
	if err != nil {
		return nil, err
	}
	file, err := rules.Parse(name, source)
	var mistakes rules.Mistakes
	if errors.As(err, &mistakes) {
		for _, mistake := range mistakes {
			fmt.Fprintln(std.err, mistake)
		}
		return nil, fmt.Errorf("%w: %w", errReported, mistakes)
	}
	return file, err
}

// parseRules reads rules. Only where nothing is forwarded may they be without
// identity.
func parseRules(name string, source []byte, forwards bool) (*rules.File, error) {
	file, err := rules.Parse(name, source)
	if err == nil && forwards {
		err = wantIdentity(name, file)
	}
	return file, err
}

// wantIdentity refuses rules by which nobody is anybody: no caller could
// subscribe, and no event would have an owner to deliver to.
func wantIdentity(name string, file *rules.File) error {
	if len(file.Identity) > 0 {
		return nil
	}
	return fmt.Errorf("%s: there is no identity, so nobody can subscribe and nothing is delivered; say who a caller is, such as\n"+
		"identity:\n  - whoami: {get: /me, user: id}", name)
}

// maxLinks bounds how many symbolic links lead to a file, as the kernel does.
const maxLinks = 40

// trail answers every name on the way to a file that can come to mean another
// one: each symbolic link, be it of a folder, and the file itself. Of what is
// missing, the trail ends with the first part that is.
func trail(name string) ([]string, error) {
	whole := name
	if !filepath.IsAbs(name) {
		folder, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		whole = folder + "/" + name // not filepath.Join: what ".." means depends on the links before it
	}
	var names []string
	at, rest := "/", strings.Split(whole, "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		next := filepath.Join(at, part) // which resolves ".." in a link: at has none any more
		info, err := os.Lstat(next)
		if err != nil {
			return append(names, next), nil
		}
		if info.Mode()&os.ModeSymlink == 0 || links == maxLinks {
			at = next
			continue
		}
		target, err := os.Readlink(next)
		if err != nil {
			return append(names, next), nil
		}
		links++
		names = append(names, next)
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return append(names, at), nil
}

package rules

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// strippable are mounts that there is one way to write only: what is cut off a
// path are its very bytes.
var strippable = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)

// strip answers the mounts that are left out of what is forwarded.
func (p *parser) strip(n *yaml.Node, mounts []string) []string {
	var stripped []string
	for _, mount := range mounts {
		switch {
		case mount == "": // nothing to leave out
		case !strippable.MatchString(mount):
			p.mistake(n, "matching.strip: expected mounts of letters, digits and . _ ~ - only, found %s", quoted(mount))
		default:
			stripped = append(stripped, mount)
		}
	}
	if len(stripped) == 0 {
		p.mistake(n, "matching.strip: expected a mount beside it, such as /api/v1")
	}
	slices.SortFunc(stripped, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return stripped
}

// Strips reports whether Stripped ever answers more than zero.
func (f *File) Strips() bool { return len(f.matching.stripped) > 0 }

// Stripped answers how many bytes at the beginning of an escaped path are a mount
// that is left out of what is forwarded; zero for none. A path that begins with
// one and leads out of it by ".." is not below it, and neither is one that spells
// it otherwise than the file.
func (f *File) Stripped(escapedPath string) int {
	for _, mount := range f.matching.stripped {
		if len(escapedPath) < len(mount) || len(escapedPath) > len(mount) && escapedPath[len(mount)] != '/' {
			continue
		}
		begins := escapedPath[:len(mount)]
		if begins != mount && !(f.matching.ignoreCase && strings.EqualFold(begins, mount)) {
			continue
		}
		if Under(escapedPath, begins) {
			return len(mount)
		}
	}
	return 0
}

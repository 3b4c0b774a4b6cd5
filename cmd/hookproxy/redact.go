package main

import (
	"regexp"
	"strings"
)

// plainHost is what of a URL is safe to show without knowing how it was meant:
// host names and port numbers. A port that is none is more often a password
// whose @host was forgotten.
var plainHost = regexp.MustCompile(`^([A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]*\])(:[0-9]*)?$`)

const hidden = "…"

// redactURL is a URL for a message, though it may be too broken to parse: the
// scheme, and the hosts after the last @ where nothing suggests that they are a
// piece of a password.
func redactURL(value string) string {
	scheme, rest, found := strings.Cut(value, "://")
	switch {
	case found && !isScheme(scheme):
		return hidden
	case found:
		scheme += "://"
	default:
		scheme, rest = "", value
	}
	credentials, hosts := cutLast(rest, "@")
	if strings.ContainsAny(credentials, "?#") {
		return scheme + hidden // the @ may be a parameter's
	}
	if credentials != "" {
		scheme += hidden + "@"
	}
	hosts, tail := cutAny(hosts, "/?#")
	shown := strings.Split(hosts, ",")
	for i, host := range shown {
		if !plainHost.MatchString(host) {
			shown[i] = hidden
		}
	}
	if tail != "" && tail != "/" {
		tail = tail[:1] + hidden
	}
	return scheme + strings.Join(shown, ",") + tail
}

func isScheme(s string) bool {
	for _, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.'
		if !letter {
			return false
		}
	}
	return s != ""
}

package subscriptions

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

const (
	// maxTarget is how long a target URL may be, in bytes.
	maxTarget = 2048
	// maxHost and maxLabel are how long a host name and one part of it may be
	// (RFC 1035 section 2.3.4).
	maxHost  = 253
	maxLabel = 63
)

// ParseTarget reads the URL that events are to be posted to. Its errors are
// written to be shown to the subscriber, and hold nothing of the URL. What it
// accepts may still resolve to an address that delivery refuses to dial; only
// there is that known.
//
// It is stricter than RFC 3986 where programs disagree about what a URL means:
// ASCII only, no backslash, no userinfo, no fragment, and no host that is a
// number in disguise (0x7f.1, 2130706433).
func ParseTarget(raw string) (*url.URL, error) {
	if err := checkBytes(raw); err != nil {
		return nil, err
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("must be a valid URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("must be an http or https URL")
	case u.Opaque != "" || u.Host == "" || u.Hostname() == "":
		return nil, errors.New("must name a host, as in https://host/path")
	case u.User != nil:
		return nil, errors.New("must not hold a user name or password")
	case strings.Contains(raw, "#"):
		return nil, errors.New("must not have a fragment")
	}
	if err := checkPort(u); err != nil {
		return nil, err
	}
	return u, checkHost(u)
}

func checkBytes(raw string) error {
	switch {
	case raw == "":
		return errors.New("must not be empty")
	case len(raw) > maxTarget:
		return errors.New("must not be longer than 2048 bytes")
	}
	for i := range len(raw) {
		switch c := raw[i]; {
		case c <= ' ' || c == 0x7f:
			return errors.New("must not hold spaces or control characters")
		case c == '\\':
			return errors.New("must not hold a backslash")
		case c > 0x7f:
			return errors.New("must be ASCII: percent-encode the path, and write an international host in its xn-- form")
		}
	}
	return nil
}

func checkPort(u *url.URL) error {
	if strings.HasSuffix(u.Host, ":") {
		return errors.New("must have a port from 1 to 65535, or none")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return errors.New("must have a port from 1 to 65535, or none")
		}
	}
	return nil
}

// portOf answers the port of a URL that ParseTarget has read.
func portOf(u *url.URL) uint16 {
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		return uint16(port)
	}
	if u.Scheme == "http" {
		return 80
	}
	return 443
}

func checkHost(u *url.URL) error {
	host := u.Hostname()
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" {
			return errors.New("must not name a network interface")
		}
		return nil
	}
	invalid := errors.New("must name a valid host")
	name := strings.TrimSuffix(host, ".")
	if strings.HasPrefix(u.Host, "[") || len(name) > maxHost {
		return invalid
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if !isLabel(label) {
			return invalid
		}
	}
	if isNumber(labels[len(labels)-1]) {
		return errors.New("must not have a number for a host, unless it is a plain IP address")
	}
	return nil
}

// isLabel is liberal about underscores: names in private networks have them.
func isLabel(label string) bool {
	for i := range len(label) {
		c := label[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
		inside := i > 0 && i < len(label)-1
		if !letter && (c != '-' || !inside) {
			return false
		}
	}
	return label != "" && len(label) <= maxLabel
}

// isNumber says whether resolvers may read a host that ends in this label as
// an IPv4 address: decimal, octal or hexadecimal, as inet_aton takes them.
func isNumber(label string) bool {
	lower := strings.ToLower(label)
	if hex, found := strings.CutPrefix(lower, "0x"); found {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(lower, "0123456789") == ""
}

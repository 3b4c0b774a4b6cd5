package proxy

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// upstream is where requests go.
type upstream struct {
	scheme, host  string
	base, rawBase string // what stands before each path, without a trailing slash
}

func newUpstream(u *url.URL) upstream {
	return upstream{
		scheme: u.Scheme, host: u.Host,
		base: strings.TrimSuffix(u.Path, "/"), rawBase: strings.TrimSuffix(rawPath(u), "/"),
	}
}

// checkUpstream answers what is wrong with an upstream URL, without naming it:
// it may hold a password.
func checkUpstream(u *url.URL) error {
	switch {
	case u == nil:
		return errors.New("upstream: missing")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("upstream: must begin with http:// or https://")
	case u.Host == "":
		return errors.New("upstream: has no host")
	case u.User != nil:
		return errors.New("upstream: must not hold a user or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("upstream: must not hold a query or fragment")
	}
	return nil
}

// direct makes out lead to the upstream with the very bytes of in's path and
// query, but for the mount at the path's beginning, if any.
//
// url.URL writes a path in its own spelling where the client's is not valid
// (a bare "|", `"`, "^" or non-ASCII byte), so those go out as Opaque, which is
// written as it stands. Opaque cannot begin with "//", which would be taken for
// a host: only such a path, and only if it holds such bytes, goes out with
// them percent-encoded.
func (u upstream) direct(out, in *url.URL, method string, mount string) {
	out.Scheme, out.Host, out.User, out.Opaque = u.scheme, u.host, nil, ""
	out.RawQuery, out.ForceQuery = in.RawQuery, in.ForceQuery
	switch {
	case in.Path == "*":
		return
	case in.Path == "" && method == http.MethodOptions:
		out.Path = "*" // "OPTIONS http://host" asks about the server (RFC 9112 §3.2.4)
		return
	}
	if u.base != "" || mount != "" {
		// A mount is written in one way only: decoded it has as many bytes.
		path, raw := in.Path[len(mount):], rawPath(in)[len(mount):]
		if path == "" && mount != "" {
			path, raw = "/", "/"
		}
		out.Path, out.RawPath = u.base+path, u.rawBase+raw
	}
	if out.RawPath != "" && !strings.HasPrefix(out.RawPath, "//") && out.EscapedPath() != out.RawPath {
		out.Opaque = out.RawPath
	}
}

// rawPath answers a parsed URL's path as it was written. RawPath holds it
// exactly where url.URL would write it otherwise.
func rawPath(u *url.URL) string {
	if u.RawPath != "" {
		return u.RawPath
	}
	return u.EscapedPath()
}

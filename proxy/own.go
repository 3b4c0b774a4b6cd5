package proxy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hookproxy/hookproxy/rules"
)

// ownPaths are the paths under which the proxy answers itself.
type ownPaths []ownPath

type ownPath struct {
	segments []string
	last     string
}

func newOwnPaths(paths []string) ownPaths {
	var own ownPaths
	for _, path := range paths {
		segments := rules.Canonical(path)
		own = append(own, ownPath{segments, segments[len(segments)-1]})
	}
	return own
}

// cover reports whether a path is one of ours or below one, and if so answers
// its canonical segments.
func (o ownPaths) cover(escapedPath string) (segments []string, ours bool) {
	if !o.possible(escapedPath) {
		return nil, false
	}
	segments = rules.Canonical(escapedPath)
	for _, own := range o {
		if len(segments) >= len(own.segments) && slices.Equal(segments[:len(own.segments)], own.segments) {
			return segments, true
		}
	}
	return nil, false
}

// possible spares the API's requests the canonical form: without a "%", a path
// of ours must hold our last segment as it stands.
func (o ownPaths) possible(escapedPath string) bool {
	if len(o) == 0 {
		return false
	}
	if strings.IndexByte(escapedPath, '%') >= 0 {
		return true
	}
	return slices.ContainsFunc(o, func(own ownPath) bool { return strings.Contains(escapedPath, own.last) })
}

// serveOwn lets our own handler answer. Its writer is wrapped to learn the
// status; nothing of the API's passes here.
func (p *Proxy) serveOwn(x *exchange, segments []string) {
	x.kind, x.outcome = kindOwn, "own"
	w := &statusWriter{ResponseWriter: x.writer, x: x}
	x.ruling.own.ServeHTTP(w, canonicalRequest(x.inbound, x.path, segments))
	if x.status == 0 {
		x.status = http.StatusOK // what net/http makes of a handler that wrote nothing
	}
}

// canonicalRequest answers the request with the path that its spelling means, so
// that "/api//v1/./subscription" finds its route without a redirect.
func canonicalRequest(r *http.Request, escapedPath string, segments []string) *http.Request {
	var plain, escaped strings.Builder
	for _, segment := range segments {
		plain.WriteString("/" + segment)
		escaped.WriteString("/" + url.PathEscape(segment))
	}
	if strings.HasSuffix(escapedPath, "/") {
		plain.WriteByte('/')
		escaped.WriteByte('/')
	}
	if escaped.String() == escapedPath {
		return r
	}
	u, copied := *r.URL, r.WithContext(r.Context())
	u.Path, u.RawPath = plain.String(), escaped.String()
	copied.URL = &u
	return copied
}

// statusWriter notes the status of our own answers.
type statusWriter struct {
	http.ResponseWriter
	x *exchange
}

func (w *statusWriter) WriteHeader(status int) {
	if w.x.status == 0 && status >= http.StatusOK {
		w.x.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.x.status == 0 {
		w.x.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach what the wrapper hides.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

package plain

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/hookproxy/hookproxy/internal/http1"
	"github.com/hookproxy/hookproxy/internal/presence"
)

// turn is one request with its response, all of it in one piece of memory. Who
// holds the request beyond its end holds that.
type turn struct {
	request  http.Request
	url      url.URL
	values   [12]string       // of the header, if they are no more than that
	presence presence.Context // the request's
	body     body
	response response
}

// beginsPlain reports whether what has come of a head may become a plain request's.
// What cannot is net/http's at once, which refuses it without waiting for more.
func beginsPlain(come []byte) bool {
	for rest := come; ; {
		at := bytes.IndexByte(rest, '\n')
		if at < 0 {
			break
		}
		if at == 0 || rest[at-1] != '\r' {
			return false
		}
		rest = rest[at+1:]
	}
	if at := bytes.Index(come, lineEnd); at >= 0 {
		_, _, ok := requestLine(string(come[:at]))
		return ok
	}
	return http1.IsToken(string(come[:1]))
}

// requestLine takes a request line to the letter (RFC 9112 §3), and only one that
// asks for a path.
func requestLine(line string) (method, target string, ok bool) {
	const version = " HTTP/1.1"
	method, rest, _ := strings.Cut(line, " ")
	target, ok = strings.CutSuffix(rest, version)
	if !ok || target == "" || target[0] != '/' || !http1.IsToken(method) || method == http.MethodConnect || !http1.IsTarget(target) {
		return "", "", false
	}
	return method, target, true
}

// parse answers a plain request's turn, or nil.
func (c *conn) parse(head []byte) *turn {
	text, ok := strings.CutSuffix(string(head), "\r\n\r\n")
	if !ok {
		return nil
	}
	line, text, _ := strings.Cut(text, "\r\n")
	method, target, ok := requestLine(line)
	if !ok {
		return nil
	}
	t := new(turn)
	t.presence.Context = c.base.Context()
	t.request = *c.base.WithContext(&t.presence)
	r := &t.request
	r.Method, r.RequestURI = method, target
	if !t.parseTarget(target) || !t.parseFields(text, bytes.Count(head, lineEnd)-2) || r.Host == "" {
		return nil
	}
	c.start += len(head)
	r.Body = http.NoBody
	if r.ContentLength > 0 {
		t.body.c, t.body.left = c, r.ContentLength
		r.Body = &t.body
	}
	t.response.begin(c, t)
	return t
}

// parseTarget does what url.ParseRequestURI does, and does it itself where there is
// nothing to unescape.
func (t *turn) parseTarget(target string) bool {
	path, query, asks := strings.Cut(target, "?")
	if asks && query == "" || !isBare(path) {
		parsed, err := url.ParseRequestURI(target)
		t.request.URL = parsed
		return err == nil
	}
	t.url.Path, t.url.RawQuery = path, query
	t.request.URL = &t.url
	return true
}

// isBare reports whether a path stands for itself: it has no escape, and nothing
// that package url would escape.
func isBare(path string) bool {
	for i := range len(path) {
		if !bare[path[i]] {
			return false
		}
	}
	return true
}

// bare are the bytes of which package url itself makes nothing else.
var bare = func() (bare [256]bool) {
	for c := '!'; c <= '~'; c++ {
		path := "/" + string(c)
		u, err := url.ParseRequestURI(path)
		bare[c] = err == nil && *u == url.URL{Path: path}
	}
	return bare
}()

// parseFields reads fields to the letter (RFC 9112 §5), count of them. It answers
// false where one is malformed, or decides how the request or its connection is to
// be read.
func (t *turn) parseFields(text string, count int) bool {
	header := make(http.Header, count)
	t.request.Header = header
	values := t.values[:0]
	if count > len(t.values) {
		values = make([]string, 0, count)
	}
	for text != "" {
		var line string
		line, text, _ = strings.Cut(text, "\r\n")
		colon := strings.IndexByte(line, ':')
		if colon < 0 || !http1.IsToken(line[:colon]) || !http1.IsFieldValue(line[colon+1:]) {
			return false
		}
		name, value := textproto.CanonicalMIMEHeaderKey(line[:colon]), http1.Trim(line[colon+1:])
		switch name {
		case "Host":
			if t.request.Host != "" || !http1.IsHost(value) {
				return false
			}
			t.request.Host = value
			continue
		case "Content-Length":
			if !t.setLength(value) {
				return false
			}
		case "Connection":
			if !strings.EqualFold(value, "keep-alive") {
				return false
			}
		case "Transfer-Encoding", "Trailer", "Expect", "Upgrade", "Http2-Settings",
			"Pragma": // for which net/http adds a Cache-Control
			return false
		}
		if of := header[name]; of != nil {
			header[name] = append(of, value)
			continue
		}
		values = append(values, value)
		header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	return true
}

// setLength takes a Content-Length, the only one of a request.
func (t *turn) setLength(value string) bool {
	if t.request.Header["Content-Length"] != nil || value == "" || len(value) > 18 { // digits that an int64 holds
		return false
	}
	n := int64(0)
	for i := range len(value) {
		if value[i] < '0' || value[i] > '9' {
			return false
		}
		n = n*10 + int64(value[i]-'0')
	}
	t.request.ContentLength = n
	return true
}

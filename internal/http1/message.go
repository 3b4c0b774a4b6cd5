package http1

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// message is a request's head as it goes out, and as much of its body as goes
// out along with it. It is written before there is a connection for it, and
// lent to one request after the other.
type message struct {
	bytes  []byte
	fields []Field // of the head, while it is written
}

// Field is one of a head's, with all its values.
type Field struct {
	Name   string
	Values []string
}

// SortFields puts fields in the order of their names.
func SortFields(fields []Field) {
	slices.SortFunc(fields, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
}

var messages = sync.Pool{New: func() any { return new(message) }}

// free ends the loan.
func (m *message) free() {
	clear(m.fields) // their names and values may be large
	if cap(m.bytes) <= copySize {
		messages.Put(m)
	}
}

// readFrom makes one Read for a body of that length.
func (m *message) readFrom(body io.Reader, length int) (int, error) {
	head := len(m.bytes)
	m.bytes = slices.Grow(m.bytes, length)
	n, err := body.Read(m.bytes[head : head+length])
	m.bytes = m.bytes[:head+n]
	return n, err
}

// writeHead writes the head of a request with a body of that length, with the
// fields in the order of their names, so that the same request looks the same
// each time. It refuses fields that could be read as something else.
func (m *message) writeHead(r *http.Request, length int64) error {
	m.fields = m.fields[:0]
	for name, values := range r.Header {
		if !IsToken(name) {
			return errors.New("http1: invalid header name")
		}
		for _, value := range values {
			if !IsFieldValue(value) {
				return errors.New("http1: invalid value of header " + name)
			}
		}
		if !framing(name) {
			m.fields = append(m.fields, Field{name, values})
		}
	}
	SortFields(m.fields)
	b := appendLine(m.bytes[:0], r)
	b = AppendField(b, "Host", hostOf(r))
	for _, f := range m.fields {
		for _, value := range f.Values {
			if f.Name != "User-Agent" || value != "" { // which is how net/http's callers say that there is none
				b = AppendField(b, f.Name, Trim(value))
			}
		}
	}
	if r.Close {
		b = AppendField(b, "Connection", "close")
	}
	m.bytes = append(appendFraming(b, r, length), "\r\n"...)
	return nil
}

// framing tells the fields that the client writes of its own.
func framing(name string) bool {
	switch name {
	case "Host", "Content-Length", "Transfer-Encoding", "Trailer":
		return true
	}
	return false
}

func appendLine(b []byte, r *http.Request) []byte {
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	b = append(append(b, method...), ' ')
	target := r.URL.Opaque
	if target == "" {
		target = r.URL.EscapedPath()
	}
	switch {
	case target == "":
		b = append(b, '/')
	case r.URL.Opaque != "" && strings.HasPrefix(target, "//"):
		b = append(append(b, r.URL.Scheme...), ':')
	}
	b = append(b, target...)
	if r.URL.ForceQuery || r.URL.RawQuery != "" {
		b = append(append(b, '?'), r.URL.RawQuery...)
	}
	return append(b, " HTTP/1.1\r\n"...)
}

// AppendField appends a field's line. The value is to be trimmed, and of one line.
func AppendField(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	return append(append(b, value...), "\r\n"...)
}

// appendFraming says how long the body is. A method that usually has one says so
// even where it has none (RFC 9110 §8.6).
func appendFraming(b []byte, r *http.Request, length int64) []byte {
	switch {
	case length == unknown:
		b = AppendField(b, "Transfer-Encoding", "chunked")
		for _, name := range trailerNames(r.Trailer) {
			b = AppendField(b, "Trailer", name)
		}
	case length > 0:
		b = append(b, "Content-Length: "...)
		b = append(strconv.AppendInt(b, length, 10), "\r\n"...)
	case r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		b = AppendField(b, "Content-Length", "0")
	}
	return b
}

func trailerNames(trailer http.Header) []string {
	var names []string
	for name := range trailer {
		if IsToken(name) && !Misplaced(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

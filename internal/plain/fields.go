package plain

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hookproxy/hookproxy/internal/http1"
)

// hidden are the fields of a handler's that are not written.
type hidden uint8

const (
	hidesNothing hidden = 0
	hidesLength  hidden = 1 << iota // there is no body, and none is spoken of
	hidesType
	hidesConnection
)

// hides answers the fields that a response must not have. A 304 has no
// Content-Length here as in net/http, though RFC 9110 §15.4.5 would let it.
func (w *response) hides() hidden {
	hides := hidesNothing
	if w.status == http.StatusNotModified {
		hides = hidesLength | hidesType
	} else if !bodyAllowed(w.status) {
		hides = hidesLength
	}
	if w.closes {
		hides |= hidesConnection
	}
	return hides
}

// writeFields writes the status line and the fields as they are now, in the order
// of their names.
func (w *response) writeFields(status int, hides hidden) {
	c := w.c
	c.lend()
	c.out = append(strconv.AppendInt(append(c.out, "HTTP/1.1 "...), int64(status), 10), ' ')
	if text := http.StatusText(status); text != "" {
		c.out = append(c.out, text...)
	} else {
		c.out = strconv.AppendInt(append(c.out, "status code "...), int64(status), 10)
	}
	c.out = append(c.out, "\r\n"...)
	c.names = c.names[:0]
	for name := range c.header {
		if http1.IsToken(name) && !hides.name(name) {
			c.names = append(c.names, name)
		}
	}
	slices.Sort(c.names)
	for _, name := range c.names {
		for _, value := range c.header[name] {
			c.out = appendField(c.out, name, value)
		}
	}
	if status >= 200 {
		w.addFields()
	}
}

// addFields writes what the server says of its own, but how the body ends.
func (w *response) addFields() {
	_, typed := w.c.header["Content-Type"]
	w.sniffs = !typed && bodyAllowed(w.status) && w.c.header.Get("Content-Encoding") == ""
	if _, dated := w.c.header["Date"]; !dated {
		w.c.out = append(time.Now().UTC().AppendFormat(append(w.c.out, "Date: "...), http.TimeFormat), "\r\n"...)
	}
	if w.closes {
		w.c.out = append(w.c.out, "Connection: close\r\n"...)
	}
	for _, value := range w.c.header["Trailer"] {
		for name := range strings.SplitSeq(value, ",") {
			w.announce(http.CanonicalHeaderKey(http1.Trim(name)))
		}
	}
}

func (h hidden) name(name string) bool {
	switch name {
	case "Transfer-Encoding": // which is ours to choose
		return true
	case "Content-Length":
		return h&hidesLength != 0
	case "Content-Type":
		return h&hidesType != 0
	case "Connection":
		return h&hidesConnection != 0
	}
	return false
}

// unbroken keeps a handler's value on its line.
var unbroken = strings.NewReplacer("\n", " ", "\r", " ")

func appendField(out []byte, name, value string) []byte {
	if strings.IndexByte(value, '\n') >= 0 || strings.IndexByte(value, '\r') >= 0 {
		value = unbroken.Replace(value)
	}
	out = append(append(out, name...), ": "...)
	return append(append(out, http1.Trim(value)...), "\r\n"...)
}

// announce notes a trailer whose value comes with the body's end.
func (w *response) announce(name string) {
	if http1.IsToken(name) && !http1.Misplaced(name) {
		w.trailer = append(w.trailer, name)
	}
}

// hasTrailer reports whether the handler has announced trailers, or set some by
// http.TrailerPrefix.
func (w *response) hasTrailer() bool {
	if len(w.trailer) > 0 {
		return true
	}
	for name := range w.c.header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			return true
		}
	}
	return false
}

// writeTrailer writes the trailers as they are at the body's end.
func (w *response) writeTrailer() {
	for _, name := range w.trailer {
		for _, value := range w.c.header[name] {
			w.c.out = appendField(w.c.out, name, value)
		}
	}
	for name, values := range w.c.header {
		plain, prefixed := strings.CutPrefix(name, http.TrailerPrefix)
		for _, value := range values {
			if prefixed && http1.IsToken(plain) {
				w.c.out = appendField(w.c.out, plain, value)
			}
		}
	}
}

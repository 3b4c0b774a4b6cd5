package plain

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hookproxy/hookproxy/internal/http1"
)

// writeFields writes the status line and the fields as they are now, in the order
// of their names.
func (w *response) writeFields(status int) {
	c := w.c
	c.lend()
	c.out = append(strconv.AppendInt(append(c.out, "HTTP/1.1 "...), int64(status), 10), ' ')
	if text := http.StatusText(status); text != "" {
		c.out = append(c.out, text...)
	} else {
		c.out = strconv.AppendInt(append(c.out, "status code "...), int64(status), 10)
	}
	c.out = append(c.out, "\r\n"...)
	w.said = said{}
	c.fields = c.fields[:0]
	for name, values := range c.header {
		if w.takes(status, name, values) && http1.IsToken(name) {
			c.fields = append(c.fields, http1.Field{Name: name, Values: values})
		}
	}
	http1.SortFields(c.fields)
	for _, f := range c.fields {
		for _, value := range f.Values {
			c.out = appendField(c.out, f.Name, value)
		}
	}
	if status >= 200 {
		w.addFields()
	}
}

// said is what the handler's fields tell the server.
type said struct {
	coded, dated, typed bool
	trailer             []string
}

// takes notes what a field of the handler's says, and reports whether it is
// written. A 304 has no Content-Length here as in net/http, though RFC 9110
// §15.4.5 would let it.
func (w *response) takes(status int, name string, values []string) bool {
	switch name {
	case "Transfer-Encoding": // which is ours to choose
		return false
	case "Content-Length":
		return status >= 200 && w.takesLength(values) && bodyAllowed(status)
	case "Content-Type":
		w.said.typed = true
		return status != http.StatusNotModified
	case "Connection":
		w.closes = w.closes || status >= 200 && http1.HasToken(values, "close")
		return !w.closes
	case "Content-Encoding":
		w.said.coded = len(values) > 0 && values[0] != ""
	case "Date":
		w.said.dated = true
	case "Trailer":
		w.said.trailer = values
	}
	return true
}

// takesLength notes how long the body is to be. What is no length is taken out.
func (w *response) takesLength(values []string) bool {
	if len(values) == 0 {
		return false
	}
	n, err := strconv.ParseInt(values[0], 10, 64)
	if err == nil && n >= 0 {
		w.length = n
		return true
	}
	if values[0] != "" {
		w.c.l.logf("http: invalid Content-Length of %q", values[0])
	}
	delete(w.c.header, "Content-Length")
	return false
}

// addFields writes what the server says of its own, but how the body ends.
func (w *response) addFields() {
	w.sniffs = !w.said.typed && !w.said.coded && bodyAllowed(w.status)
	if !w.said.dated {
		w.c.out = append(time.Now().UTC().AppendFormat(append(w.c.out, "Date: "...), http.TimeFormat), "\r\n"...)
	}
	if w.closes {
		w.c.out = append(w.c.out, "Connection: close\r\n"...)
	}
	for _, value := range w.said.trailer {
		for name := range strings.SplitSeq(value, ",") {
			w.announce(http.CanonicalHeaderKey(http1.Trim(name)))
		}
	}
}

// unbroken keeps a handler's value on its line.
var unbroken = strings.NewReplacer("\n", " ", "\r", " ")

func appendField(out []byte, name, value string) []byte {
	if strings.IndexByte(value, '\n') >= 0 || strings.IndexByte(value, '\r') >= 0 {
		value = unbroken.Replace(value)
	}
	return http1.AppendField(out, name, http1.Trim(value))
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

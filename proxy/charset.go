package proxy

import (
	"bytes"
	"mime"
	"net/http"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// charsets are the encodings that JSON APIs of some age declare beside UTF-8,
// which is the only one between systems today (RFC 8259 §8.1).
var charsets = map[string]encoding.Encoding{
	"iso-8859-1":   charmap.ISO8859_1,
	"iso8859-1":    charmap.ISO8859_1,
	"latin1":       charmap.ISO8859_1,
	"latin-1":      charmap.ISO8859_1,
	"iso-8859-15":  charmap.ISO8859_15,
	"windows-1252": charmap.Windows1252,
	"cp1252":       charmap.Windows1252,
	"utf-16":       unicode.UTF16(unicode.BigEndian, unicode.UseBOM), // RFC 2781 §4.3
	"utf-16be":     unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
	"utf-16le":     unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM),
}

// replacement is what a decoder writes for bytes that mean nothing.
var replacement = []byte("\uFFFD")

// inUTF8 answers a body in UTF-8, or why it cannot: omittedEncoding,
// omittedTooLarge or omittedBudget. Whether bytes that are called UTF-8 are is
// for the rules to judge.
func inUTF8(h http.Header, body []byte, limit int64, l *lease) (recoded []byte, omitted string) {
	from, known := charsetOf(h, body)
	if !known {
		return nil, omittedEncoding
	}
	if from == nil {
		return body, ""
	}
	recoded, omitted, err := readWhole(transform.NewReader(bytes.NewReader(body), from.NewDecoder()), -1, limit, l)
	switch {
	case err != nil || bytes.Contains(recoded, replacement):
		return nil, omittedEncoding // half a surrogate, say: the event would say something else than the API
	case omitted != "":
		return nil, omitted
	}
	return recoded, ""
}

// charsetOf answers how a body declares itself: by a byte order mark first,
// then by its header. Nil is UTF-8.
func charsetOf(h http.Header, body []byte) (from encoding.Encoding, known bool) {
	switch {
	case bytes.HasPrefix(body, []byte("\xff\xfe\x00\x00")), bytes.HasPrefix(body, []byte("\x00\x00\xfe\xff")):
		return nil, false // UTF-32
	case bytes.HasPrefix(body, []byte("\xff\xfe")), bytes.HasPrefix(body, []byte("\xfe\xff")):
		return charsets["utf-16"], true
	}
	declared := h.Get("Content-Type")
	if !strings.Contains(declared, ";") {
		return nil, true
	}
	_, params, err := mime.ParseMediaType(declared)
	if err != nil {
		return nil, true // what it says cannot be read; the bytes may be
	}
	switch name := strings.ToLower(params["charset"]); name {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		return nil, true
	default:
		from, known = charsets[name]
		return from, known
	}
}

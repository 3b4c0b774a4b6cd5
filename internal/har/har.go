// Package har reads and writes recorded HTTP traffic: HAR 1.2
// (http://www.softwareishard.com/blog/har-12-spec/), as browsers, Postman and
// hookproxy itself save it. It is pure but for the Writer's file.
package har

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// Log is a recording.
type Log struct {
	// Creator is the program that wrote the recording.
	Creator Creator
	// BasePath is the upstream's base path, where hookproxy recorded: what its
	// clients did not write. "" for none.
	BasePath string
	// Entries are the exchanges in the file's order.
	Entries []Entry
	// CutOff says that the file ends in the middle of its entries, as after a
	// full disk; Entries are the whole ones.
	CutOff bool
}

// Creator is HAR's creator: a program and its version.
type Creator struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Entry is one exchange.
type Entry struct {
	Started  time.Time
	Took     time.Duration
	Request  Request
	Response Response
	// User is who sent the request, where hookproxy knew as it recorded; else "".
	User string
	// Own marks a request of hookproxy's own: who is calling, or a fetch.
	Own bool
}

// Request is the client's part.
type Request struct {
	Method string
	// URL is absolute. Nil where it is none that a server sees, such as data:.
	URL    *url.URL
	Header http.Header
	Body   []byte
	// Omitted is why the body is not whole; "" where it is.
	Omitted string
}

// Response is the server's part.
type Response struct {
	// Status is 0 where there was no answer: blocked, or broken off.
	Status int
	Header http.Header
	Body   []byte
	// Size is how long the body was, in bytes, where Omitted is set; -1 where
	// nobody knows.
	Size int64
	// Omitted is why the body is not whole: "too_large", "truncated", or
	// OmittedNotRecorded; "" where it is.
	Omitted string
}

// OmittedNotRecorded says that there was a body, and that the recording lacks it.
const OmittedNotRecorded = "not_recorded"

// bodyOf answers a message's body as it was before it was recorded. A text in
// a recording has neither content coding nor charset any more, though its
// header still tells of them: what it tells is set right in h.
func bodyOf(text, encoding string, h http.Header) ([]byte, error) {
	switch strings.ToLower(encoding) {
	case "":
		if text != "" {
			h.Del("Content-Encoding")
			inUTF8(h)
		}
		return []byte(text), nil
	case "base64":
		body, err := decodeBase64(text)
		// Some programs keep the coded bytes, most the decoded ones. No coding
		// leaves text that is UTF-8.
		if err == nil && utf8.Valid(body) {
			h.Del("Content-Encoding")
		}
		return body, err
	}
	return nil, fmt.Errorf("expected base64, found %q", short(encoding))
}

// decodeBase64 takes both alphabets, line breaks, and what lacks its padding.
func decodeBase64(text string) ([]byte, error) {
	text = strings.Map(func(r rune) rune {
		switch r {
		case '\r', '\n', ' ', '=':
			return -1
		case '-':
			return '+'
		case '_':
			return '/'
		}
		return r
	}, text)
	return base64.RawStdEncoding.DecodeString(text)
}

// inUTF8 sets right the charset of a text that JSON has brought here.
func inUTF8(h http.Header) {
	media, parameters, _ := strings.Cut(h.Get("Content-Type"), ";")
	var kept []string
	recoded := false
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, _, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if strings.EqualFold(name, "charset") {
			parameter, recoded = " charset=utf-8", true
		}
		kept = append(kept, parameter)
	}
	if recoded {
		h.Set("Content-Type", media+";"+strings.Join(kept, ";"))
	}
}

// short keeps a stranger's text from filling a message.
func short(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

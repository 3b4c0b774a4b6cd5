package delivery

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode"
)

// maxHead is how much of a response an attempt remembers, in bytes.
const maxHead = 512

// readHead answers the beginning of a response's body, where it is text, and
// reads the rest up to a bound, so that the connection can be used again.
//
// Headers are left out: they hold cookies, and names of machines behind the target.
func readHead(res *http.Response) string {
	if res.Body == http.NoBody {
		return ""
	}
	head, err := io.ReadAll(io.LimitReader(res.Body, maxHead))
	if err == nil {
		_, _ = io.CopyN(io.Discard, res.Body, maxResponseBody-maxHead)
	}
	if !isText(res.Header) || bytes.IndexByte(head, 0) >= 0 {
		return ""
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(head), "")))
}

// isText takes what does not say what it is for text, as most that answer "ok" do.
func isText(h http.Header) bool {
	if h.Get("Content-Encoding") != "" {
		return false
	}
	declared := h.Get("Content-Type")
	if declared == "" {
		return true
	}
	media, _, _ := mime.ParseMediaType(declared)
	_, kind, _ := strings.Cut(media, "/")
	return strings.HasPrefix(media, "text/") || kind == "json" || kind == "xml" ||
		strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml")
}

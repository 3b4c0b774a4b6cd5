package rules

import (
	"bytes"
	"net/http"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/tidwall/gjson"
)

// maxNesting bounds how deep captured JSON may be: the JSON library recurses,
// and a stack that overflows takes the whole process with it.
const maxNesting = 1000

// Why an event has no payload, in Event.Omitted. The proxy adds its own reasons
// for a body that is not whole ("too_large", "truncated", "budget" …).
const (
	OmittedNoContent = "no_content"    // the answer has no body, as 204 and 205 say
	OmittedNotJSON   = "not_json"      // neither declared as JSON nor readable as it, or broken
	OmittedEncoding  = "encoding"      // not UTF-8, nor in a charset or coding that can be undone
	OmittedTooDeep   = "too_deep"      // more arrays and objects within each other than a receiver could read
	OmittedMissing   = "missing"       // nothing stands where the rule's payload points
	OmittedNotObject = "not_an_object" // merge finds something else
	OmittedTooLarge  = "too_large"     // the exchange's other events have used up what its payloads may take
	OmittedCaller    = "caller_unknown"
)

// body is what a message's body says.
type body struct {
	raw     []byte // whole JSON without a byte order mark; nil where omitted says why
	suspect bool   // raw may have secret-like keys
	omitted string
	parsed  gjson.Result // raw, once it was asked for
}

// json answers the body for paths into it. What it answers shares raw's memory.
func (b *body) json() gjson.Result {
	if !b.parsed.Exists() {
		b.parsed = gjson.Parse(unsafe.String(unsafe.SliceData(b.raw), len(b.raw))) // ParseBytes would copy all of it
	}
	return b.parsed
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// readBody judges a whole body, in UTF-8. Declared as JSON or not at all, it must be
// JSON. Declared as something else it may still be: some frameworks call every
// answer text/html; then an object or array counts, which no page looks like.
func readBody(header http.Header, raw []byte) body {
	raw = bytes.TrimPrefix(raw, byteOrderMark)
	if len(bytes.TrimSpace(raw)) == 0 {
		return body{omitted: OmittedNoContent}
	}
	found, valid := isJSONText(raw)
	if (found.wide || !valid) && !utf8.Valid(raw) {
		return body{omitted: OmittedEncoding}
	}
	if !valid && nesting(raw) > maxNesting {
		return body{omitted: OmittedTooDeep}
	}
	if first := bytes.TrimSpace(raw)[0]; !valid || !isJSON(mediaType(header)) && first != '{' && first != '[' {
		return body{omitted: OmittedNotJSON}
	}
	return body{raw: raw, suspect: found.secrets}
}

// mediaType answers the type in lower case, even where its parameters are
// malformed; "" where nothing is declared.
func mediaType(header http.Header) string {
	media, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(media))
}

func isJSON(media string) bool {
	return media == "" || media == "application/json" || media == "text/json" ||
		strings.Contains(media, "/") && strings.HasSuffix(media, "+json")
}

// nesting answers how deep arrays and objects lie within each other.
func nesting(raw []byte) int {
	depth, deepest := 0, 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		case '"':
			i = stringEnd(raw, i+1)
		}
	}
	return deepest
}

// stringEnd answers where the string ends of which the first byte stands at from:
// the place of its quote, or len(raw). Most of a large body is long strings, and
// looking for a byte is what processors are quickest at.
func stringEnd(raw []byte, from int) int {
	for at := from; ; at++ {
		n := bytes.IndexByte(raw[at:], '"')
		if n < 0 {
			return len(raw)
		}
		at += n
		first := at
		for first > from && raw[first-1] == '\\' {
			first--
		}
		if (at-first)%2 == 0 { // else the quote is escaped
			return at
		}
	}
}

// Uncapturable answers why no event is ever made of an answer with this header
// ("event_stream", "grpc", "multipart"), or "" where one may be. Such an answer
// must stream through: holding it back would break it.
func Uncapturable(response http.Header) string {
	media := mediaType(response)
	switch {
	case media == "text/event-stream":
		return SkippedEventStream
	case media == "application/grpc" || strings.HasPrefix(media, "application/grpc+") || strings.HasPrefix(media, "application/grpc-web"):
		return SkippedGRPC
	case strings.HasPrefix(media, "multipart/"):
		return SkippedMultipart
	}
	return ""
}

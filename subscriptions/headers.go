package subscriptions

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Redacted stands for the value of a header in what an owner is shown, and, sent
// back, for the value that is kept.
const Redacted = "***"

// Bounds of the headers that a subscriber may set: how many, and how many bytes
// all names and values may have together.
const (
	maxHeaders     = 20
	maxHeaderBytes = 4096
)

// ownHeaders are names that a delivery has anyway, that say how it is to be
// carried (RFC 9110 §7.6.1), or that a receiver behind a proxy believes of a
// proxy. Cookie is for sessions, which deliveries are not part of.
var ownHeaders = []string{
	"Host", "Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Expect", "Http2-Settings",
	"Cookie", "User-Agent", "Idempotency-Key", "Via", "Forwarded", "X-Real-Ip",
}

// ownHeaderPrefixes are such names by their beginnings.
var ownHeaderPrefixes = []string{"Content-", "Proxy-", "X-Forwarded-", "X-Hook-", "Webhook-", "Ce-"}

// readHeaders takes headers. One whose value is Redacted keeps its value.
func readHeaders(f *form, kept map[string]string) map[string]string {
	given, _ := f.object("headers")
	if len(given) == 0 {
		return nil
	}
	headers, size := make(map[string]string, len(given)), 0
	for _, name := range slices.Sorted(maps.Keys(given)) {
		canonical, value := http.CanonicalHeaderKey(name), given[name]
		if value == Redacted {
			value = kept[canonical]
		}
		_, twice := headers[canonical]
		if message := headerFault(canonical, value, twice); message != "" {
			f.bad.add("headers."+name, message)
			continue
		}
		headers[canonical] = value
		size += len(canonical) + len(value)
	}
	if len(given) > maxHeaders || size > maxHeaderBytes {
		f.bad.add("headers", "must be at most 20, of 4096 bytes together")
	}
	return headers
}

// headerFault says what is wrong with a header, "" for nothing. It does not
// repeat the value.
func headerFault(name, value string, twice bool) string {
	switch {
	case !isToken(name):
		return "must be named by letters, digits and !#$%&'*+-.^_`|~"
	case twice:
		return "must be given once; upper and lower case are the same"
	case slices.Contains(ownHeaders, name) || slices.ContainsFunc(ownHeaderPrefixes, func(p string) bool { return strings.HasPrefix(name, p) }):
		return "must not be set: " + name + " is not a subscriber's to choose"
	case value == "":
		return "must have a value; " + Redacted + " stands for one that is kept already"
	case strings.TrimSpace(value) != value || strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c > '~' }):
		return "must have a value of printable ASCII, without spaces around it"
	}
	return ""
}

// isToken tells whether a text can name a header (RFC 9110 §5.6.2).
func isToken(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
	})
}

func redactHeaders(headers map[string]string) map[string]string {
	shown := make(map[string]string, len(headers)) // never null
	for name := range headers {
		shown[name] = Redacted
	}
	return shown
}

// headersOf tells headers from the secret of the same subscription where they
// are sealed: neither opens in the other's place.
func headersOf(subscription string) string { return subscription + " headers" }

// sealHeaders answers headers as they are to be kept, "" for none.
func (s *Sealer) sealHeaders(subscription string, headers map[string]string) string {
	if len(headers) == 0 {
		return ""
	}
	text, _ := json.Marshal(headers) // a map of texts always encodes
	return s.Seal(headersOf(subscription), string(text))
}

// OpenHeaders answers a subscription's headers from how they are kept; or
// ErrSealed.
func (s *Sealer) OpenHeaders(subscription, kept string) (map[string]string, error) {
	if kept == "" {
		return nil, nil
	}
	text, err := s.Open(headersOf(subscription), kept)
	if err != nil {
		return nil, err
	}
	var headers map[string]string
	if json.Unmarshal([]byte(text), &headers) != nil {
		return nil, ErrSealed
	}
	return headers, nil
}

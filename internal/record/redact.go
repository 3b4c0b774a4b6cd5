package record

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/hookproxy/hookproxy/internal/har"
	"github.com/hookproxy/hookproxy/proxy"
	"github.com/hookproxy/hookproxy/rules"
)

// redactor takes secrets out of an exchange. The same credential becomes the
// same pseudonym throughout the recording, so that callers stay apart.
type redactor struct {
	secret [32]byte

	mu                  sync.Mutex
	headers, parameters map[string]bool // that carry credentials
}

// also has more headers and parameters redacted.
func (r *redactor) also(headers, parameters []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.headers, r.parameters = with(r.headers, headers), with(r.parameters, parameters)
}

// with answers a set with more names. Sets that are in use never change.
func with(set map[string]bool, names []string) map[string]bool {
	all := maps.Clone(set)
	if all == nil {
		all = make(map[string]bool)
	}
	for _, name := range names {
		all[name] = true
	}
	return all
}

func (r *redactor) carries() (headers, parameters map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.headers, r.parameters
}

// secretName matches names of headers and parameters, lower case and with "_",
// that look like a secret's. Unlike the list for payloads, which everyone must
// be able to predict, it may take too much.
var secretName = regexp.MustCompile(`token|secret|passw|passphrase|api_?key|access_?key|private_?key|credential|session|signature|csrf|xsrf|jwt|otp|cookie|authorization|authentication_info|assertion|(^|_)(auth|sig|key|code|pin|sid)($|_)`)

// plain are headers that the pattern would take, and that hold no secret.
var plain = []string{"Idempotency-Key", "Www-Authenticate", "Proxy-Authenticate"}

func isSecretName(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "-", "_")
	return rules.IsSecretKey(name) || secretName.MatchString(name)
}

func (r *redactor) pseudonym(value string) string {
	mac := hmac.New(sha256.New, r.secret[:])
	_, _ = mac.Write([]byte(value)) // a hash's Write never fails
	return rules.Masked + "-" + hex.EncodeToString(mac.Sum(nil)[:6])
}

// entry answers what may be written of an exchange.
func (r *redactor) entry(x *exchange) har.Entry {
	e := har.Entry{Started: x.started, Took: x.took, Own: x.own, User: x.user()}
	sent, _, unsent := x.sent.take()
	e.Request = har.Request{Method: x.method, URL: r.url(x.url), Header: r.header(x.header), Omitted: unsent}
	received, size, omitted := x.received.take()
	e.Response = har.Response{Status: x.status, Header: r.header(x.answered), Omitted: omitted, Size: size}
	if x.streams {
		e.Response.Omitted, e.Response.Size = har.OmittedNotRecorded, -1
	}
	var tooLarge string
	if e.Request.Body, tooLarge = r.body(e.Request.Header, sent, x.maxBody); tooLarge != "" {
		e.Request.Omitted = tooLarge
	}
	if e.Response.Body, tooLarge = r.body(e.Response.Header, received, x.maxBody); tooLarge != "" {
		e.Response.Omitted = tooLarge
	}
	return e
}

// url answers a URL whose path is written as rules see it.
func (r *redactor) url(u *url.URL) *url.URL {
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath, RawQuery: r.pairs(u.RawQuery, "&")}
}

// pairs redacts "a=1&token=2", whose order and spelling stay.
func (r *redactor) pairs(raw, separator string) string {
	if raw == "" {
		return ""
	}
	_, parameters := r.carries()
	pairs := strings.Split(raw, separator)
	for i, pair := range pairs {
		name, value, found := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil {
			plain = name
		}
		if found && value != "" && (isSecretName(plain) || parameters[plain]) {
			pairs[i] = name + "=" + r.pseudonym(value)
		}
	}
	return strings.Join(pairs, separator)
}

func (r *redactor) header(h http.Header) http.Header {
	redacted := make(http.Header, len(h))
	for name, values := range h {
		for _, value := range values {
			redacted[name] = append(redacted[name], r.headerValue(name, value))
		}
	}
	return redacted
}

func (r *redactor) headerValue(name, value string) string {
	headers, _ := r.carries()
	switch {
	case value == "" || slices.Contains(plain, name):
		return value
	case name == "Cookie":
		return r.cookies(value)
	case name == "Set-Cookie":
		cookie, attributes, found := strings.Cut(value, ";")
		if found {
			attributes = ";" + attributes
		}
		return r.cookies(cookie) + attributes
	case name == "Authorization" || name == "Proxy-Authorization":
		if scheme, credentials, found := strings.Cut(value, " "); found {
			return scheme + " " + r.pseudonym(credentials)
		}
		return r.pseudonym(value)
	case headers[name] || isSecretName(name):
		return r.pseudonym(value)
	case name == "Location" || name == "Content-Location" || name == "Referer" || name == "Link":
		return r.inURL(value)
	}
	return value
}

// cookies redacts every value: which of them is a session's, nobody can tell.
func (r *redactor) cookies(value string) string {
	pairs := strings.Split(value, ";")
	for i, pair := range pairs {
		if name, secret, found := strings.Cut(pair, "="); found && secret != "" {
			pairs[i] = name + "=" + r.pseudonym(secret)
		} else if !found && strings.TrimSpace(pair) != "" {
			pairs[i] = r.pseudonym(pair)
		}
	}
	return strings.Join(pairs, ";")
}

// userinfo is "user:password@" in a URL.
var userinfo = regexp.MustCompile(`//[^/?#@\s]*@`)

// inURL redacts the query and fragment of a URL, and who logs in there.
func (r *redactor) inURL(value string) string {
	value = userinfo.ReplaceAllString(value, "//"+rules.Masked+"@")
	before, query, found := strings.Cut(value, "?")
	if found {
		query = "?" + r.pairs(query, "&")
	}
	whole := before + query
	before, fragment, found := strings.Cut(whole, "#")
	if found {
		return before + "#" + r.pairs(fragment, "&")
	}
	return whole
}

// What stands in place of a body that cannot be redacted because it cannot be
// read. Rules make of it what they made of the body itself: neither is JSON,
// and neither is text.
var (
	unreadText  = []byte("(not recorded: not JSON)")
	unreadBytes = []byte("\xff")
)

// body answers what may be written of a body, decoded, and sets h right for it.
func (r *redactor) body(h http.Header, data []byte, most int64) (body []byte, omitted string) {
	if len(data) == 0 {
		return nil, ""
	}
	decoded, omitted := proxy.DecodeBody(h, data, most)
	switch {
	case omitted == "too_large":
		return nil, omitted
	case omitted != "":
		return unreadBytes, ""
	case !utf8.Valid(decoded):
		h.Del("Content-Encoding")
		return unreadBytes, ""
	}
	h.Del("Content-Encoding")
	media, _, _ := strings.Cut(strings.ToLower(h.Get("Content-Type")), ";")
	if strings.TrimSpace(media) == "application/x-www-form-urlencoded" {
		return []byte(r.pairs(string(decoded), "&")), ""
	}
	trimmed := bytes.TrimSpace(decoded)
	if len(trimmed) == 0 {
		return decoded, ""
	}
	if masked, ok := rules.Mask(decoded); ok && (strings.Contains(media, "json") || media == "" || trimmed[0] == '{' || trimmed[0] == '[') {
		return masked, ""
	}
	return unreadText, ""
}

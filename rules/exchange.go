package rules

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/tidwall/gjson"
)

// Exchange is a request and its answer, as far as rules look at them.
type Exchange struct {
	Method   string
	Path     string // escaped
	RawQuery string
	// BasePath is what the upstream has before each path, escaped: it may stand
	// in a Location. Empty for none.
	BasePath string
	// Mount is what the upstream does not have before the path, as Stripped says
	// of it. Empty for none.
	Mount string

	RequestHeader http.Header
	// RequestBody is the whole body, without content codings and in UTF-8. Nil where there was none, or where
	// RequestOmitted says why it is not whole.
	RequestBody []byte
	// RequestOmitted is why there is no whole request body, although the request
	// had one. Conditions on it cannot be judged then.
	RequestOmitted string

	Status         int
	ResponseHeader http.Header
	// ResponseBody is the whole body, without content codings and in UTF-8; nil
	// where there is none. Payloads may alias it.
	ResponseBody []byte
	// ResponseOmitted is why there is no whole response body: "too_large",
	// "truncated", "encoding", "budget" … Empty where it is whole.
	ResponseOmitted string

	// Previous and Fetched are what FetchBefore and FetchAfter wanted, by target.
	// What is not there counts as failed.
	Previous, Fetched map[string]Document

	// Caller is the user who sent the request; empty where unknown.
	Caller string
}

// reading is an exchange whose parts are parsed when first asked for.
type reading struct {
	*Exchange
	request  *body
	response body
	answered bool // response is what responseBody answers
	query    url.Values
	found    map[string]value // of sources that all items share, by their text
	rendered int              // bytes of payloads so far
}

// maxRendered bounds the payloads that one exchange makes, in bytes: with each
// and a payload that repeats what all items share, a body of 1 MiB would become
// a thousand.
const maxRendered = 8 << 20

func (r *reading) requestBody() *body {
	if r.request == nil {
		b := body{omitted: r.RequestOmitted}
		if b.omitted == "" {
			b = readBody(r.RequestHeader, r.RequestBody)
		}
		// A request without JSON, a form for example, definitely lacks every
		// key: conditions on it can be judged.
		if b.omitted == OmittedNotJSON {
			b.omitted = OmittedNoContent
		}
		r.request = &b
	}
	return r.request
}

func (r *reading) responseBody() *body {
	if !r.answered {
		r.answered = true
		switch r.response.omitted = r.ResponseOmitted; {
		case r.Status == http.StatusNoContent || r.Status == http.StatusResetContent:
			r.response.omitted = OmittedNoContent // whatever follows is not content (RFC 9110 §15.3.5)
		case r.response.omitted == "":
			r.response = readBody(r.ResponseHeader, r.ResponseBody)
		}
	}
	return &r.response
}

// value is what stands at a source. json does not exist where nothing does, or
// where unknown says why nobody can tell.
type value struct {
	json      gjson.Result
	unknown   string
	ambiguous bool // an object on the way has the key twice
}

func textValue(s string) value {
	return value{json: gjson.Result{Type: gjson.String, Str: s, Raw: quoteJSON(s)}}
}

// scene is one rule looking at one exchange, and with each at one item of it.
type scene struct {
	*reading
	hit
	item gjson.Result
}

func (sc scene) value(s source) value {
	switch s.kind {
	case pathParam:
		return textValue(sc.rule.template.param(sc.params, s.name))
	case queryParam:
		return sc.queryValue(s.name)
	case requestHeader:
		return headerValue(sc.RequestHeader, s.name)
	case responseHeader:
		return headerValue(sc.ResponseHeader, s.name)
	case responseStatus:
		return value{json: gjson.Parse(strconv.Itoa(sc.Status))}
	case requestBody:
		return sc.once(s, func() value { return bodyValue(sc.requestBody(), s.path) })
	case responseBody:
		return sc.once(s, func() value { return bodyValue(sc.responseBody(), s.path) })
	case eachItem:
		found, ambiguous := s.path.find(sc.item)
		return value{json: found, ambiguous: ambiguous}
	case fetchedBody:
		return bodyValue(sc.fetchedBody(), s.path)
	case previousBody:
		return bodyValue(sc.previousBody(), s.path)
	default: // callerUser
		if sc.Caller == "" {
			return value{unknown: OmittedCaller}
		}
		return textValue(sc.Caller)
	}
}

// once looks for what all items share the first time only: a search runs through
// the body, and a thousand items would make it a thousand times.
func (sc scene) once(s source, find func() value) value {
	if sc.rule.options.each == nil {
		return find()
	}
	v, known := sc.found[s.text]
	if !known {
		if v = find(); sc.found == nil {
			sc.found = map[string]value{}
		}
		sc.found[s.text] = v
	}
	return v
}

func (sc scene) queryValue(name string) value {
	if sc.query == nil {
		// What cannot be parsed is left out; the rest still counts.
		sc.query, _ = url.ParseQuery(sc.RawQuery)
	}
	if values := sc.query[name]; len(values) > 0 {
		return textValue(values[0])
	}
	return value{}
}

func headerValue(header http.Header, name string) value {
	if values := header.Values(name); len(values) > 0 {
		return textValue(values[0])
	}
	return value{}
}

func bodyValue(b *body, path jsonPath) value {
	if b.raw == nil {
		if b.omitted == OmittedNoContent {
			return value{}
		}
		return value{unknown: b.omitted}
	}
	found, ambiguous := path.find(b.json())
	return value{json: found, ambiguous: ambiguous}
}

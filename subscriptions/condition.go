package subscriptions

import (
	"errors"
	"net/http"
	"strings"
)

var (
	errPrecondition = errors.New("the subscription is not as If-Match or If-None-Match asks")
	errNotModified  = errors.New("the subscription is as the client has it")
)

// conditional tells whether a change may be made of one state only.
func conditional(r *http.Request) bool { return len(r.Header.Values("If-Match")) > 0 }

// checkConditions evaluates a request's preconditions in the order of RFC 9110
// section 13.2.2: If-Match compares strongly, If-None-Match weakly.
func checkConditions(r *http.Request, etag string) error {
	if match := r.Header.Values("If-Match"); len(match) > 0 && !lists(match, quoted(etag)) {
		return errPrecondition
	}
	if none := r.Header.Values("If-None-Match"); len(none) > 0 && (lists(none, quoted(etag)) || lists(none, "W/"+quoted(etag))) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			return errNotModified
		}
		return errPrecondition
	}
	return nil
}

// lists tells whether a list of entity tags holds one, or is "*". Ours hold
// neither commas nor quotes, so that one of somebody else's that does cannot be
// mistaken for it.
func lists(values []string, tag string) bool {
	for _, value := range values {
		for one := range strings.SplitSeq(value, ",") {
			if one = strings.Trim(one, " \t"); one == "*" || one == tag {
				return true
			}
		}
	}
	return false
}

func quoted(etag string) string { return `"` + etag + `"` }

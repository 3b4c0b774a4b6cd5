package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/hookproxy/hookproxy/delivery"
	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/subscriptions"
)

const (
	// retryAfter is when to ask again after a 503, in seconds.
	retryAfter = "5"
	// statusClientGone is nginx's: nobody is left to read the answer.
	statusClientGone = 499
)

var (
	errToken       = errors.New("send the admin token, as Authorization: Bearer")
	errHost        = errors.New("without an admin token, ask by localhost, 127.0.0.1 or [::1]")
	errCrossOrigin = errors.New("a browser sent this from another origin")
	errMediaType   = errors.New("a POST must be application/json, also where it has no body")
	errMethod      = errors.New("the method is not one of those in Allow")
	errTooLarge    = errors.New("the body must not be longer than 64 KiB")
	errMalformed   = errors.New("the body is not the JSON that is expected")
	errNoPath      = errors.New("there is no such path")
)

// problem is the body of every refusal (RFC 9457).
type problem struct {
	// Type stays the same across versions; clients may go by it. All are listed in
	// docs/problems.md.
	Type   string  `json:"type"`
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail,omitempty"`
	Errors invalid `json:"errors,omitempty"`
}

// fault is what is wrong with one field of a body or a query.
type fault struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// invalid is an error that the caller can mend, field by field.
type invalid []fault

func (i invalid) Error() string { return fmt.Sprintf("%d fields are invalid", len(i)) }

// refusals say what each error is to a client. The first that fits is taken.
var refusals = []struct {
	err    error
	status int
	name   string
	title  string
}{
	{errToken, http.StatusUnauthorized, "unauthenticated", "The admin token is missing or wrong"},
	{errHost, http.StatusForbidden, "host-refused", "The host name is refused"},
	{errCrossOrigin, http.StatusForbidden, "cross-origin", "Requests from other origins are refused"},
	{errMediaType, http.StatusUnsupportedMediaType, "unsupported-media-type", "The body is of another type"},
	{errMethod, http.StatusMethodNotAllowed, "method-not-allowed", "The method does not apply here"},
	{errTooLarge, http.StatusRequestEntityTooLarge, "too-large", "The body is too large"},
	{errMalformed, http.StatusBadRequest, "malformed", "The body cannot be read"},
	{errNoPath, http.StatusNotFound, "not-found", "There is no such path"},
	{subscriptions.ErrUnavailable, http.StatusServiceUnavailable, "store-unavailable", "Redis cannot be reached now"},
	{subscriptions.ErrNotFound, http.StatusNotFound, "not-found", "There is no such thing"},
	{subscriptions.ErrPending, http.StatusConflict, "pending", "The subscription is not confirmed"},
	{subscriptions.ErrNotKept, http.StatusUnprocessableEntity, "not-kept", "The event cannot be delivered again"},
	{subscriptions.ErrTooManyRedeliveries, http.StatusTooManyRequests, "too-many-redeliveries", "As many redeliveries are under way as are allowed"},
	{delivery.ErrTooManyJobs, http.StatusTooManyRequests, "too-many-redeliveries", "There are as many redeliveries as are allowed"},
	{events.ErrNotParked, http.StatusNotFound, "not-found", "No such event is parked"},
	{events.ErrNotAssignable, http.StatusConflict, "not-assignable", "The event cannot be given to that user"},
	{events.ErrMalformed, http.StatusConflict, "not-assignable", "What cannot be read cannot be given to anybody"},
}

func problemOf(err error) problem {
	if bad, ok := errors.AsType[invalid](err); ok {
		return problem{Type: typeOf("invalid"), Title: "Some fields are invalid", Status: http.StatusUnprocessableEntity, Errors: bad}
	}
	for _, refusal := range refusals {
		if errors.Is(err, refusal.err) {
			p := problem{Type: typeOf(refusal.name), Title: refusal.title, Status: refusal.status}
			if p.Status != http.StatusServiceUnavailable && p.Status != http.StatusNotFound {
				p.Detail = err.Error()
			}
			return p
		}
	}
	return problem{Type: typeOf("internal"), Title: "Something went wrong here", Status: http.StatusInternalServerError}
}

func typeOf(name string) string { return "urn:hookproxy:problem:" + name }

// fail answers an error. It is where errors end.
func (c *console) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		w.WriteHeader(statusClientGone)
		return
	}
	if isStore(err) {
		err = fmt.Errorf("%w: %w", subscriptions.ErrUnavailable, err)
	}
	p := problemOf(err)
	switch {
	case p.Status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case p.Status == http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", retryAfter)
	}
	if p.Status >= http.StatusInternalServerError {
		c.log.Warn("admin request failed", "method", r.Method, "path", r.URL.Path, "status", p.Status, "error", err)
	}
	c.write(w, p.Status, "application/problem+json", p)
}

func (c *console) ok(w http.ResponseWriter, status int, value any) {
	c.write(w, status, "application/json", value)
}

func (c *console) write(w http.ResponseWriter, status int, contentType string, value any) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // payloads stay as they are
	if err := encoder.Encode(value); err != nil {
		c.log.Error("encode an answer", "error", err)
		status = http.StatusInternalServerError
		body.Reset()
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a client that has left needs no answer
}

package subscriptions

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/hookproxy/hookproxy/identity"
)

const (
	// retryAfter is when to ask again after a 503, in seconds.
	retryAfter = "5"
	// statusClientGone is nginx's: nobody is left to read the answer.
	statusClientGone = 499
	// anyChallenge is asked for where nobody knows better: a 401 must ask for
	// something (RFC 9110 section 15.5.2).
	anyChallenge = "Bearer"
)

var (
	errMethod      = errors.New("the method is not one of those in Allow")
	errCrossOrigin = errors.New("a browser sent this from another origin")
)

// problem is the body of every refusal (RFC 9457).
type problem struct {
	// Type stays the same across versions; clients may go by it. All are listed
	// in docs/problems.md.
	Type   string     `json:"type"`
	Title  string     `json:"title"`
	Status int        `json:"status"`
	Detail string     `json:"detail,omitempty"`
	Errors violations `json:"errors,omitempty"`
	// Target is what a target answered to a handshake.
	Target *asked `json:"target,omitempty"`
}

// refusals say what each error is to a client. The first that fits is taken.
var refusals = []struct {
	err    error
	status int
	name   string
	title  string
}{
	{identity.ErrUnauthenticated, http.StatusUnauthorized, unauthenticated, "Who is calling is not known"},
	{identity.ErrUnavailable, http.StatusServiceUnavailable, identityUnavailable, "Who is calling cannot be found out now"},
	{ErrUnavailable, http.StatusServiceUnavailable, storeUnavailable, "Subscriptions cannot be reached now"},
	{ErrNotFound, http.StatusNotFound, notFound, "There is no such subscription"},
	{ErrLimit, http.StatusUnprocessableEntity, "too-many-subscriptions", "There are as many subscriptions as are allowed"},
	{ErrNotKept, http.StatusUnprocessableEntity, "not-kept", "The event cannot be delivered again"},
	{ErrTooManyRedeliveries, http.StatusTooManyRequests, "too-many-redeliveries", "As many redeliveries are under way as are allowed"},
	{ErrFull, http.StatusTooManyRequests, "full", "There are as many subscriptions of all users as are allowed"},
	{ErrDuplicate, http.StatusConflict, "duplicate", "There is such a subscription already"},
	{ErrOtherSecret, http.StatusConflict, "other-secret", "The subscription has another secret"},
	{ErrChanged, http.StatusConflict, "conflict", "The subscription keeps being changed by others"},
	{ErrKeyReused, http.StatusUnprocessableEntity, "idempotency-key-reused", "The Idempotency-Key belongs to another request"},
	{ErrKeySpent, http.StatusConflict, "idempotency-key-spent", "What the Idempotency-Key made is gone"},
	{errPrecondition, http.StatusPreconditionFailed, "precondition-failed", "A precondition does not hold"},
	{errRefused, http.StatusUnprocessableEntity, "target-refused", "The target does not show that it wants hooks"},
	{errHookSecret, http.StatusForbidden, "wrong-hook-secret", "The X-Hook-Secret is wrong"},
	{errPending, http.StatusConflict, "unconfirmed", "The target has not confirmed that it wants hooks"},
	{errTooOften, http.StatusTooManyRequests, "too-many-requests", "That was too often"},
	{errMethod, http.StatusMethodNotAllowed, "method-not-allowed", "The method does not apply here"},
	{errCrossOrigin, http.StatusForbidden, "cross-origin", "Requests from other origins are refused"},
	{errMediaType, http.StatusUnsupportedMediaType, "unsupported-media-type", "The body is of another type"},
	{errTooLarge, http.StatusRequestEntityTooLarge, "too-large", "The body is too large"},
	{errMalformed, http.StatusBadRequest, "malformed", "The body cannot be read"},
}

func problemOf(err error) problem {
	if bad, ok := errors.AsType[violations](err); ok {
		return problem{Type: typeOf("invalid"), Title: "Some fields are invalid", Status: http.StatusUnprocessableEntity, Errors: bad}
	}
	for _, refusal := range refusals {
		if errors.Is(err, refusal.err) {
			p := problem{
				Type: typeOf(refusal.name), Title: refusal.title, Status: refusal.status, Detail: detailOf(err, refusal.name),
			}
			if refused, ok := errors.AsType[*refusedError](err); ok {
				p.Target = new(refused.reply.asked())
			}
			return p
		}
	}
	return problem{Type: typeOf("internal"), Title: "Something went wrong here", Status: http.StatusInternalServerError}
}

func typeOf(name string) string { return "urn:hookproxy:problem:" + name }

// Names of refusals whose detail is not the error's.
const (
	unauthenticated     = "unauthenticated"
	identityUnavailable = "identity-unavailable"
	storeUnavailable    = "store-unavailable"
	notFound            = "not-found"
)

// detailOf keeps to ourselves what a client cannot mend, and why nobody has
// vouched for it; the log has it.
func detailOf(err error, name string) string {
	switch name {
	case unauthenticated:
		return "send the credentials that the API itself takes"
	case identityUnavailable:
		return "the API could not be asked; why is in hookproxy's log"
	case storeUnavailable:
		return "Redis could not be asked; why is in hookproxy's log"
	case notFound:
		return ""
	}
	return err.Error()
}

// fail answers an error. It is where errors end: those that an operator must
// know of are logged here.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		w.WriteHeader(statusClientGone)
		return
	}
	p := problemOf(err)
	if often, ok := errors.AsType[*rateError](err); ok {
		w.Header().Set("Retry-After", strconv.Itoa(int(often.after.Seconds())))
	}
	switch p.Status {
	case http.StatusUnauthorized:
		h.log.Debug("subscription request refused", "method", r.Method, "status", p.Status, "error", err)
		challenge(w.Header(), err)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", retryAfter)
	}
	if p.Status >= http.StatusInternalServerError {
		h.log.Warn("subscription request failed", "method", r.Method, "status", p.Status, "error", err)
	}
	h.write(w, p.Status, "application/problem+json", p)
}

// challenge hands on what the upstream asks for.
func challenge(header http.Header, err error) {
	refusal, ok := errors.AsType[*identity.UnauthenticatedError](err)
	if !ok || len(refusal.Challenges) == 0 {
		header.Set("WWW-Authenticate", anyChallenge)
		return
	}
	for _, value := range refusal.Challenges {
		header.Add("WWW-Authenticate", value)
	}
}

// notFound answers a path that is none of ours as it does an id that is not
// the caller's.
func (h *handler) notFound(http.ResponseWriter, *http.Request, string) error {
	return fmt.Errorf("path: %w", ErrNotFound)
}

package subscriptions

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/hookproxy/hookproxy/identity"
	"github.com/hookproxy/hookproxy/internal/problem"
)

const (
	// anyChallenge is asked for where nobody knows better: a 401 must ask for
	// something (RFC 9110 section 15.5.2).
	anyChallenge = "Bearer"
)

var (
	errMethod      = errors.New("the method is not one of those in Allow")
	errCrossOrigin = errors.New("a browser sent this from another origin")
)

// refused is the body of every refusal.
type refused struct {
	problem.Problem
	// Target is what a target answered to a handshake.
	Target *asked `json:"target,omitempty"`
}

// refusals say what each error is to a client. The first that fits is taken. What a
// client cannot mend, and why nobody has vouched for it, is for the log.
var refusals = []problem.Refusal{
	problem.Refuse(identity.ErrUnauthenticated, http.StatusUnauthorized, "unauthenticated", "Who is calling is not known").
		Saying("send the credentials that the API itself takes"),
	problem.Refuse(identity.ErrUnavailable, http.StatusServiceUnavailable, "identity-unavailable", "Who is calling cannot be found out now").
		Saying("the API could not be asked; why is in hookproxy's log"),
	problem.Refuse(ErrUnavailable, http.StatusServiceUnavailable, "store-unavailable", "Subscriptions cannot be reached now").
		Saying("Redis could not be asked; why is in hookproxy's log"),
	problem.Refuse(ErrNotFound, http.StatusNotFound, "not-found", "There is no such subscription").Saying(""),
	problem.Refuse(ErrLimit, http.StatusUnprocessableEntity, "too-many-subscriptions", "There are as many subscriptions as are allowed"),
	problem.Refuse(ErrNotKept, http.StatusUnprocessableEntity, "not-kept", "The event cannot be delivered again"),
	problem.Refuse(ErrTooManyRedeliveries, http.StatusTooManyRequests, "too-many-redeliveries", "As many redeliveries are under way as are allowed"),
	problem.Refuse(ErrFull, http.StatusTooManyRequests, "full", "There are as many subscriptions of all users as are allowed"),
	problem.Refuse(ErrDuplicate, http.StatusConflict, "duplicate", "There is such a subscription already"),
	problem.Refuse(ErrOtherSecret, http.StatusConflict, "other-secret", "The subscription has another secret"),
	problem.Refuse(ErrChanged, http.StatusConflict, "conflict", "The subscription keeps being changed by others"),
	problem.Refuse(ErrKeyReused, http.StatusUnprocessableEntity, "idempotency-key-reused", "The Idempotency-Key belongs to another request"),
	problem.Refuse(ErrKeySpent, http.StatusConflict, "idempotency-key-spent", "What the Idempotency-Key made is gone"),
	problem.Refuse(errPrecondition, http.StatusPreconditionFailed, "precondition-failed", "A precondition does not hold"),
	problem.Refuse(errRefused, http.StatusUnprocessableEntity, "target-refused", "The target does not show that it wants hooks"),
	problem.Refuse(errHookSecret, http.StatusForbidden, "wrong-hook-secret", "The X-Hook-Secret is wrong"),
	problem.Refuse(errPending, http.StatusConflict, "unconfirmed", "The target has not confirmed that it wants hooks"),
	problem.Refuse(errTooOften, http.StatusTooManyRequests, "too-many-requests", "That was too often"),
	problem.Refuse(errMethod, http.StatusMethodNotAllowed, "method-not-allowed", "The method does not apply here"),
	problem.Refuse(errCrossOrigin, http.StatusForbidden, "cross-origin", "Requests from other origins are refused"),
	problem.Refuse(errMediaType, http.StatusUnsupportedMediaType, "unsupported-media-type", "The body is of another type"),
	problem.Refuse(errTooLarge, http.StatusRequestEntityTooLarge, "too-large", "The body is too large"),
	problem.Refuse(errMalformed, http.StatusBadRequest, "malformed", "The body cannot be read"),
}

func refusedOf(err error) refused {
	r := refused{Problem: problem.Of(err, refusals)}
	if by, ok := errors.AsType[*refusedError](err); ok {
		r.Target = new(by.reply.asked())
	}
	return r
}

// fail answers an error. It is where errors end: those that an operator must
// know of are logged here.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		w.WriteHeader(problem.ClientGone)
		return
	}
	p := refusedOf(err)
	if often, ok := errors.AsType[*rateError](err); ok {
		w.Header().Set("Retry-After", strconv.Itoa(int(often.after.Seconds())))
	}
	switch p.Status {
	case http.StatusUnauthorized:
		h.log.Debug("subscription request refused", "method", r.Method, "status", p.Status, "error", err)
		challenge(w.Header(), err)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", problem.RetryAfter)
	}
	if p.Status >= http.StatusInternalServerError {
		h.log.Warn("subscription request failed", "method", r.Method, "status", p.Status, "error", err)
	}
	problem.Write(w, h.log, p.Status, problem.MediaType, p)
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

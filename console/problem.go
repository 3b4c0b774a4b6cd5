package console

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/hookproxy/hookproxy/delivery"
	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/internal/problem"
	"github.com/hookproxy/hookproxy/subscriptions"
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

// refusals say what each error is to a client. The first that fits is taken.
var refusals = []problem.Refusal{
	problem.Refuse(errToken, http.StatusUnauthorized, "unauthenticated", "The admin token is missing or wrong"),
	problem.Refuse(errHost, http.StatusForbidden, "host-refused", "The host name is refused"),
	problem.Refuse(errCrossOrigin, http.StatusForbidden, "cross-origin", "Requests from other origins are refused"),
	problem.Refuse(errMediaType, http.StatusUnsupportedMediaType, "unsupported-media-type", "The body is of another type"),
	problem.Refuse(errMethod, http.StatusMethodNotAllowed, "method-not-allowed", "The method does not apply here"),
	problem.Refuse(errTooLarge, http.StatusRequestEntityTooLarge, "too-large", "The body is too large"),
	problem.Refuse(errMalformed, http.StatusBadRequest, "malformed", "The body cannot be read"),
	problem.Refuse(errNoPath, http.StatusNotFound, "not-found", "There is no such path").Saying(""),
	problem.Refuse(subscriptions.ErrUnavailable, http.StatusServiceUnavailable, "store-unavailable", "Redis cannot be reached now").Saying(""),
	problem.Refuse(subscriptions.ErrNotFound, http.StatusNotFound, "not-found", "There is no such thing").Saying(""),
	problem.Refuse(subscriptions.ErrPending, http.StatusConflict, "pending", "The subscription is not confirmed"),
	problem.Refuse(subscriptions.ErrNotKept, http.StatusUnprocessableEntity, "not-kept", "The event cannot be delivered again"),
	problem.Refuse(subscriptions.ErrTooManyRedeliveries, http.StatusTooManyRequests, "too-many-redeliveries", "As many redeliveries are under way as are allowed"),
	problem.Refuse(delivery.ErrTooManyJobs, http.StatusTooManyRequests, "too-many-redeliveries", "There are as many redeliveries as are allowed"),
	problem.Refuse(events.ErrNotParked, http.StatusNotFound, "not-found", "No such event is parked").Saying(""),
	problem.Refuse(events.ErrNotAssignable, http.StatusConflict, "not-assignable", "The event cannot be given to that user"),
	problem.Refuse(events.ErrMalformed, http.StatusConflict, "not-assignable", "What cannot be read cannot be given to anybody"),
}

// fail answers an error. It is where errors end.
func (c *console) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		w.WriteHeader(problem.ClientGone)
		return
	}
	if isStore(err) {
		err = fmt.Errorf("%w: %w", subscriptions.ErrUnavailable, err)
	}
	p := problem.Of(err, refusals)
	switch {
	case p.Status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case p.Status == http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", problem.RetryAfter)
	}
	if p.Status >= http.StatusInternalServerError {
		c.log.Warn("admin request failed", "method", r.Method, "path", r.URL.Path, "status", p.Status, "error", err)
	}
	problem.Write(w, c.log, p.Status, problem.MediaType, p)
}

func (c *console) ok(w http.ResponseWriter, status int, value any) {
	problem.Write(w, c.log, status, "application/json", value)
}

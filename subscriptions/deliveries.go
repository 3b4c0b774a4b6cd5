package subscriptions

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// streamID is how Redis names an entry of a stream, and so an Attempt's Cursor.
var streamID = regexp.MustCompile(`^[0-9]{1,20}-[0-9]{1,20}$`)

// routeHistory adds the endpoints of what became of a subscription's deliveries.
func (h *handler) routeHistory(route func(path string, a actions)) {
	one := slashed(h.path) + "{id:[^/]+}/"
	route(one+"deliveries", actions{http.MethodGet: h.confirming(h.listAttempts)})
	route(one+"missed", actions{http.MethodGet: h.confirming(h.listMissed)})
	route(one+"missed/ack", actions{http.MethodPost: h.confirming(h.acknowledge)})
	route(one+"redeliver", actions{http.MethodPost: h.confirming(h.redeliver)})
	route(one+"redeliveries/{redelivery:[^/]+}", actions{http.MethodGet: h.confirming(h.getRedelivery)})
}

// IsAttemptCursor tells whether a text can be an Attempt's Cursor.
func IsAttemptCursor(text string) bool { return streamID.MatchString(text) }

// listAttempts answers the last attempts of a subscription, newest first.
func (h *handler) listAttempts(w http.ResponseWriter, r *http.Request, user string) error {
	query, err := readAttemptQuery(r)
	if err != nil {
		return err
	}
	sub, err := h.store.Get(r.Context(), user, idOf(r))
	if err != nil {
		return err
	}
	list, more, err := h.history.Attempts(r.Context(), sub.ID, query)
	if err != nil {
		return err
	}
	if more {
		w.Header().Set("Link", nextLink(r, "cursor", list[len(list)-1].Cursor))
	}
	h.ok(w, http.StatusOK, neverNull(list))
	return nil
}

func readAttemptQuery(r *http.Request) (AttemptQuery, error) {
	q := AttemptQuery{Limit: maxPage}
	p, err := readParameters(r)
	if err != nil {
		return q, err
	}
	p.one("outcome", func(v string) bool { q.Outcome = v; return slices.Contains(attemptOutcomes, v) },
		"must be one of "+strings.Join(attemptOutcomes, ", "))
	p.one("event", func(v string) bool { q.Event = v; return v != "" }, "must be one event, or an event's id")
	p.one("cursor", func(v string) bool { q.Before = v; return IsAttemptCursor(v) }, "must be as the last page's Link had it")
	p.limit(&q.Limit)
	return q, p.err()
}

// neverNull answers a list that JSON writes as [] where it is empty.
func neverNull[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// nextLink answers the Link (RFC 8288) to the page that one parameter more leads to.
// What else stands in the query stays: a filter, or the key that callers are known by.
func nextLink(r *http.Request, name, value string) string {
	query := r.URL.Query()
	query.Set(name, value)
	return "<" + r.URL.EscapedPath() + "?" + query.Encode() + `>; rel="next"`
}

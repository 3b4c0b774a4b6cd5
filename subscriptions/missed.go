package subscriptions

import (
	"net/http"
	"strconv"
)

// maxSequence is the highest number that JSON readers everywhere keep exact.
const maxSequence = 1<<53 - 1

// Reasons for which an event was not delivered, beside the states of its
// subscription that keep it from being delivered.
const (
	reasonGivenUp = "given_up"
	reasonFailed  = "failed"
	reasonResting = "resting"
)

// listMissed is the claim check: a receiver that was away reads here what it has
// not had, and goes on after the last sequence that it saw.
func (h *handler) listMissed(w http.ResponseWriter, r *http.Request, user string) error {
	query, err := readMissedQuery(r)
	if err != nil {
		return err
	}
	sub, err := h.store.Get(r.Context(), user, idOf(r))
	if err != nil {
		return err
	}
	page, err := h.history.Missed(r.Context(), sub.ID, query)
	if err != nil {
		return err
	}
	if page.Next > 0 {
		w.Header().Set("Link", nextLink(r, "after", strconv.FormatInt(page.Next, 10)))
	}
	h.ok(w, http.StatusOK, page.Explain(sub))
	return nil
}

func readMissedQuery(r *http.Request) (MissedQuery, error) {
	q := MissedQuery{Limit: maxPage, Data: true}
	p, err := readParameters(r)
	if err != nil {
		return q, err
	}
	p.one("after", func(v string) bool {
		n, err := strconv.ParseInt(v, 10, 64)
		q.After = n
		return err == nil && n >= 0 && n <= maxSequence
	}, "must be a sequence number")
	p.one("data", func(v string) bool { q.Data = v == "true"; return q.Data || v == "false" }, "must be true or false")
	p.limit(&q.Limit)
	return q, p.err()
}

// Explain answers the page's list with the reason of each; never nil.
func (p MissedPage) Explain(sub Subscription) []Missed {
	for i := range p.List {
		m := &p.List[i]
		switch {
		case m.State == MissedDead:
			m.Reason = reasonGivenUp
		case m.State == MissedInFlight:
		case !sub.Active:
			m.Reason = sub.State()
		case p.Resting:
			m.Reason = reasonResting
		case m.State == MissedRetrying:
			m.Reason = reasonFailed
		}
	}
	return neverNull(p.List)
}

// acknowledged is what came of an acknowledgement.
type acknowledged struct {
	Acknowledged int64 `json:"acknowledged"`
	// More tells that it did not reach all of it, and is to be sent again.
	More bool `json:"more"`
}

// acknowledge lets go of what a receiver has read for itself.
func (h *handler) acknowledge(w http.ResponseWriter, r *http.Request, user string) error {
	body, err := readObject(w, r)
	if err != nil {
		return err
	}
	f := newForm(body)
	f.settable = "through"
	through, given := f.whole("through", 0, maxSequence)
	if !given {
		f.missing("through")
	}
	if err := f.done(); err != nil {
		return err
	}
	sub, err := h.store.Get(r.Context(), user, idOf(r))
	if err != nil {
		return err
	}
	count, more, err := h.history.Acknowledge(r.Context(), sub.ID, int64(through))
	if err != nil {
		return err
	}
	h.log.Info("missed events acknowledged", "subscription", sub.ID, "user", sub.User, "through", through, "count", count)
	h.ok(w, http.StatusOK, acknowledged{count, more})
	return nil
}

package console

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/hookproxy/hookproxy/delivery"
	"github.com/hookproxy/hookproxy/subscriptions"
)

// looks bounds how often one request asks for the dead letters of a subscription.
const looks = 200

// deadLetter is one beside whose it is.
type deadLetter struct {
	Subscription string `json:"subscription"`
	User         string `json:"user"`
	Target       string `json:"target"`
	subscriptions.Missed
}

// listDead answers dead letters of all subscriptions that are selected, in the
// order of their ids, and of each by sequence. The cursor is a subscription and a
// sequence.
func (c *console) listDead(w http.ResponseWriter, r *http.Request) error {
	q := readQuery(r)
	only, selection, cursor, limit := q.text("subscription"), q.selection(), q.text("cursor"), q.limit()
	event := selection.Event // the dead letter's own, not what the subscription wants
	selection.Event = ""
	id, after, ok := readDeadCursor(cursor)
	if !ok {
		q.bad = append(q.bad, badCursor)
	}
	if err := q.done(); err != nil {
		return err
	}
	subs, err := c.withDead(r.Context(), only, id, selection)
	if err != nil {
		return err
	}
	var items []deadLetter
	for look, i := 0, 0; i < len(subs); look++ {
		sub := subs[i]
		if sub.ID != id {
			after = 0
		}
		if len(items) >= limit || look == looks {
			c.ok(w, http.StatusOK, pageOf(items, sub.ID+"."+strconv.FormatInt(after, 10)))
			return nil
		}
		found, err := c.deliveries.Missed(r.Context(), sub.ID, subscriptions.MissedQuery{After: after, Limit: limit - len(items), Dead: true})
		if err != nil {
			return err
		}
		for _, m := range found.List {
			if event == "" || subscriptions.Covers(event, m.Event) {
				items = append(items, deadLetter{sub.ID, sub.User, origin(sub.TargetURL), m})
			}
		}
		if id, after = sub.ID, found.Next; after == 0 {
			i++
		}
	}
	c.ok(w, http.StatusOK, pageOf(items, ""))
	return nil
}

func readDeadCursor(cursor string) (id string, after int64, ok bool) {
	if cursor == "" {
		return "", 0, true
	}
	id, sequence, _ := strings.Cut(cursor, ".")
	after, err := strconv.ParseInt(sequence, 10, 64)
	return id, after, err == nil && id != "" && after >= 0
}

// withDead answers the selected subscriptions that have dead letters, in the order
// of their ids, from one on.
func (c *console) withDead(ctx context.Context, only, from string, selection subscriptions.Selection) ([]subscriptions.Subscription, error) {
	ids := []string{only}
	if only == "" {
		var err error
		if ids, err = c.deliveries.WithDead(ctx); err != nil {
			return nil, err
		}
	}
	slices.Sort(ids)
	ids = slices.DeleteFunc(ids, func(id string) bool { return id < from })
	subs, err := c.subscriptions.InspectAll(ctx, ids)
	return slices.DeleteFunc(subs, func(s subscriptions.Subscription) bool { return !selection.Has(s) }), err
}

func (c *console) showDead(w http.ResponseWriter, r *http.Request) error {
	sub, err := c.subscriptions.Inspect(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	letter, err := c.deliveries.DeadLetter(r.Context(), sub.ID, r.PathValue("event"))
	if err != nil {
		return err
	}
	c.ok(w, http.StatusOK, deadLetter{sub.ID, sub.User, origin(sub.TargetURL), letter})
	return nil
}

func (c *console) deleteDead(w http.ResponseWriter, r *http.Request) error {
	id, event := r.PathValue("id"), r.PathValue("event")
	count, _, err := c.deliveries.Drop(r.Context(), id, delivery.DropDead, event)
	if err != nil {
		return err
	}
	if count == 0 {
		return subscriptions.ErrNotFound
	}
	c.log.Info("operator deleted a dead letter", "subscription", id, "event", event)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

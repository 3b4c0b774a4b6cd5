package console

import (
	"net/http"
	"net/url"
	"time"

	"github.com/hookproxy/hookproxy/delivery"
	"github.com/hookproxy/hookproxy/internal/problem"
	"github.com/hookproxy/hookproxy/subscriptions"
)

// subscription is one as an operator sees it: without its secrets, the headers that
// it sends, and the part of its target URL that is often a secret too.
type subscription struct {
	ID          string            `json:"id"`
	User        string            `json:"user"`
	Events      []string          `json:"events"`
	Format      string            `json:"format"`
	Target      string            `json:"target"`
	State       string            `json:"state"`
	StateReason string            `json:"state_reason,omitempty"`
	StateSince  time.Time         `json:"state_since"`
	Description string            `json:"description,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	ExpiresAt   time.Time         `json:"expires_at,omitzero"`
	CreatedAt   time.Time         `json:"created_at"`
	UpdatedAt   time.Time         `json:"updated_at"`
	// Queue is there where one is shown by itself.
	Queue *delivery.Queue `json:"queue,omitempty"`
}

func subscriptionOf(s subscriptions.Subscription) subscription {
	return subscription{
		ID: s.ID, User: s.User, Events: s.Events, Format: s.Format, Target: origin(s.TargetURL), State: s.State(), StateReason: s.InactiveReason,
		StateSince: s.StateSince, Description: s.Description, Metadata: s.Metadata, ExpiresAt: s.ExpiresAt, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
	}
}

// origin answers a target URL's scheme, host and port.
func origin(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
}

func (c *console) listSubscriptions(w http.ResponseWriter, r *http.Request) error {
	list, next, err := c.browse(r)
	if err != nil {
		return err
	}
	var items []subscription
	for _, sub := range list {
		items = append(items, subscriptionOf(sub))
	}
	c.ok(w, http.StatusOK, pageOf(items, next))
	return nil
}

// browse answers the page of subscriptions that a request's query selects.
func (c *console) browse(r *http.Request) ([]subscriptions.Subscription, string, error) {
	q := readQuery(r)
	selection, after, limit := q.selection(), q.text("cursor"), q.limit()
	if err := q.done(); err != nil {
		return nil, "", err
	}
	return c.subscriptions.Browse(r.Context(), selection, after, limit)
}

func (c *console) showSubscription(w http.ResponseWriter, r *http.Request) error {
	sub, err := c.subscriptions.Inspect(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return c.answer(w, r, sub)
}

// answer shows a subscription with its queue.
func (c *console) answer(w http.ResponseWriter, r *http.Request, sub subscriptions.Subscription) error {
	queues, err := c.deliveries.Queues(r.Context(), sub.ID)
	if err != nil {
		return err
	}
	shown := subscriptionOf(sub)
	shown.Queue = &queues[0]
	c.ok(w, http.StatusOK, shown)
	return nil
}

func (c *console) pause(w http.ResponseWriter, r *http.Request) error  { return c.turn(w, r, false) }
func (c *console) resume(w http.ResponseWriter, r *http.Request) error { return c.turn(w, r, true) }

func (c *console) turn(w http.ResponseWriter, r *http.Request, active bool) error {
	if err := readBody(w, r, &struct{}{}); err != nil {
		return err
	}
	sub, err := c.subscriptions.Switch(r.Context(), r.PathValue("id"), active)
	if err != nil {
		return err
	}
	c.log.Info("operator switched a subscription", "subscription", sub.ID, "user", sub.User, "active", active)
	return c.answer(w, r, sub)
}

func (c *console) deleteSubscription(w http.ResponseWriter, r *http.Request) error {
	sub, err := c.subscriptions.Inspect(r.Context(), r.PathValue("id"))
	if err == nil {
		err = c.subscriptions.Remove(r.Context(), sub.ID)
	}
	if err != nil {
		return err
	}
	c.log.Info("operator deleted a subscription", "subscription", sub.ID, "user", sub.User)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (c *console) listAttempts(w http.ResponseWriter, r *http.Request) error {
	q := readQuery(r)
	wanted := subscriptions.AttemptQuery{
		Outcome: q.oneOf("outcome", subscriptions.AttemptDelivered, subscriptions.AttemptRetry, subscriptions.AttemptDead),
		Event:   q.text("event"), Before: q.text("cursor"), Limit: q.limit(),
	}
	if wanted.Before != "" && !subscriptions.IsAttemptCursor(wanted.Before) {
		q.bad = append(q.bad, badCursor)
	}
	if err := q.done(); err != nil {
		return err
	}
	sub, err := c.subscriptions.Inspect(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	list, more, err := c.deliveries.Attempts(r.Context(), sub.ID, wanted)
	if err != nil {
		return err
	}
	next := ""
	if more {
		next = list[len(list)-1].Cursor
	}
	c.ok(w, http.StatusOK, pageOf(list, next))
	return nil
}

var badCursor = problem.At("cursor", "must be as the page before had it")

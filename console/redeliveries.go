package console

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/hookproxy/hookproxy/delivery"
	"github.com/hookproxy/hookproxy/internal/problem"
	"github.com/hookproxy/hookproxy/subscriptions"
)

// jobsAtOnce bounds how many redeliveries one request begins.
const jobsAtOnce = 500

// redeliveryWish is the body of a request for redeliveries: of which subscriptions,
// of what, and when.
type redeliveryWish struct {
	// Subscription is one; or else User, Host or All select those that have dead
	// letters.
	Subscription string `json:"subscription"`
	User         string `json:"user"`
	Host         string `json:"host"`
	All          bool   `json:"all"`
	// Event is one event's id; Missed means all that has failed; From and To mean
	// what occurred between them.
	Event  string    `json:"event"`
	Missed bool      `json:"missed"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	// At is when to begin; zero for now.
	At time.Time `json:"at"`
	// Cursor is where an earlier request stopped.
	Cursor string `json:"cursor"`
}

func (wish *redeliveryWish) check() error {
	var bad problem.Fields
	if count(wish.Subscription != "", wish.User != "", wish.Host != "", wish.All) != 1 {
		bad = append(bad, problem.At("subscription", "must be given, or one of user, host and all"))
	}
	if count(wish.Event != "", wish.Missed, !wish.From.IsZero()) != 1 {
		bad = append(bad, problem.At("missed", "must be given, or one of event and from"))
	}
	if wish.Event != "" && wish.Subscription == "" {
		bad = append(bad, problem.At("event", "must stand beside a subscription"))
	}
	if !wish.To.IsZero() && (wish.From.IsZero() || wish.To.Before(wish.From)) {
		bad = append(bad, problem.At("to", "must stand beside from, and not be before it"))
	}
	if time.Until(wish.At) > delivery.MaxRedeliveryDelay {
		bad = append(bad, problem.At("at", "must be within 30 days"))
	}
	if wish.To.IsZero() && !wish.From.IsZero() {
		wish.To = time.Now()
	}
	if len(bad) > 0 {
		return bad
	}
	return nil
}

func count(conditions ...bool) (n int) {
	for _, holds := range conditions {
		if holds {
			n++
		}
	}
	return n
}

// begun is what a request for redeliveries answers.
type begun struct {
	Items []subscriptions.Redelivery `json:"items"`
	// Skipped are subscriptions that have as many redeliveries as are allowed.
	Skipped []string `json:"skipped,omitempty"`
	// Next is the cursor to send the same request again with, for the rest.
	Next string `json:"next,omitempty"`
}

// redeliver begins redeliveries, one for each subscription that is selected.
func (c *console) redeliver(w http.ResponseWriter, r *http.Request) error {
	var wish redeliveryWish
	if err := readBody(w, r, &wish); err != nil {
		return err
	}
	if err := wish.check(); err != nil {
		return err
	}
	answer, err := c.begin(r.Context(), wish)
	for _, made := range answer.Items {
		c.log.Info("operator began a redelivery", "redelivery", made.ID, "subscription", made.Subscription)
	}
	if err != nil {
		return err
	}
	if len(answer.Items) == 1 && wish.Subscription != "" {
		w.Header().Set("Location", Path+"redeliveries/"+answer.Items[0].ID)
	}
	c.ok(w, http.StatusAccepted, answer)
	return nil
}

func (c *console) begin(ctx context.Context, wish redeliveryWish) (begun, error) {
	answer := begun{Items: []subscriptions.Redelivery{}}
	ids := []string{wish.Subscription}
	if wish.Subscription == "" {
		subs, err := c.withDead(ctx, "", wish.Cursor, subscriptions.Selection{User: wish.User, Host: wish.Host})
		if err != nil {
			return answer, err
		}
		ids = nil
		for _, sub := range subs {
			ids = append(ids, sub.ID)
		}
	}
	for i, id := range ids {
		if i == jobsAtOnce {
			answer.Next = id
			break
		}
		made, err := c.deliveries.Redeliver(ctx, id, subscriptions.Redelivery{
			Event: wish.Event, Missed: wish.Missed, From: wish.From, To: wish.To, StartsAt: wish.At, Operator: true,
		})
		many := wish.Subscription == ""
		switch {
		case err == nil:
			answer.Items = append(answer.Items, made)
		case many && errors.Is(err, subscriptions.ErrTooManyRedeliveries):
			answer.Skipped = append(answer.Skipped, id)
		case many && errors.Is(err, subscriptions.ErrNotFound): // deleted since
		default:
			return answer, err
		}
	}
	return answer, nil
}

func (c *console) listRedeliveries(w http.ResponseWriter, r *http.Request) error {
	q := readQuery(r)
	only, state, cursor, limit := q.text("subscription"), q.oneOf("state", subscriptions.RedeliveryScheduled,
		subscriptions.RedeliveryRunning, subscriptions.RedeliveryDone, subscriptions.RedeliveryCancelled), q.text("cursor"), q.limit()
	if err := q.done(); err != nil {
		return err
	}
	list, next, err := c.deliveries.Redeliveries(r.Context(), cursor, limit)
	if err != nil {
		return err
	}
	var items []subscriptions.Redelivery
	for _, one := range list {
		if (only == "" || only == one.Subscription) && (state == "" || state == one.State) {
			items = append(items, one)
		}
	}
	c.ok(w, http.StatusOK, pageOf(items, next))
	return nil
}

func (c *console) showRedelivery(w http.ResponseWriter, r *http.Request) error {
	found, err := c.deliveries.Redelivery(r.Context(), "", r.PathValue("id"))
	if err != nil {
		return err
	}
	c.ok(w, http.StatusOK, found)
	return nil
}

func (c *console) cancel(w http.ResponseWriter, r *http.Request) error {
	if err := readBody(w, r, &struct{}{}); err != nil {
		return err
	}
	id := r.PathValue("id")
	if err := c.deliveries.Cancel(r.Context(), id); err != nil {
		return err
	}
	c.log.Info("operator cancelled a redelivery", "redelivery", id)
	return c.showRedelivery(w, r)
}

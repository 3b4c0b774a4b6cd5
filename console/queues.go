package console

import (
	"net/http"
	"strconv"

	"github.com/hookproxy/hookproxy/delivery"
	"github.com/hookproxy/hookproxy/internal/problem"
	"github.com/hookproxy/hookproxy/subscriptions"
)

// queue is a subscription's queue beside whose it is.
type queue struct {
	User   string `json:"user"`
	Target string `json:"target"`
	State  string `json:"state"`
	delivery.Queue
}

func (c *console) listQueues(w http.ResponseWriter, r *http.Request) error {
	list, next, err := c.browse(r)
	if err != nil {
		return err
	}
	ids := make([]string, len(list))
	for i, sub := range list {
		ids[i] = sub.ID
	}
	queues, err := c.deliveries.Queues(r.Context(), ids...)
	if err != nil {
		return err
	}
	items := make([]queue, len(list))
	for i, sub := range list {
		items[i] = queue{sub.User, origin(sub.TargetURL), sub.State(), queues[i]}
	}
	c.ok(w, http.StatusOK, pageOf(items, next))
	return nil
}

func (c *console) showQueue(w http.ResponseWriter, r *http.Request) error {
	sub, err := c.subscriptions.Inspect(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	queues, err := c.deliveries.Queues(r.Context(), sub.ID)
	if err != nil {
		return err
	}
	c.ok(w, http.StatusOK, queue{sub.User, origin(sub.TargetURL), sub.State(), queues[0]})
	return nil
}

// purged is what came of a purge.
type purged struct {
	Dropped int64 `json:"dropped"`
	// More tells that it did not reach all of them, and is to be sent again.
	More bool `json:"more"`
}

// purge lets go of all that waits for a subscription, or of its dead letters.
func (c *console) purge(w http.ResponseWriter, r *http.Request) error {
	var wanted struct {
		Kind string `json:"kind"`
	}
	if err := readBody(w, r, &wanted); err != nil {
		return err
	}
	if wanted.Kind != delivery.DropWaiting && wanted.Kind != delivery.DropDead {
		return problem.Wrong("kind", "must be waiting or dead")
	}
	sub, err := c.subscriptions.Inspect(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	count, more, err := c.deliveries.Drop(r.Context(), sub.ID, wanted.Kind, "")
	if count > 0 {
		c.log.Warn("operator purged a queue", "subscription", sub.ID, "user", sub.User, "kind", wanted.Kind, "count", count)
	}
	if err != nil {
		return err
	}
	c.ok(w, http.StatusOK, purged{count, more})
	return nil
}

func (c *console) listMissed(w http.ResponseWriter, r *http.Request) error {
	q := readQuery(r)
	wanted := subscriptions.MissedQuery{
		After: q.number("cursor", 0, 0, 1<<53-1), Data: q.oneOf("data", "true", "false") == "true", Limit: q.limit(),
	}
	if err := q.done(); err != nil {
		return err
	}
	sub, err := c.subscriptions.Inspect(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	found, err := c.deliveries.Missed(r.Context(), sub.ID, wanted)
	if err != nil {
		return err
	}
	next := ""
	if found.Next > 0 {
		next = strconv.FormatInt(found.Next, 10)
	}
	c.ok(w, http.StatusOK, pageOf(found.Explain(sub), next))
	return nil
}

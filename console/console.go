// Package console is the operators' API, on the admin listener: subscriptions of
// all users, what waits for them, what came of it, dead letters, parked events and
// redeliveries. Everything is JSON, everything that lists has pages, and every
// refusal is a problem (RFC 9457). No secret is ever shown.
package console

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/hookproxy/hookproxy/delivery"
	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/subscriptions"
)

// Path is below which the API stands.
const Path = "/admin/v1/"

// Subscriptions are those of all users; *subscriptions.Store is some.
type Subscriptions interface {
	Browse(ctx context.Context, wanted subscriptions.Selection, after string, limit int) ([]subscriptions.Subscription, string, error)
	Inspect(ctx context.Context, id string) (subscriptions.Subscription, error)
	InspectAll(ctx context.Context, ids []string) ([]subscriptions.Subscription, error)
	Switch(ctx context.Context, id string, active bool) (subscriptions.Subscription, error)
	Remove(ctx context.Context, id string) error
}

// Options configures New.
type Options struct {
	Subscriptions Subscriptions        // required
	Deliveries    *delivery.Operations // required
	Parked        *events.ParkedList   // required
	// Token is what callers must bring as a Bearer token. Empty: none is asked for,
	// and only requests to this machine by its own name are answered.
	Token string
	Log   *slog.Logger // nil: nothing is logged
}

// console answers the operators' requests.
type console struct {
	subscriptions Subscriptions
	deliveries    *delivery.Operations
	parked        *events.ParkedList
	log           *slog.Logger
}

// New makes the API. All of it stands below Path.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &console{subscriptions: o.Subscriptions, deliveries: o.Deliveries, parked: o.Parked, log: o.Log}
	mux := http.NewServeMux()
	for path, a := range c.actions() {
		mux.Handle(Path+path, c.dispatch(a))
	}
	mux.Handle("/", c.dispatch(nil))
	return guard{token: o.Token, refuse: c.fail}.around(mux)
}

// actions are all that can be done, by path and method.
func (c *console) actions() map[string]actions {
	return map[string]actions{
		"subscriptions":               {http.MethodGet: c.listSubscriptions},
		"subscriptions/{id}":          {http.MethodGet: c.showSubscription, http.MethodDelete: c.deleteSubscription},
		"subscriptions/{id}/pause":    {http.MethodPost: c.pause},
		"subscriptions/{id}/resume":   {http.MethodPost: c.resume},
		"subscriptions/{id}/attempts": {http.MethodGet: c.listAttempts},
		"subscriptions/{id}/missed":   {http.MethodGet: c.listMissed},
		"queues":                      {http.MethodGet: c.listQueues},
		"queues/{id}":                 {http.MethodGet: c.showQueue},
		"queues/{id}/purge":           {http.MethodPost: c.purge},
		"dead":                        {http.MethodGet: c.listDead},
		"dead/{id}/{event}":           {http.MethodGet: c.showDead, http.MethodDelete: c.deleteDead},
		"parked":                      {http.MethodGet: c.listParked},
		"parked/{name}":               {http.MethodGet: c.showParked, http.MethodDelete: c.deleteParked},
		"parked/{name}/assign":        {http.MethodPost: c.assign},
		"redeliveries":                {http.MethodGet: c.listRedeliveries, http.MethodPost: c.redeliver},
		"redeliveries/{id}":           {http.MethodGet: c.showRedelivery},
		"redeliveries/{id}/cancel":    {http.MethodPost: c.cancel},
	}
}

// page is a part of a list.
type page[T any] struct {
	Items []T `json:"items"`
	// Next is the cursor of the next page; not there on the last. A page may be
	// empty and not be the last.
	Next string `json:"next,omitempty"`
}

func pageOf[T any](items []T, next string) page[T] {
	if items == nil {
		items = []T{} // never null
	}
	return page[T]{items, next}
}

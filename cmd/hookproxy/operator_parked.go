package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tidwall/gjson"
)

type parkedCommand struct {
	List   parkedList   `cmd:"" help:"Events without an owner, oldest first."`
	Show   parkedShow   `cmd:"" help:"One, with its payload."`
	Assign parkedAssign `cmd:"" help:"Give one to a user, so that it is delivered."`
	Delete parkedDelete `cmd:"" help:"Let go of one."`
}

type (
	parkedList struct {
		listing
		Reason string `help:"Parked for this reason."`
		Event  string `help:"Of this event."`
	}
	parkedShow   struct{ one }
	parkedDelete struct{ one }
	parkedAssign struct {
		one
		User string `required:"" help:"Whose it is."`
	}
)

func (c *parkedList) Run(ctx context.Context, std streams) error {
	return c.printList(ctx, std, "parked", values("reason", c.Reason, "event", c.Event), c.Limit,
		columns("ID name", "REASON reason", "EVENT event", "RESOURCE resource", "RULE rule", "OCCURRED occurred_at", "BYTES size"))
}

func (c *parkedShow) Run(ctx context.Context, std streams) error {
	return c.show(ctx, std, at("parked", c.ID))
}

func (c *parkedDelete) Run(ctx context.Context, std streams) error {
	return c.printOne(ctx, std, http.MethodDelete, at("parked", c.ID), nil)
}

func (c *parkedAssign) Run(ctx context.Context, std streams) error {
	return c.printOne(ctx, std, http.MethodPost, at("parked", c.ID, "assign"), map[string]string{"user": c.User})
}

type redeliveriesCommand struct {
	List   redeliveriesList   `cmd:"" help:"The newest first."`
	Show   redeliveriesShow   `cmd:"" help:"How far one is."`
	Cancel redeliveriesCancel `cmd:"" help:"Leave the rest where it is."`
}

type (
	redeliveriesList struct {
		listing
		Subscription string `help:"Of this subscription."`
		State        string `help:"Those that are scheduled, running, done or cancelled."`
	}
	redeliveriesShow   struct{ one }
	redeliveriesCancel struct{ one }
)

func (c *redeliveriesList) Run(ctx context.Context, std streams) error {
	return c.printList(ctx, std, "redeliveries", values("subscription", c.Subscription, "state", c.State), c.Limit,
		columns("ID id", "SUBSCRIPTION subscription", "STATE state", "TOTAL total", "DONE done", "FAILED failed", "STARTS starts_at", "ENDED ended_at"))
}

func (c *redeliveriesShow) Run(ctx context.Context, std streams) error {
	return c.show(ctx, std, at("redeliveries", c.ID))
}

func (c *redeliveriesCancel) Run(ctx context.Context, std streams) error {
	return c.printOne(ctx, std, http.MethodPost, at("redeliveries", c.ID, "cancel"), nil)
}

// wish answers the body of the request for redeliveries.
func (c *deadRedeliver) wish() map[string]any {
	wish := map[string]any{"missed": c.Event == "" && c.From.IsZero()}
	for name, value := range map[string]string{"subscription": c.Subscription, "event": c.Event, "user": c.User, "host": c.Host} {
		if value != "" {
			wish[name] = value
		}
	}
	if c.All {
		wish["all"] = true
	}
	for name, value := range map[string]time.Time{"from": c.From, "to": c.To, "at": c.At} {
		if !value.IsZero() {
			wish[name] = value
		}
	}
	return wish
}

// Run begins redeliveries, of however many subscriptions, and says where they are to be seen.
func (c *deadRedeliver) Run(ctx context.Context, std streams) error {
	if c.Subscription == "" && c.User == "" && c.Host == "" && !c.All {
		return settingErrors{errors.New("say of which: a subscription's id, or one of --user, --host and --all")}
	}
	wish, made, skipped := c.wish(), []json.RawMessage{}, 0
	for next := true; next; {
		answer, err := c.call(ctx, http.MethodPost, "redeliveries", nil, wish)
		if err != nil {
			return err
		}
		for _, item := range gjson.GetBytes(answer, "items").Array() {
			made = append(made, json.RawMessage(item.Raw))
		}
		skipped += len(gjson.GetBytes(answer, "skipped").Array())
		cursor := gjson.GetBytes(answer, "next").String()
		next, wish["cursor"] = cursor != "", cursor
	}
	if skipped > 0 {
		fmt.Fprintf(std.err, "%d subscriptions were left out: they have as many redeliveries under way as are allowed\n", skipped)
	}
	if c.JSON {
		return printJSON(std.out, made)
	}
	if len(made) == 0 {
		fmt.Fprintln(std.out, "there is nothing to redeliver")
	}
	for _, job := range made {
		found := gjson.ParseBytes(job)
		fmt.Fprintf(std.out, "redelivery %s of subscription %s: %s, %s deliveries\n", cell(found.Get("id")), cell(found.Get("subscription")),
			cell(found.Get("state")), cell(found.Get("total")))
	}
	return nil
}

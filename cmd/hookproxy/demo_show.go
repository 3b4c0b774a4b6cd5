package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hookproxy/hookproxy/internal/sample"
)

// demoShow drives the round trip as a client of the API would, and prints each
// step so that a person can follow it.
type demoShow struct {
	stage *demoStage
	out   io.Writer
}

// subscriptionBody is what the demo sends to subscribe.
type subscriptionBody struct {
	Event     string `json:"event"`
	TargetURL string `json:"target_url"`
}

// roundTrip subscribes, creates a contact, and waits for the signed delivery.
func (d *demoShow) roundTrip(ctx context.Context) error {
	front := d.stage.program.front.url()
	fmt.Fprintf(d.out, `hookproxy demo

  you ──► hookproxy %s ──► sample API %s   (knows nothing of webhooks)
               │
               └──► receiver %s   (a subscriber's server)

`, front, d.stage.api.url(), d.stage.hooks.url())

	subscribed, err := d.post(ctx, "1. Alice subscribes to contact.create. hookproxy answers this itself:",
		d.stage.program.config.rules.Subscriptions.Path, subscriptionBody{"contact.create", d.stage.hooks.url() + "/hooks"})
	if err != nil {
		return err
	}
	var subscription struct{ ID, Secret string }
	if err := json.Unmarshal(subscribed, &subscription); err != nil {
		return fmt.Errorf("read the subscription: %w", err)
	}
	d.stage.receiver.Expect(subscription.ID, subscription.Secret)

	started := time.Now()
	created, err := d.post(ctx, "2. Alice creates a contact. The API answers, through hookproxy:",
		"/contacts", map[string]string{"name": "Ada Lovelace", "email": "ada@example.com"})
	if err != nil {
		return err
	}
	return d.awaitHook(ctx, created, started)
}

// awaitHook waits for the delivery and checks what a careful receiver would.
func (d *demoShow) awaitHook(ctx context.Context, created []byte, started time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, demoWait)
	defer cancel()
	select {
	case hook := <-d.stage.receiver.Hooks:
		fmt.Fprintf(d.out, "3. The hook arrives, %s after the contact was sent:\n", time.Since(started).Round(time.Millisecond))
		d.print(hook)
		if hook.Verified != nil {
			return fmt.Errorf("the delivery's signature: %w", hook.Verified)
		}
		if !bytes.Equal(bytes.TrimSpace(hook.Data), bytes.TrimSpace(created)) {
			return fmt.Errorf("the delivery's data is not what the API answered: %s", hook.Data)
		}
		fmt.Fprint(d.out, "   The data is what the API answered, byte for byte.\n\n")
		return nil
	case <-ctx.Done():
		return fmt.Errorf("no delivery arrived within %s: %w", demoWait, ctx.Err())
	}
}

// goOn says what to try next, and prints deliveries until the user has enough.
func (d *demoShow) goOn(ctx context.Context) error {
	opened, err := d.post(ctx, "4. Alice opens a deal, which you can win below:", "/deals",
		map[string]string{"title": "Analytical Engine", "stage": "open"})
	if err != nil {
		return err
	}
	var deal struct{ ID int }
	if err := json.Unmarshal(opened, &deal); err != nil {
		return fmt.Errorf("read the deal: %w", err)
	}
	fmt.Fprintf(d.out, whatNext, sample.Accounts[0].Token, sample.Accounts[1].Token, d.stage.program.front.url(),
		d.stage.program.config.rules.Subscriptions.Path, d.stage.hooks.url(), d.stage.program.admin.url(), deal.ID)
	for {
		select {
		case hook := <-d.stage.receiver.Hooks:
			d.print(hook)
		case <-ctx.Done():
			return nil
		}
	}
}

// whatNext takes Alice's token, Bob's, and the URLs of the front, its
// subscriptions, the receiver and the admin listener; then the deal's id.
const whatNext = `Everything stays up. Try these; what is delivered appears here. Ctrl-C ends it.

  curl -H 'Authorization: Bearer %[1]s' -d '{"name":"Grace Hopper"}' %[3]s/contacts
  curl -H 'Authorization: Bearer %[1]s' %[3]s/contacts
  curl -H 'Authorization: Bearer %[1]s' %[3]s%[4]s

  # subscribe to deals that are won, and win the one opened above:
  curl -H 'Authorization: Bearer %[1]s' -H 'Content-Type: application/json' \
       -d '{"event":"deal.won","target_url":"%[5]s/deals"}' %[3]s%[4]s
  curl -H 'Authorization: Bearer %[1]s' -X PATCH -d '{"stage":"won"}' %[3]s/deals/%[7]d

  curl -H 'Authorization: Bearer %[2]s' -d '{"name":"not for Alice"}' %[3]s/contacts    # Bob's: no hook for Alice
  curl %[6]s/metrics

`

// post sends one request as Alice and prints both sides of it.
func (d *demoShow) post(ctx context.Context, title, path string, body any) ([]byte, error) {
	sent, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.stage.program.front.url()+path, bytes.NewReader(sent))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+sample.Accounts[0].Token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(d.out, "%s\n   POST %s  %s\n   %s  %s\n\n", title, path, sent, response.Status, bytes.TrimSpace(got))
	if response.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("POST %s answered %s, not 201", path, response.Status)
	}
	return got, nil
}

// shownHeaders are the headers of a delivery that tell its story.
var shownHeaders = []string{"X-Hook-Event", "X-Hook-Id", "X-Hook-Signature", "Webhook-Signature"}

func (d *demoShow) print(hook sample.Hook) {
	for _, name := range shownHeaders {
		if value := hook.Header.Get(name); value != "" {
			fmt.Fprintf(d.out, "   %s: %s\n", strings.ToLower(name), value)
		}
	}
	fmt.Fprintf(d.out, "   %s\n", hook.Body)
	switch {
	case hook.Verified == nil:
		fmt.Fprint(d.out, "   (the signature is right)\n\n")
	case errors.Is(hook.Verified, sample.ErrUnknownSecret):
		fmt.Fprint(d.out, "   (the receiver has no secret to check this signature with)\n\n")
	default:
		fmt.Fprintf(d.out, "   not verified: %v\n\n", hook.Verified)
	}
}

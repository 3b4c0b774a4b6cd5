package delivery

import (
	"context"
	"net/http"
	"time"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/subscriptions"
)

// handshakeTimeout bounds a handshake, whole: a client waits for its end.
const handshakeTimeout = 5 * time.Second

// Prober asks targets on behalf of the subscription endpoints, with the sender
// that deliveries go out by: the same address rules, format, headers and
// signatures. What comes of it is answered, and counts nowhere.
type Prober struct {
	sender *sender
	keys   *subscriptions.SigningKeys
}

// NewProber answers a prober that sends as an Engine with the same options
// delivers. What concerns Redis and the queue means nothing here. Close lets go of
// its connections.
func NewProber(o Options) *Prober {
	o.setDefaults()
	return &Prober{newSender(o), o.SigningKeys}
}

// Close lets go of idle connections.
func (p *Prober) Close() error {
	p.sender.close()
	return nil
}

// Handshake posts a secret to the target of a subscription that there may be, in
// X-Hook-Secret, for the target to send back (REST Hooks, "Confirming Receiver's
// Intent to Subscribe").
func (p *Prober) Handshake(ctx context.Context, sub subscriptions.Subscription, secret string) subscriptions.Reply {
	start := time.Now()
	bounded, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	// A body that is JSON, and no event: receivers parse what they get.
	req, err := newPost(bounded, sub.TargetURL, []byte("{}"))
	if err != nil {
		return subscriptions.Reply{Class: classTarget}
	}
	addHeaders(req.Header, sub.Headers) // a target may answer nobody without them
	req.Header["User-Agent"] = []string{p.sender.agent}
	req.Header["X-Hook-Secret"] = []string{secret}
	req.Header["X-Hook-Subscription"] = []string{sub.ID}
	return p.ask(ctx, req, start)
}

// Test posts an event to the target as a delivery of it would be, but for
// X-Hook-Test in place of the sequence, which no test counts in.
func (p *Prober) Test(ctx context.Context, sub subscriptions.Subscription, test subscriptions.TestEvent) subscriptions.Reply {
	start := time.Now()
	bounded, cancel := context.WithTimeout(ctx, p.sender.timeout)
	defer cancel()
	d := &delivery{
		subscription: sub.ID, target: sub.TargetURL, format: sub.Format, signature: sub.Signature, headers: sub.Headers,
		secret: sub.Secret, previousSecret: sub.PreviousSecret,
		event: events.Event{ID: test.ID, Name: test.Name, User: sub.User, Time: start, Payload: test.Data, Omitted: test.Omitted},
	}
	if sub.Options.Batch.Max > 0 {
		d.batch = test.ID
	}
	if sub.Options.Skinny {
		d.event.Resource = test.ID // a text, and nobody's
		d.event = skinny(d.event)
	}
	if sub.Secret == "" || sub.HeadersSealed {
		return subscriptions.Reply{Class: classSealed}
	}
	if d.asymmetric() {
		if d.keys = p.keys.Of(sub.ID); d.keys == nil {
			return subscriptions.Reply{Class: classNoKey}
		}
	}
	req, err := d.request(bounded, p.sender.agent, start)
	if err != nil {
		return subscriptions.Reply{Class: classTarget}
	}
	req.Header.Del("X-Hook-Sequence")
	req.Header["X-Hook-Test"] = []string{"true"}
	return p.ask(ctx, req, start)
}

func (p *Prober) ask(ctx context.Context, req *http.Request, start time.Time) subscriptions.Reply {
	a, header := p.sender.exchange(ctx, req, start)
	return subscriptions.Reply{Status: a.status, Class: a.class, Took: a.took, Header: header, Body: a.head}
}

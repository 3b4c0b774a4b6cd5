package subscriptions

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// Prober asks targets as deliveries do, under the same address rules.
type Prober interface {
	// Handshake posts a secret to the target, for it to send back. It takes 5 s
	// at most.
	Handshake(ctx context.Context, sub Subscription, secret string) Reply
	// Test posts an event to the target, signed and shaped as a delivery of it.
	Test(ctx context.Context, sub Subscription, test TestEvent) Reply
}

// noProber reaches nobody.
type noProber struct{}

func (noProber) Handshake(context.Context, Subscription, string) Reply {
	return Reply{Class: "unreachable"}
}
func (noProber) Test(context.Context, Subscription, TestEvent) Reply {
	return Reply{Class: "unreachable"}
}

// Reply is what came of asking a target.
type Reply struct {
	// Status is the answer's, 0 where there was none.
	Status int
	// Class is why it is no success, in the words of delivery attempts; empty
	// for a 2xx.
	Class string
	// Took is how long it took, whole.
	Took time.Duration
	// Header is the answer's; nil where there was none.
	Header http.Header
	// Body is the beginning of the answer's where that is text, as an attempt has it.
	Body string
}

// asked is a Reply as far as everybody may see it: nothing of the target's own.
type asked struct {
	Status   int    `json:"status"`      // 0 without an answer
	Class    string `json:"error_class"` // "" for a 2xx
	Duration int64  `json:"duration_ms"`
}

func (r Reply) asked() asked { return asked{r.Status, r.Class, r.Took.Milliseconds()} }

// shownHeaders are those of an answer that help to find out what went wrong. Others
// hold cookies, and the names of machines behind the target.
var shownHeaders = []string{"Content-Type", "Location", "Retry-After", "WWW-Authenticate"}

// maxShownHeader is how much of a header's value is shown, in bytes.
const maxShownHeader = 256

// head is the beginning of a target's answer.
type head struct {
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// head answers nil where there was no answer.
func (r Reply) head() *head {
	if r.Header == nil {
		return nil
	}
	shown := head{Headers: map[string]string{}, Body: r.Body}
	for _, name := range shownHeaders {
		if value := r.Header.Get(name); value != "" {
			shown.Headers[strings.ToLower(name)] = strings.ToValidUTF8(value[:min(len(value), maxShownHeader)], "\ufffd")
		}
	}
	return &shown
}

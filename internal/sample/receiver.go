package sample

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Hook is one delivery that arrived at the Receiver.
type Hook struct {
	Header http.Header
	Body   []byte
	// Data is the event's payload, out of the body.
	Data json.RawMessage
	// Verified is nil where the signature was right, or says what was wrong.
	Verified error
}

// Receiver stands for the subscriber: it takes deliveries, verifies them with
// the reference library of Standard Webhooks, and hands them on.
type Receiver struct {
	// Hooks gets each delivery. A full channel makes the receiver answer 503,
	// so that the delivery comes again.
	Hooks chan Hook

	mu      sync.Mutex
	secrets map[string]string // by subscription id
}

// ErrUnknownSecret marks a delivery for a subscription whose secret the
// receiver was not told, so that it could not verify it.
var ErrUnknownSecret = errors.New("the receiver was not told this subscription's secret")

// NewReceiver answers a receiver that holds up to backlog deliveries.
func NewReceiver(backlog int) *Receiver {
	return &Receiver{Hooks: make(chan Hook, backlog), secrets: map[string]string{}}
}

// Expect tells the receiver the secret of a subscription.
func (r *Receiver) Expect(subscription, secret string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secrets[subscription] = secret
}

// ServeHTTP takes one delivery: 401 where its signature is wrong, 204 where it
// is right or, as a courtesy of the demo's, cannot be told.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, 4*maxBody))
	if err != nil {
		http.Error(w, "the body is cut off or too large", http.StatusBadRequest)
		return
	}
	hook := Hook{Header: req.Header.Clone(), Body: body, Verified: r.verify(body, req.Header)}
	var envelope struct{ Data json.RawMessage }
	if err := json.Unmarshal(body, &envelope); err == nil {
		hook.Data = envelope.Data
	}
	select {
	case r.Hooks <- hook:
	default:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if hook.Verified != nil && !errors.Is(hook.Verified, ErrUnknownSecret) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (r *Receiver) verify(body []byte, header http.Header) error {
	r.mu.Lock()
	secret, known := r.secrets[header.Get("X-Hook-Subscription")]
	r.mu.Unlock()
	if !known {
		return ErrUnknownSecret
	}
	webhook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return fmt.Errorf("use the subscription's secret: %w", err)
	}
	return webhook.Verify(body, header)
}

package subscriptions

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/hookproxy/hookproxy/internal/problem"
)

const (
	// testEventName is what a test sends unless it names an event.
	testEventName = "hook.test"
	// omittedNoSample is why a test of a named event has no data.
	omittedNoSample = "no_sample"
)

// errPending says that a target that has not confirmed is sent nothing.
var errPending = errors.New("the target is sent nothing before it has confirmed")

// TestEvent is what a test sends: an event that did not happen.
type TestEvent struct {
	// ID is "test-" and what no other event has.
	ID string
	// Name is "hook.test", or an event that there is.
	Name string
	// Data is the payload, JSON; nil where Omitted says why.
	Data    json.RawMessage
	Omitted string
}

// tested is what a test answers.
type tested struct {
	Event   string `json:"event"`
	EventID string `json:"event_id"`
	asked
	// Response is null where there was none.
	Response *head `json:"response"`
}

// test sends an event to the target as a delivery would be sent, and answers what
// came of it. Nothing is counted, and nothing kept.
func (h *handler) test(w http.ResponseWriter, r *http.Request, user string) error {
	name, err := readTest(w, r)
	if err != nil {
		return err
	}
	return h.settle(r, user, func(current Subscription) error {
		if current.State() == StatePending {
			return errPending
		}
		event, err := h.testEvent(r, user, current, name)
		if err != nil {
			return err
		}
		reply, err := h.tryOut(r, user, current, event)
		if err != nil {
			return err
		}
		h.changed("subscription tested", current)
		h.ok(w, http.StatusOK, tested{Event: event.Name, EventID: event.ID, asked: reply.asked(), Response: reply.head()})
		return nil
	})
}

func (h *handler) tryOut(r *http.Request, user string, sub Subscription, event TestEvent) (Reply, error) {
	wait, err := h.store.allow(r.Context(), user, "test:"+sub.ID, testsEach, probeWindow)
	if err != nil {
		return Reply{}, err
	}
	if wait > 0 {
		return Reply{}, &rateError{fmt.Sprintf("at most %d tests of a subscription a minute", testsEach), wait}
	}
	done, err := h.mayProbe(r.Context(), user)
	if err != nil {
		return Reply{}, err
	}
	defer done()
	if !sub.PreviousSecretUntil.After(time.Now()) {
		sub.PreviousSecret = ""
	}
	reply := h.prober.Test(r.Context(), sub, event)
	return reply, r.Context().Err()
}

// readTest reads the body of a test, all of which may be left out, and answers the
// event that it names, or "".
func readTest(w http.ResponseWriter, r *http.Request) (string, error) {
	if r.ContentLength == 0 {
		return "", nil
	}
	body, err := readObject(w, r)
	if err != nil {
		return "", err
	}
	f := newForm(body)
	f.settable = "event"
	name, given := f.text("event")
	if given && name == "" {
		f.bad.add("event", "must not be empty")
	}
	return name, f.done()
}

// testEvent makes what is sent. A name must be one that the subscription gets.
func (h *handler) testEvent(r *http.Request, user string, sub Subscription, name string) (TestEvent, error) {
	event := TestEvent{ID: "test-" + strings.ToLower(ulid.Make().String()), Name: name}
	if name == "" || name == testEventName {
		event.Name = testEventName
		event.Data, _ = json.Marshal(map[string]string{"id": event.ID, "subscription": sub.ID}) // texts always encode
		return event, nil
	}
	covered := slices.ContainsFunc(sub.Events, func(pattern string) bool { return Covers(pattern, name) })
	if !covered || !slices.Contains(h.events(), name) {
		return TestEvent{}, problem.Wrong("event", "must be hook.test, or an event that this subscription gets")
	}
	samples, err := h.samplesOf(r.Context(), user, name)
	if err != nil {
		return TestEvent{}, err
	}
	if event.Omitted = omittedNoSample; len(samples) > 0 {
		event.Data, event.Omitted = samples[0], ""
	}
	return event, nil
}

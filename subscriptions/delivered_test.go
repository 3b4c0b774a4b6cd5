package subscriptions_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/delivery"
	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/internal/addresses"
	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/hookproxy/hookproxy/subscriptions"
)

// The store and the engine, each with its own scripts, on one Redis.
func TestAnEventThatSeveralPatternsMeanIsDeliveredOnce(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		got := make(chan string, 100)
		target := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got <- r.URL.Path + " " + r.Header.Get("X-Hook-Event")
		}))
		defer target.Close()
		store := subscriptions.NewStore(subscriptions.StoreOptions{Client: s.Client})
		subscribe := func(path string, expires time.Time, names ...string) subscriptions.Subscription {
			t.Helper()
			sub, _, err := store.Create(t.Context(), "ann", subscriptions.Subscription{
				Events: names, TargetURL: target.URL + path, Active: true, ExpiresAt: expires,
			}, "")
			if err != nil {
				t.Fatal(err)
			}
			return sub
		}
		subscribe("/all", time.Time{}, "contact.create", "contact.*", "*")
		ended := subscribe("/ended", time.Now().Add(time.Hour), "contact.create")
		// What Redis does by itself, at the moment.
		if err := s.Client.Del(t.Context(), layout.Layout{}.Of("ann").Subscription(ended.ID)).Err(); err != nil {
			t.Fatal(err)
		}
		stop := deliver(t, s, store)
		defer stop()
		for i, name := range []string{"contact.create", "contact.note.create", "deal.won"} {
			publish(t, s, events.Event{ID: "e" + string(rune('0'+i)), Name: name, User: "ann", Time: time.Now(), Payload: []byte(`{}`)})
		}
		seen := map[string]int{}
		for range 3 {
			select {
			case one := <-got:
				seen[one]++
			case <-time.After(20 * time.Second):
				t.Fatalf("only %v came", seen)
			}
		}
		stop() // it has finished what it had
		close(got)
		for one := range got {
			seen[one]++
		}
		for _, name := range []string{"contact.create", "contact.note.create", "deal.won"} {
			if seen["/all "+name] != 1 {
				t.Errorf("%s came %d times: %v", name, seen["/all "+name], seen)
			}
		}
	})
}

func publish(t *testing.T, s *redistest.Server, e events.Event) {
	t.Helper()
	element, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	lane := layout.Layout{}.Of(e.User)
	if err := s.Client.LPush(t.Context(), lane.Events(), element).Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.Client.LPush(t.Context(), lane.Wake(), "1").Err(); err != nil {
		t.Fatal(err)
	}
}

// deliver runs an engine until stop.
func deliver(t *testing.T, s *redistest.Server, store *subscriptions.Store) (stop func()) {
	t.Helper()
	engine, err := delivery.New(delivery.Options{
		Client: s.Client, Subscriptions: store, Addresses: addresses.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(ctx) }() // ends with ctx, awaited by stop
	return func() {
		if cancel(); ended != nil {
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
			ended = nil
		}
	}
}

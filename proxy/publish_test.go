package proxy

import (
	"net/http"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
)

// The wire between the proxy, the rules, identity and the list, with nobody
// standing in.
func TestAnEventIsOnTheListWhenTheClientHasItsResponse(t *testing.T) {
	redistest.Run(t, func(t *testing.T, server *redistest.Server) {
		o := &redis.UniversalOptions{Addrs: []string{server.Addr}, Protocol: 2}
		events.PublishOptions(o)
		client := redis.NewUniversalClient(o)
		t.Cleanup(func() { client.Close() })
		s, _ := capturing(t, contacts, serve(t, created(`{"id":7}`)), func(o *Options) {
			o.Publisher = events.NewPublisher(events.Options{Client: client})
		})
		lane := layout.Layout{}.Of("42")
		for _, name := range []string{"first", "second"} {
			if res, body := s.post(t, "/contacts?"+name); res.StatusCode != http.StatusCreated || body != `{"id":7}` {
				t.Fatalf("the client got %d %q", res.StatusCode, body)
			}
			element, err := server.Client.LPop(t.Context(), lane.Events()).Bytes()
			if err != nil {
				t.Fatal(err)
			}
			if e, err := events.Decode(element); err != nil || e.Name != "contact.create" || e.User != "42" || string(e.Payload) != `{"id":7}` {
				t.Fatalf("on the list: %+v, %v", e, err)
			}
		}
		server.Stop(t)
		if res, body := s.post(t, "/contacts"); res.StatusCode != http.StatusCreated || body != `{"id":7}` {
			t.Fatalf("without Redis the client got %d %q", res.StatusCode, body)
		}
		eventually(t, s.proxy.metrics.events.WithLabelValues(resultLost, "nowhere"), 1)
	})
}

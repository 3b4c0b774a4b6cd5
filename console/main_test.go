package console

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hookproxy/hookproxy/delivery"
	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/internal/addresses"
	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/problem"
	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/hookproxy/hookproxy/subscriptions"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds how long a test waits for what must happen.
const patience = 20 * time.Second

// rig is the API in front of a Redis, with an engine that delivers.
type rig struct {
	testing.TB
	*httptest.Server
	redis    *redistest.Server
	store    *subscriptions.Store
	received chan string // the bodies that the target took
	target   *httptest.Server
	fails    atomic.Bool // the target does
	log      strings.Builder
}

func newRig(t *testing.T, s *redistest.Server) *rig {
	t.Helper()
	r := &rig{TB: t, redis: s, received: make(chan string, 100), store: subscriptions.NewStore(subscriptions.StoreOptions{Client: s.Client})}
	r.fails.Store(true)
	r.target = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if r.fails.Load() {
			http.Error(w, "not <here>", http.StatusFound) // given up at once
			return
		}
		body, _ := io.ReadAll(req.Body)
		r.received <- string(body)
	}))
	t.Cleanup(r.target.Close)
	r.Server = httptest.NewServer(New(Options{
		Subscriptions: r.store, Deliveries: delivery.NewOperations(s.Client, layout.Layout{}, nil),
		Parked: events.NewParkedList(s.Client, layout.Layout{}), Log: slog.New(slog.DiscardHandler),
	}))
	t.Cleanup(r.Close)
	return r
}

// deliver runs an engine until the test's end.
func (r *rig) deliver() {
	r.Helper()
	engine, err := delivery.New(delivery.Options{
		Client: r.redis.Client, Subscriptions: r.store,
		Addresses: addresses.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	})
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(ctx) }() // ends with ctx, awaited at the test's end
	r.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			r.Error(err)
		}
	})
}

func (r *rig) subscribe(user string) string {
	r.Helper()
	sub, _, err := r.store.Create(r.Context(), user, subscriptions.Subscription{
		Events: []string{"contact.*"}, Format: subscriptions.FormatRaw, TargetURL: r.target.URL + "/secret-path?token=t0ken", Active: true,
		Headers: map[string]string{"Authorization": "Bearer headers-s3cret"},
	}, "")
	if err != nil {
		r.Fatal(err)
	}
	return sub.ID
}

// publish puts an event of a user on the list, parked where parked says why.
func (r *rig) publish(id, user, parked string) {
	r.Helper()
	e := events.Event{ID: id, Name: "contact.create", User: user, Time: time.Now(), Rule: "rules.yaml:3", Parked: parked, Payload: []byte(`{"n":"` + id + `"}`)}
	publisher := events.NewPublisher(events.Options{Client: r.redis.Client})
	if err := publisher.Publish(r.Context(), []events.Event{e}); err != nil {
		r.Fatal(err)
	}
}

// answer is a whole response.
type answer struct {
	status int
	header http.Header
	body   string
}

// send makes a request with headers given as name, value …
func (r *rig) send(method, path, body string, headers ...string) answer {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), method, r.URL+Path+path, strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		if req.Header.Set(headers[i], headers[i+1]); headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	res, err := r.Client().Transport.RoundTrip(req)
	if err != nil {
		r.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.Fatal(err)
	}
	a := answer{res.StatusCode, res.Header, string(text)}
	for _, secret := range []string{"whsec_", "secret-path", "t0ken", "headers-s3cret"} {
		if strings.Contains(a.body, secret) {
			r.Errorf("%s %s shows %s: %s", method, path, secret, a.body)
		}
	}
	if a.header.Get("Cache-Control") != "no-store" {
		r.Errorf("%s %s may be cached", method, path)
	}
	return a
}

// want sends a request and wants a status.
func (r *rig) want(status int, method, path, body string, headers ...string) answer {
	r.Helper()
	a := r.send(method, path, body, headers...)
	if a.status != status {
		r.Fatalf("%s %s %s is answered %d, want %d: %s", method, path, body, a.status, status, a.body)
	}
	if status >= 400 && a.header.Get("Content-Type") != "application/problem+json" {
		r.Errorf("the refusal of %s %s is %s", method, path, a.header.Get("Content-Type"))
	}
	return a
}

// list reads a list through all its pages.
func list[T any](r *rig, path string) (items []T) {
	r.Helper()
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	for next, pages := "", 0; pages == 0 || next != ""; pages++ {
		from := path
		if next != "" {
			from += separator + "cursor=" + next
		}
		var p page[T]
		r.want(200, "GET", from, "").into(r, &p)
		items, next = append(items, p.Items...), p.Next
	}
	return items
}

func (a answer) into(r *rig, value any) {
	r.Helper()
	if err := json.Unmarshal([]byte(a.body), value); err != nil {
		r.Fatalf("%v in %s", err, a.body)
	}
}

// problem answers the name of a refusal's type.
func (a answer) problem() string {
	var p problem.Problem
	_ = json.Unmarshal([]byte(a.body), &p) // what is no problem has no type
	return strings.TrimPrefix(p.Type, "urn:hookproxy:problem:")
}

// until asks until what comes is as it should be: deliveries go on by themselves.
func until[T any](r *rig, path string, enough func(T) bool) (value T) {
	r.Helper()
	limit, tick := time.After(patience), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for {
		a := r.want(200, "GET", path, "")
		value = *new(T)
		if a.into(r, &value); enough(value) {
			return value
		}
		select {
		case <-tick.C:
		case <-limit:
			r.Fatalf("%s still answers %s", path, a.body)
		}
	}
}

// arrive waits for so many bodies.
func (r *rig) arrive(count int) map[string]bool {
	r.Helper()
	got := map[string]bool{}
	for len(got) < count {
		select {
		case body := <-r.received:
			got[body] = true
		case <-time.After(patience):
			r.Fatalf("only %v arrived", got)
		}
	}
	return got
}

// bury has events given up: so many of each of so many users, one subscription each.
func (r *rig) bury(users, each int) (ids []string) {
	r.Helper()
	for u := range users {
		ids = append(ids, r.subscribe(fmt.Sprint("user-", u)))
		for e := range each {
			r.publish(fmt.Sprintf("e%d-%d", u, e), fmt.Sprint("user-", u), "")
		}
	}
	r.deliver()
	for _, id := range ids {
		until(r, "queues/"+id, func(q queue) bool { return q.Dead == int64(each) })
	}
	return ids
}

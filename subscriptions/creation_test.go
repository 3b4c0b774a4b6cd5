package subscriptions

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
)

func TestTheSameWishTwiceIsOneSubscription(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		first := r.subscribe(t, "ann")
		for _, body := range []string{
			`{"event":"contact.create","target_url":"https://hooks.example/a"}`,
			`{"events":["contact.create"],"target_url":"https://hooks.example/a","format":"raw","active":false}`,
		} {
			again := r.send(t, "ann", "POST", base, body).want(t, 200)
			var got resource
			again.into(t, &got)
			if got.ID != first.ID || got.Secret != "" || !got.Active || got.Format != FormatRESTHooks || again.header.Get("Location") != base+first.ID+"/" {
				t.Errorf("%s was answered %s", body, again.body)
			}
		}
		if other := r.subscribe(t, "bob"); other.ID == first.ID {
			t.Error("bob has ann's subscription")
		}
		r.send(t, "ann", "POST", base, `{"events":["contact.create","deal.won"],"target_url":"https://hooks.example/a"}`).want(t, 201)
		r.send(t, "ann", "POST", base, `{"events":["deal.won","contact.create"],"target_url":"https://hooks.example/a"}`).want(t, 200)
		second := r.send(t, "ann", "POST", base, `{"event":"contact.create","target_url":"https://hooks.example/b"}`).want(t, 201)
		r.send(t, "ann", "PATCH", second.header.Get("Location"), `{"target_url":"https://hooks.example/a"}`).wantProblem(t, 409, "duplicate")
		r.send(t, "ann", "DELETE", base+first.ID, "").want(t, 204)
		r.send(t, "ann", "PATCH", second.header.Get("Location"), `{"target_url":"https://hooks.example/a"}`).want(t, 200)
	})
}

func TestTheSameWishFromManyAtOnceIsOneSubscription(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		var clients sync.WaitGroup
		var statuses sync.Map
		for range 20 {
			clients.Go(func() {
				got := r.send(t, "ann", "POST", base, `{"event":"contact.create","target_url":"https://hooks.example/a"}`)
				if _, twice := statuses.LoadOrStore(got.status, true); twice && got.status != 200 {
					t.Errorf("%d twice", got.status)
				}
			})
		}
		clients.Wait()
		wantOne(t, r, "ann")
	})
}

func wantOne(t *testing.T, r *rig, user string) {
	t.Helper()
	var list []resource
	if r.send(t, user, "GET", base, "").want(t, 200).into(t, &list); len(list) != 1 {
		t.Errorf("there are %d subscriptions", len(list))
	}
}

func TestAskingAgainRevivesWhatHadFailedButNotWhatIsPaused(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		made := r.subscribe(t, "ann")
		again := func(more string, active bool) resource {
			t.Helper()
			var got resource
			r.send(t, "ann", "POST", base, `{"event":"contact.create","target_url":"https://hooks.example/a"`+more+`}`).want(t, 200).into(t, &got)
			if got.Active != active || got.ID != made.ID {
				t.Errorf("with %s, it is %+v", more, got)
			}
			return got
		}
		r.send(t, "ann", "PUT", base+made.ID, `{"active":false}`).want(t, 200)
		again("", false)
		failing(t, s.Client, made.ID, "active", "0", "inactive_reason", InactiveByFailure)
		again(`,"active":false`, false)
		again("", true)
		if got := hash(t, s.Client, made.ID); got["failures"] != "" || got["seq"] != "7" {
			t.Errorf("revived, its hash is %v", got)
		}
		if got := again(`,"expiration_date":"2099-01-01T00:00:00Z"`, true); got.ExpirationDate == nil {
			t.Error("it was not told when to end")
		}
		if got := again("", true); got.ExpirationDate != nil {
			t.Error("it still ends")
		}
	})
}

func TestAnIdempotencyKeyMakesOneSubscription(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		body := `{"event":"contact.create","target_url":"https://hooks.example/a"}`
		var made, again resource
		r.send(t, "ann", "POST", base, body, "Idempotency-Key", "k-1").want(t, 201).into(t, &made)
		// Even where it has become another since, which the same wish would not find.
		r.send(t, "ann", "PATCH", base+made.ID, `{"event":"deal.won"}`).want(t, 200)
		replay := r.send(t, "ann", "POST", base, body, "Idempotency-Key", "k-1").want(t, 200)
		replay.into(t, &again)
		if again.ID != made.ID || again.Secret != "" || replay.header.Get("Idempotency-Replayed") != "true" || replay.header.Get("Location") != base+made.ID+"/" {
			t.Errorf("the replay: %+v", replay)
		}
		wantOne(t, r, "ann")
		r.send(t, "ann", "POST", base, strings.Replace(body, "/a", "/b", 1), "Idempotency-Key", "k-1").wantProblem(t, 422, "idempotency-key-reused")
		r.send(t, "bob", "POST", base, body, "Idempotency-Key", "k-1").want(t, 201) // keys are each user's own
		r.send(t, "ann", "DELETE", base+made.ID, "").want(t, 204)
		r.send(t, "ann", "POST", base, body, "Idempotency-Key", "k-1").wantProblem(t, 409, "idempotency-key-spent")
		for _, bad := range []string{"", strings.Repeat("k", 256), "a b", "kéy"} {
			r.send(t, "ann", "POST", base, body, "Idempotency-Key", bad).wantProblem(t, 422, "invalid", "Idempotency-Key")
		}
		for _, key := range r.keys(t) {
			if strings.Contains(key, "k-1") {
				t.Errorf("Redis has the key %s", key)
			}
			if ttl := s.Client.TTL(t.Context(), key).Val(); strings.Contains(key, "idempotent") && (ttl <= 0 || ttl > keyKept) {
				t.Errorf("%s lives for %s", key, ttl)
			}
		}
	})
}

func TestAllUsersTogetherHaveALimitToo(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		l := layout.Layout{Lanes: 3}
		store := NewStore(StoreOptions{Client: s.Client, Layout: l, MaxTotal: 5})
		r := newRig(t, s, func(o *HandlerOptions) { o.Store = store })
		var last resource
		for i := range 5 {
			last = r.subscribe(t, fmt.Sprint("user", i))
		}
		refused := r.send(t, "ann", "POST", base, `{"event":"deal.won",`+good+`}`)
		if p := refused.wantProblem(t, http.StatusTooManyRequests, "full"); !strings.Contains(p.Detail, "5") {
			t.Errorf("the detail is %q", p.Detail)
		}
		if err := store.Remove(t.Context(), last.ID); err != nil {
			t.Fatal(err)
		}
		r.subscribe(t, "ann")
		if _, _, err := store.Create(t.Context(), "bob", wanted("deal.won"), ""); !errors.Is(err, ErrFull) {
			t.Errorf("the sixth: %v", err)
		}
	})
}

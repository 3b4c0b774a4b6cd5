package subscriptions

import (
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

func ending(event string, at time.Time) Subscription {
	sub := wanted(event)
	sub.ExpiresAt = at.UTC().Truncate(time.Millisecond)
	return sub
}

func TestRedisItselfEndsASubscriptionAtItsDate(t *testing.T) {
	redistest.Run(t, func(t *testing.T, r *redistest.Server) {
		s := NewStore(StoreOptions{Client: r.Client})
		at := time.Now().Add(time.Hour)
		sub := mustCreate(t, s, "ann", ending("deal.won", at))
		left := func() time.Duration { return r.Client.PTTL(t.Context(), lane0().Subscription(sub.ID)).Val() }
		near := func(what string, want time.Duration) {
			t.Helper()
			if got := left(); got > want || got < want-time.Minute {
				t.Errorf("%s, it has %s left, want %s", what, got, want)
			}
		}
		near("created", time.Hour)
		sub.Active, sub.Description = false, "x"
		mustUpdate(t, s, "ann", sub)
		near("edited", time.Hour)
		sub.ExpiresAt = sub.ExpiresAt.Add(time.Hour)
		mustUpdate(t, s, "ann", sub)
		near("renewed", 2*time.Hour)
		wantMembers(t, r.Client, lane0().Subscribers("deal.won", "ann"), sub.ID)
		if n := r.Client.ZCard(t.Context(), lane0().Expiring()).Val(); n != 1 {
			t.Errorf("%d are to end", n)
		}
		sub.ExpiresAt = time.Time{}
		mustUpdate(t, s, "ann", sub)
		if left() >= 0 || r.Client.Exists(t.Context(), lane0().Expiring()).Val() != 0 {
			t.Errorf("it still ends in %s", left())
		}
	})
}

func TestWhatHasEndedLeavesNothingBehind(t *testing.T) {
	redistest.Run(t, func(t *testing.T, r *redistest.Server) {
		var offset int64
		s := NewStore(StoreOptions{Client: r.Client, MaxPerUser: 2, Offset: func() int64 { return offset }})
		lane := lane0()
		sub := ending("deal.won", time.Now().Add(time.Hour))
		sub.Events = []string{"contact.*", "deal.won"}
		sub = mustCreate(t, s, "ann|x", sub)
		moved := mustCreate(t, s, "ann|x", ending("contact.create", time.Now().Add(time.Hour)))
		moved.Events, moved.TargetURL = []string{"*"}, "https://new.example"
		mustUpdate(t, s, "ann|x", moved)
		// Redis lets the hash of one go, at its moment; that of the other is slow.
		if err := r.Client.Del(t.Context(), lane.Subscription(sub.ID)).Err(); err != nil {
			t.Fatal(err)
		}
		if list, err := s.List(t.Context(), "ann|x"); err != nil || len(list) != 1 {
			t.Errorf("%v, %v are listed", list, err)
		}
		offset = time.Hour.Milliseconds() + 1
		if list, err := s.List(t.Context(), "ann|x"); err != nil || len(list) != 0 {
			t.Errorf("%v, %v are listed", list, err)
		}
		wantMembers(t, r.Client, lane.Purge(), sub.ID, moved.ID) // for delivery, to let go of what was kept
		keys, err := r.Client.Keys(t.Context(), "*").Result()
		slices.Sort(keys)
		if want := []string{lane.Purge(), lane.Wake()}; err != nil || !slices.Equal(keys, want) {
			t.Errorf("the keys left are %q, %v", keys, err)
		}
		mustCreate(t, s, "ann|x", wanted("deal.won"))
		mustCreate(t, s, "ann|x", wanted("contact.create"))
	})
}

func TestAfterItsDateASubscriptionIsGone(t *testing.T) {
	r := newRig(t, redistest.Real(t)) // miniredis' keys do not age by themselves
	sub, _, err := r.store.Create(t.Context(), "ann", ending("deal.won", time.Now().Add(300*time.Millisecond)), "")
	if err != nil {
		t.Fatal(err)
	}
	r.send(t, "ann", "GET", base+sub.ID, "").want(t, 200)
	// Redis ends it by itself; nothing tells us.
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for tries := 0; r.send(t, "ann", "GET", base+sub.ID, "").status != 404; tries++ {
		if tries == 500 {
			t.Fatal("it does not end")
		}
		<-tick.C
	}
	for _, call := range [][2]string{{"PUT", `{"active":true}`}, {"PATCH", `{}`}, {"DELETE", ""}} {
		r.send(t, "ann", call[0], base+sub.ID, call[1]).wantProblem(t, 404, "not-found")
	}
	if got := r.send(t, "ann", "GET", base, "").want(t, 200); got.body != "[]\n" {
		t.Errorf("the list is %s", got.body)
	}
	r.send(t, "ann", "POST", base, `{"event":"deal.won","target_url":"https://hooks.example/"}`).want(t, 201)
}

func TestWhatHasEndedCountsAgainstNoLimit(t *testing.T) {
	redistest.Run(t, func(t *testing.T, r *redistest.Server) {
		var offset int64
		s := NewStore(StoreOptions{Client: r.Client, MaxPerUser: 3, Offset: func() int64 { return offset }})
		soon := time.Now().Add(time.Hour)
		// More of others' end first than one sweep takes.
		for i := range 150 {
			mustCreate(t, s, "other"+strconv.Itoa(i), ending("deal.won", soon))
		}
		for _, event := range []string{"deal.won", "deal.lost", "contact.create"} {
			mustCreate(t, s, "ann", ending(event, soon.Add(time.Minute)))
		}
		if _, _, err := s.Create(t.Context(), "ann", wanted("*"), ""); !errors.Is(err, ErrLimit) {
			t.Fatalf("a fourth, while three live: %v", err)
		}
		offset = 2 * time.Hour.Milliseconds()
		mustCreate(t, s, "ann", wanted("*"))
	})
}

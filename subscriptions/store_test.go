package subscriptions

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
)

func wanted(event string) Subscription {
	return Subscription{Events: []string{event}, Format: FormatRESTHooks, TargetURL: "https://hooks.example/", Active: true}
}

func mustCreate(t testing.TB, s *Store, user string, sub Subscription) Subscription {
	t.Helper()
	made, how, err := s.Create(t.Context(), user, sub, "")
	if err == nil && how != Created {
		t.Fatalf("it was not created: %s", how)
	}
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// mustUpdate updates a subscription whatever has become of it since it was read.
func mustUpdate(t testing.TB, s *Store, user string, sub Subscription) Subscription {
	t.Helper()
	sub.ETag = ""
	updated, err := s.Update(t.Context(), user, sub)
	if err != nil {
		t.Fatal(err)
	}
	return updated
}

func members(t testing.TB, c *redis.Client, set string) []string {
	t.Helper()
	got, err := c.SMembers(t.Context(), set).Result()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func wantMembers(t testing.TB, c *redis.Client, set string, want ...string) {
	t.Helper()
	if got := members(t, c, set); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		t.Errorf("%s holds %q, want %q", set, got, want)
	}
}

func hash(t testing.TB, c *redis.Client, id string) map[string]string {
	t.Helper()
	got, err := c.HGetAll(t.Context(), lane0().Subscription(id)).Result()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestASubscriptionStandsInTheSetsItIsFoundBy(t *testing.T) {
	redistest.Run(t, func(t *testing.T, r *redistest.Server) {
		s := NewStore(StoreOptions{Client: r.Client})
		a, b := mustCreate(t, s, "ann", wanted("contact.create")), mustCreate(t, s, "ann", wanted("deal.won"))
		c := mustCreate(t, s, "bob:{1}", wanted("contact.create"))
		lane := lane0()
		wantMembers(t, r.Client, lane.Subscriptions("ann"), a.ID, b.ID)
		wantMembers(t, r.Client, lane.Subscribers("contact.create", "ann"), a.ID)
		wantMembers(t, r.Client, lane.Subscribers("contact.create", "bob:{1}"), c.ID)
		ms := a.CreatedAt.UnixMilli()
		want := map[string]string{
			"id": a.ID, "user": "ann", "event": "contact.create", "format": "resthooks", "target_url": "https://hooks.example/", "active": "1",
			"secret": a.Secret, "created_at": redisInt(ms), "updated_at": redisInt(ms), "active_since": redisInt(ms),
		}
		if diff := cmp.Diff(want, hash(t, r.Client, a.ID)); diff != "" {
			t.Errorf("the hash (-want +got):\n%s", diff)
		}

		b.Events, b.TargetURL = []string{"contact.create"}, "https://hooks.example/b"
		b = mustUpdate(t, s, "ann", b)
		wantMembers(t, r.Client, lane.Subscribers("contact.create", "ann"), a.ID, b.ID)
		wantMembers(t, r.Client, lane.Subscribers("deal.won", "ann"))
		list, err := s.List(t.Context(), "ann")
		if diff := cmp.Diff([]Subscription{a, b}, list); diff != "" || err != nil {
			t.Errorf("%v; the list (-want +got):\n%s", err, diff)
		}

		if err := s.Delete(t.Context(), "ann", a.ID, ""); err != nil {
			t.Fatal(err)
		}
		if err := s.Remove(t.Context(), b.ID); err != nil {
			t.Fatal(err)
		}
		wantMembers(t, r.Client, lane.Purge(), a.ID, b.ID)
		left := []string{lane.Purge(), lane.Wake(), lane.Subscription(c.ID), lane.Subscribers("contact.create", "bob:{1}"), lane.Subscriptions("bob:{1}"),
			lane.Targets("bob:{1}"), lane.AllSubscriptions()}
		keys, err := r.Client.Keys(t.Context(), "*").Result()
		if err != nil || !slices.Equal(slices.Sorted(slices.Values(keys)), slices.Sorted(slices.Values(left))) {
			t.Errorf("the keys left are %q, %v", keys, err)
		}
	})
}

func redisInt(n int64) string { return strconv.FormatInt(n, 10) }

func TestWhatIsNotTheUsersIsNotFound(t *testing.T) {
	redistest.Run(t, func(t *testing.T, r *redistest.Server) {
		s := NewStore(StoreOptions{Client: r.Client})
		sub := mustCreate(t, s, "ann", wanted("deal.won"))
		before := hash(t, r.Client, sub.ID)
		other := sub
		other.TargetURL = "https://evil.example/"
		for _, user := range []string{"bob", "", "ann ", "Ann"} {
			_, get := s.Get(t.Context(), user, sub.ID)
			_, update := s.Update(t.Context(), user, other)
			for _, err := range []error{get, update, s.Delete(t.Context(), user, sub.ID, "")} {
				if !errors.Is(err, ErrNotFound) {
					t.Errorf("to %q: %v", user, err)
				}
			}
			if list, err := s.List(t.Context(), user); len(list) != 0 || err != nil {
				t.Errorf("%q lists %v, %v", user, list, err)
			}
		}
		if _, _, err := s.Create(t.Context(), "", wanted("deal.won"), ""); err == nil {
			t.Error("nobody has a subscription")
		}
		for _, id := range []string{"", "0-x", "1" + sub.ID[1:], "x"} {
			if err := s.Remove(t.Context(), id); err != nil {
				t.Errorf("remove %q: %v", id, err)
			}
		}
		if diff := cmp.Diff(before, hash(t, r.Client, sub.ID)); diff != "" {
			t.Errorf("it was changed (-before +after):\n%s", diff)
		}
	})
}

func TestTheLimitHoldsAgainstManyAtOnce(t *testing.T) {
	redistest.Run(t, func(t *testing.T, r *redistest.Server) {
		s := NewStore(StoreOptions{Client: r.Client})
		var made, refused atomic.Int64
		var clients sync.WaitGroup
		for i := range 200 {
			clients.Go(func() {
				sub := wanted("deal.won")
				sub.TargetURL += strconv.Itoa(i)
				_, _, err := s.Create(t.Context(), "ann", sub, "")
				switch {
				case err == nil:
					made.Add(1)
				case errors.Is(err, ErrLimit):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		clients.Wait()
		if made.Load() != 100 || refused.Load() != 100 {
			t.Errorf("%d were made and %d refused, want 100 each", made.Load(), refused.Load())
		}
		list, err := s.List(t.Context(), "ann")
		if err != nil || len(list) != 100 || len(members(t, r.Client, lane0().Subscribers("deal.won", "ann"))) != 100 {
			t.Errorf("%d are listed, %v", len(list), err)
		}
		if err := s.Delete(t.Context(), "ann", list[0].ID, ""); err != nil {
			t.Fatal(err)
		}
		mustCreate(t, s, "ann", wanted("deal.won"))
	})
}

func TestHowManySubscriptionsThereMayBeCanBeChanged(t *testing.T) {
	redistest.Run(t, func(t *testing.T, r *redistest.Server) {
		s := NewStore(StoreOptions{Client: r.Client, MaxPerUser: 1})
		mustCreate(t, s, "ann", wanted("deal.won"))
		if _, _, err := s.Create(t.Context(), "ann", wanted("deal.lost"), ""); !errors.Is(err, ErrLimit) {
			t.Errorf("a second one: %v", err)
		}
		s.Allow(2, 2)
		mustCreate(t, s, "ann", wanted("deal.lost"))
		if _, _, err := s.Create(t.Context(), "bob", wanted("deal.lost"), ""); !errors.Is(err, ErrFull) {
			t.Errorf("one more than all may have: %v", err)
		}
		s.Allow(0, 0)
		mustCreate(t, s, "bob", wanted("deal.lost"))
	})
}

func TestACreateSentTwiceMakesOneSubscription(t *testing.T) {
	redistest.Run(t, func(t *testing.T, r *redistest.Server) {
		s := NewStore(StoreOptions{Client: r.Client, MaxPerUser: 1})
		sub := mustCreate(t, s, "ann", wanted("deal.won"))
		owned, err := sub.owned()
		if err != nil {
			t.Fatal(err)
		}
		owned["user"], owned["secret"] = "ann", sub.Secret
		reply, err := createScript.Run(t.Context(), r.Client, lane0(), owned.arguments(5000, sub.ID, 1, 1, "", "", 1, "0")...).Slice()
		if err != nil {
			t.Fatal(err)
		}
		word, again, err := s.readReply(reply)
		if diff := cmp.Diff(sub, again); word != "created" || diff != "" || err != nil {
			t.Errorf("the repetition answered %s, %v (-want +got):\n%s", word, err, diff)
		}
	})
}

// failing leaves on a subscription what delivery writes there.
func failing(t testing.TB, c *redis.Client, id string, more ...string) map[string]string {
	t.Helper()
	state := map[string]string{
		"seq": "7", "failing_since": "1700000000000", "failures": "12", "last_status": "500", "last_error": "status", "last_at": "1700000000001", "dropped": "3",
	}
	for i := 0; i < len(more); i += 2 {
		state[more[i]] = more[i+1]
	}
	if err := c.HSet(t.Context(), lane0().Subscription(id), state).Err(); err != nil {
		t.Fatal(err)
	}
	return hash(t, c, id)
}

func TestAnEditLeavesTheFailureStateAlone(t *testing.T) {
	redistest.Run(t, func(t *testing.T, r *redistest.Server) {
		s := NewStore(StoreOptions{Client: r.Client})
		for _, active := range []bool{true, false} {
			sub := mustCreate(t, s, "ann", wanted("deal.won"))
			more := []string{"active", flag(active)}
			if !active {
				more = append(more, "inactive_reason", InactiveByFailure)
			}
			want := failing(t, r.Client, sub.ID, more...)
			sub.TargetURL, sub.Format, sub.Events, sub.Active = "https://new.example/"+flag(active), FormatRaw, []string{"contact.create"}, active
			got := mustUpdate(t, s, "ann", sub)
			if !active {
				want["inactive_since"] = redisInt(sub.UpdatedAt.UnixMilli()) // as updated_at was: failing by now, and since then
			}
			want["target_url"], want["format"], want["event"] = sub.TargetURL, sub.Format, sub.Events[0]
			want["updated_at"] = redisInt(got.UpdatedAt.UnixMilli())
			if diff := cmp.Diff(want, hash(t, r.Client, sub.ID)); diff != "" {
				t.Errorf("active %v: the hash (-want +got):\n%s", active, diff)
			}
		}
	})
}

func TestPausingAndResumingMoveASubscriptionWithWork(t *testing.T) {
	redistest.Run(t, func(t *testing.T, r *redistest.Server) {
		ctx, lane := t.Context(), lane0()
		s := NewStore(StoreOptions{Client: r.Client})
		sub := mustCreate(t, s, "ann", wanted("deal.won"))
		failing(t, r.Client, sub.ID)
		add := func(set string, score float64) {
			t.Helper()
			if err := r.Client.ZAdd(ctx, set, redis.Z{Score: score, Member: sub.ID}).Err(); err != nil {
				t.Fatal(err)
			}
		}
		stands := func(runnable, waiting int64) {
			t.Helper()
			got := []int64{r.Client.ZCard(ctx, lane.Runnable()).Val(), r.Client.ZCard(ctx, lane.Waiting()).Val()}
			if !slices.Equal(got, []int64{runnable, waiting}) {
				t.Errorf("runnable and waiting hold %v, want %d and %d", got, runnable, waiting)
			}
		}
		add(lane.Queue(sub.ID), 1)
		add(lane.Runnable(), 1)
		sub.Active = false
		if got := mustUpdate(t, s, "ann", sub); got.Active || got.InactiveReason != InactiveByOwner {
			t.Errorf("paused, it is %+v", got)
		}
		stands(0, 0)
		if n := r.Client.LLen(ctx, lane.Wake()).Val(); n != 0 {
			t.Error("a pause woke somebody")
		}
		sub.Active = true
		if got := mustUpdate(t, s, "ann", sub); !got.Active || got.InactiveReason != "" {
			t.Errorf("resumed, it is %+v", got)
		}
		stands(1, 0)
		if n := r.Client.LLen(ctx, lane.Wake()).Val(); n != 1 {
			t.Errorf("resumed with work, it left %d tokens", n)
		}
		got := hash(t, r.Client, sub.ID)
		if got["failing_since"] != "" || got["failures"] != "" || got["seq"] != "7" || got["dropped"] != "3" || got["last_status"] != "500" {
			t.Errorf("resumed, its hash is %v", got)
		}
	})
}

func TestADeletedSubscriptionHasNoPlaceLeft(t *testing.T) {
	redistest.Run(t, func(t *testing.T, r *redistest.Server) {
		ctx, lane := t.Context(), lane0()
		s := NewStore(StoreOptions{Client: r.Client})
		sub := mustCreate(t, s, "ann", wanted("deal.won"))
		for _, set := range []string{lane.Runnable(), lane.Waiting()} {
			if err := r.Client.ZAdd(ctx, set, redis.Z{Score: 1, Member: sub.ID}, redis.Z{Score: 2, Member: "other"}).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Delete(ctx, "ann", sub.ID, ""); err != nil {
			t.Fatal(err)
		}
		for _, set := range []string{lane.Runnable(), lane.Waiting()} {
			if got := r.Client.ZRange(ctx, set, 0, -1).Val(); !slices.Equal(got, []string{"other"}) {
				t.Errorf("%s holds %q", set, got)
			}
		}
		if n := r.Client.LLen(ctx, lane.Wake()).Val(); n != 1 {
			t.Errorf("a delete left %d tokens", n)
		}
	})
}

func TestEachUserLivesInTheLaneThatTheIdNames(t *testing.T) {
	redistest.Run(t, func(t *testing.T, r *redistest.Server) {
		l := layout.Layout{Namespace: "test", Lanes: 4}
		s := NewStore(StoreOptions{Client: r.Client, Layout: l})
		lanes := map[int]bool{}
		for _, user := range []string{"ann", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"} {
			sub := mustCreate(t, s, user, wanted("deal.won"))
			lane, ok := laneOf(l, sub.ID)
			if !ok || lane != l.Of(user) {
				t.Errorf("%s of %s names lane %v", sub.ID, user, lane)
			}
			lanes[lane.Number] = true
			wantMembers(t, r.Client, lane.Subscribers("deal.won", user), sub.ID)
			if got, err := s.Get(t.Context(), user, sub.ID); err != nil || !cmp.Equal(got, sub) {
				t.Errorf("it is %+v, %v; want %+v", got, err, sub)
			}
			if err := s.Remove(t.Context(), sub.ID); err != nil {
				t.Error(err)
			}
			wantMembers(t, r.Client, lane.Subscriptions(user))
		}
		if len(lanes) < 2 {
			t.Errorf("all users live in lanes %v", slices.Collect(maps.Keys(lanes)))
		}
	})
}

func TestRedisAwayIsTold(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
	defer client.Close()
	s := NewStore(StoreOptions{Client: client})
	id := newID(lane0())
	_, _, create := s.Create(t.Context(), "ann", wanted("deal.won"), "")
	_, get := s.Get(t.Context(), "ann", id)
	_, list := s.List(t.Context(), "ann")
	_, update := s.Update(t.Context(), "ann", Subscription{ID: id})
	for i, err := range []error{create, get, list, update, s.Delete(t.Context(), "ann", id, ""), s.Remove(t.Context(), id)} {
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.List(gone, "ann"); !errors.Is(err, context.Canceled) {
		t.Errorf("with nobody waiting: %v", err)
	}
}

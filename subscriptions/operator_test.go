package subscriptions

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
)

func TestAnOperatorBrowsesTheSubscriptionsOfAllUsers(t *testing.T) {
	redistest.Run(t, func(t *testing.T, r *redistest.Server) {
		s := NewStore(StoreOptions{Client: r.Client, Layout: layout.Layout{Lanes: 3}})
		var all []string
		for i := range 12 {
			sub := wanted("contact.create")
			if i%3 == 0 {
				sub.Events = []string{"contact.update", "deal.*"}
			}
			sub.TargetURL = fmt.Sprintf("https://Host%d.example/secret/%d", i%2, i)
			sub.Active = i != 5
			all = append(all, mustCreate(t, s, fmt.Sprint("user-", i%4), sub).ID)
		}
		slices.Sort(all)
		for _, size := range []int{1, 5, 12, 100} {
			var seen []string
			for after, more := "", true; more; more = after != "" {
				page, next, err := s.Browse(t.Context(), Selection{}, after, size)
				if err != nil || len(page) > size {
					t.Fatalf("a page of %d, %v", len(page), err)
				}
				for _, sub := range page {
					seen = append(seen, sub.ID)
				}
				after = next
			}
			if !slices.Equal(seen, all) {
				t.Errorf("in pages of %d there are %q, want %q", size, seen, all)
			}
		}
		for selection, want := range map[Selection]int{
			{User: "user-1"}: 3, {User: "nobody"}: 0, {Event: "deal.won"}: 4, {Event: "contact.create"}: 8, {State: StatePaused}: 1, {State: StateActive}: 11,
			{Host: "host1.example"}: 6, {Host: "host1.example", User: "user-1"}: 3, {User: "user-1", State: StatePaused}: 1,
		} {
			page, next, err := s.Browse(t.Context(), selection, "", 100)
			if err != nil || len(page) != want || next != "" {
				t.Errorf("%+v: %d, next %q, %v; want %d", selection, len(page), next, err, want)
			}
		}
		if err := s.Remove(t.Context(), all[3]); err != nil {
			t.Fatal(err)
		}
		if page, _, err := s.Browse(t.Context(), Selection{}, all[2], 1); err != nil || page[0].ID != all[4] {
			t.Errorf("behind one that is gone: %v, %v", page, err)
		}
	})
}

func TestAnOperatorPausesAndResumesWhosever(t *testing.T) {
	redistest.Run(t, func(t *testing.T, r *redistest.Server) {
		s := NewStore(StoreOptions{Client: r.Client})
		sub := mustCreate(t, s, "ann", wanted("contact.create"))
		before, err := s.Inspect(t.Context(), sub.ID)
		if err != nil || before.User != "ann" {
			t.Fatalf("inspected is %+v, %v", before, err)
		}
		for range 2 {
			paused, err := s.Switch(t.Context(), sub.ID, false)
			if err != nil || paused.State() != StatePaused || paused.InactiveReason != InactiveByOperator || paused.ETag == before.ETag {
				t.Errorf("paused is %+v, %v", paused, err)
			}
		}
		// The owner can undo it.
		sub.Active, sub.ETag = true, ""
		if back, err := s.Update(t.Context(), "ann", sub); err != nil || back.State() != StateActive {
			t.Errorf("the owner got %+v, %v", back, err)
		}
		if again, err := s.Switch(t.Context(), sub.ID, true); err != nil || !again.Active {
			t.Errorf("switched on is %+v, %v", again, err)
		}
		for _, id := range []string{"", "x", sub.ID[:len(sub.ID)-4] + "0000", strings.ToUpper(sub.ID), "7" + sub.ID[1:]} {
			if _, err := s.Switch(t.Context(), id, true); !errors.Is(err, ErrNotFound) {
				t.Errorf("switching %q: %v", id, err)
			}
			if _, err := s.Inspect(t.Context(), id); !errors.Is(err, ErrNotFound) {
				t.Errorf("inspecting %q: %v", id, err)
			}
		}
		pending := wanted("deal.won")
		pending.Awaits = strings.Repeat("a", 64)
		made := mustCreate(t, s, "ann", pending)
		for _, active := range []bool{true, false} {
			if _, err := s.Switch(t.Context(), made.ID, active); !errors.Is(err, ErrPending) {
				t.Errorf("switching a pending one: %v", err)
			}
		}
	})
}

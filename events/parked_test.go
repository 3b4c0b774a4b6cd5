package events

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
)

func elementOf(t testing.TB, e Event) []byte {
	t.Helper()
	element, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return element
}

// Of many who give one event to different users, whose lanes differ, one does.
func TestAnEventIsAssignedOnceThoughManyTryAcrossLanes(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		lanes := layout.Layout{Lanes: 8}
		p := NewPublisher(Options{Client: newClient(t, s.Addr), Layout: lanes})
		for round := range 10 {
			id := fmt.Sprint("e", round)
			if err := p.Publish(t.Context(), []Event{newParked(id)}); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			var won atomic.Int64
			for n := range 8 {
				all.Go(func() {
					err := Assign(t.Context(), s.Client, lanes, id, "user-"+strconv.Itoa(n))
					if err == nil {
						won.Add(1)
					} else if !errors.Is(err, ErrNotParked) && !errors.Is(err, ErrNotAssignable) {
						t.Error(err)
					}
				})
			}
			all.Wait()
			pushed := 0
			for _, lane := range lanes.All() {
				pushed += int(s.Client.LLen(t.Context(), lane.Events()).Val())
				s.Client.Del(t.Context(), lane.Events())
			}
			if won.Load() != 1 || pushed != 1 {
				t.Errorf("%d assigned it, and it was pushed %d times", won.Load(), pushed)
			}
			wantEmpty(t, s, lanes.Lane(0).Parked())
		}
	})
}

func TestAnAssignmentThatBrokeOffGoesOnForTheSameUserAlone(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		lanes := layout.Layout{Lanes: 8}
		from := lanes.Lane(0)
		user := "user-0"
		for n := 0; lanes.Of(user) == from; n++ {
			user = fmt.Sprint("user-", n)
		}
		element, owned := elementOf(t, newParked("1")), newParked("1")
		s.Client.LPush(t.Context(), from.Parked(), element)
		owned.User = user
		if _, err := claim(t.Context(), s.Client, from, element, owned); err != nil { // and here it broke off
			t.Fatal(err)
		}
		if err := Assign(t.Context(), s.Client, lanes, "1", "another"); !errors.Is(err, ErrNotAssignable) {
			t.Errorf("to another user: %v", err)
		}
		p := NewPublisher(Options{Client: newClient(t, s.Addr), Layout: lanes})
		if err := p.Release(t.Context(), newParked("1"), "another"); !errors.Is(err, ErrNotParked) {
			t.Errorf("released to another user: %v", err)
		}
		if err := Assign(t.Context(), s.Client, lanes, "1", user); err != nil {
			t.Fatal(err)
		}
		if e := elementOn(t, s, lanes.Of(user).Events()); e.User != user || e.Parked != "" {
			t.Errorf("the event is %+v", e)
		}
		wantEmpty(t, s, from.Parked())
	})
}

func TestParkedEventsAreListedOldestFirstWithoutTheirPayloads(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		const all = 40
		for i := range all {
			s.Client.LPush(t.Context(), lane0.Parked(), elementOf(t, newParked(fmt.Sprint("e", i))))
			if i == 2 {
				s.Client.LPush(t.Context(), lane0.Parked(), "nonsense", `{"id":"x"}`+"\n{}")
			}
		}
		parked := NewParkedList(s.Client, layout.Layout{})
		var names []string
		for at, more := "", true; more; more = at != "" {
			list, next, err := parked.List(t.Context(), at, 17)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range list {
				names = append(names, p.Name)
				if p.Readable() && (p.Event.Parked != "identity_unavailable" || p.Payload != nil || p.Size != len(newParked("1").Payload)) {
					t.Errorf("listed is %+v", p)
				}
			}
			at = next
		}
		if got := strings.Join(names[:6], " "); len(names) != all+2 || !strings.HasPrefix(got, "e0 e1 e2 sha1-") || !strings.HasSuffix(got, " e3") {
			t.Errorf("listed are %d: %s", len(names), got)
		}
		for _, name := range []string{"e0", "e17", names[3], names[4]} {
			found, err := parked.Find(t.Context(), name)
			if err != nil || found.Readable() == (len(found.Raw) > 0) || found.Readable() && string(found.Payload) != string(newParked("1").Payload) {
				t.Errorf("%s is %+v, %v", name, found, err)
			}
			if err := parked.Drop(t.Context(), name); err != nil {
				t.Error(err)
			}
			if _, err := parked.Find(t.Context(), name); !errors.Is(err, ErrNotParked) {
				t.Errorf("%s after it was dropped: %v", name, err)
			}
			if err := parked.Drop(t.Context(), name); !errors.Is(err, ErrNotParked) {
				t.Errorf("%s dropped twice: %v", name, err)
			}
		}
		if n := s.Client.LLen(t.Context(), lane0.Parked()).Val(); n != all-2 {
			t.Errorf("%d are left", n)
		}
		for _, position := range []string{"x", "1-0", "-1-0", "0--1"} {
			if _, _, err := parked.List(t.Context(), position, 5); !errors.Is(err, ErrPosition) {
				t.Errorf("from %q: %v", position, err)
			}
		}
	})
}

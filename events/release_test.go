package events

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
)

// newParked answers an event that waits for its user.
func newParked(id string) Event {
	e := newEvent(id)
	e.User, e.Parked, e.Redacted, e.Payload = "", "identity_unavailable", []string{"a.token"}, []byte("{\"big\": 12345678901234567890,\n \"x\":\"<&>\"}")
	return e
}

// elementOn answers the only element of a list, decoded.
func elementOn(t testing.TB, s *redistest.Server, list string) Event {
	t.Helper()
	elements, err := s.Client.LRange(t.Context(), list, 0, -1).Result()
	if err != nil || len(elements) != 1 {
		t.Fatalf("on %s: %q, %v; want one", list, elements, err)
	}
	e, err := Decode([]byte(elements[0]))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func wantEmpty(t testing.TB, s *redistest.Server, lists ...string) {
	t.Helper()
	if n, err := s.Client.Exists(t.Context(), lists...).Result(); err != nil || n != 0 {
		t.Errorf("%d of %v are there, %v", n, lists, err)
	}
}

func TestAParkedEventIsReleasedToItsUser(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		p := NewPublisher(Options{Client: newClient(t, s.Addr)})
		parked := newParked("1")
		if err := p.Publish(t.Context(), []Event{parked}); err != nil {
			t.Fatal(err)
		}
		wantEmpty(t, s, lane0.Events(), lane0.Wake())
		if err := p.Release(t.Context(), parked, "42"); err != nil {
			t.Fatal(err)
		}
		want := parked
		want.User, want.Parked = "42", ""
		if diff := cmp.Diff(want, elementOn(t, s, lane0.Events())); diff != "" {
			t.Error(diff)
		}
		wantEmpty(t, s, lane0.Parked())
		if n := s.Client.LLen(t.Context(), lane0.Wake()).Val(); n != 1 {
			t.Errorf("%d wake tokens; want 1", n)
		}
		if err := p.Release(t.Context(), parked, "42"); !errors.Is(err, ErrNotParked) {
			t.Errorf("the second release: %v", err)
		}
		elementOn(t, s, lane0.Events()) // one, still
	})
}

func TestManyWhoReleaseOneEventReleaseItOnce(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		p := NewPublisher(Options{Client: newClient(t, s.Addr)})
		if err := p.Publish(t.Context(), []Event{newParked("1"), newParked("2")}); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		var first atomic.Int64
		for n := range 20 {
			all.Go(func() {
				err := p.Release(t.Context(), newParked("1"), strconv.Itoa(n))
				if err == nil {
					first.Add(1)
				} else if !errors.Is(err, ErrNotParked) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if first.Load() != 1 {
			t.Errorf("%d released it", first.Load())
		}
		elementOn(t, s, lane0.Events())
		if e := elementOn(t, s, lane0.Parked()); e.ID != "2" {
			t.Errorf("parked is %+v", e)
		}
	})
}

func TestAnEventMovesToItsUsersLane(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		lanes := layout.Layout{Lanes: 8}
		p := NewPublisher(Options{Client: newClient(t, s.Addr), Layout: lanes})
		for n := range 20 { // of which some are lane 0's
			parked, user := newParked(fmt.Sprint(n)), fmt.Sprint("user-", n)
			if err := p.Publish(t.Context(), []Event{parked}); err != nil {
				t.Fatal(err)
			}
			if err := p.Release(t.Context(), parked, user); err != nil {
				t.Fatal(err)
			}
			to := lanes.Of(user)
			if e := elementOn(t, s, to.Events()); e.User != user || e.ID != parked.ID {
				t.Errorf("lane %d has %+v", to.Number, e)
			}
			if err := p.Release(t.Context(), parked, user); !errors.Is(err, ErrNotParked) {
				t.Errorf("the second release: %v", err)
			}
			elementOn(t, s, to.Events())
			s.Client.Del(t.Context(), to.Events())
			wantEmpty(t, s, lanes.Lane(0).Parked())
		}
	})
}

func TestAnOperatorAssignsAParkedEventByItsId(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		lanes := layout.Layout{Lanes: 3}
		p := NewPublisher(Options{Client: newClient(t, s.Addr), Layout: lanes})
		var batch []Event
		for _, id := range numbered(1, 3*parkedChunk+1) {
			batch = append(batch, newParked(id))
		}
		if err := p.Publish(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		other := lanes.Lane(2) // where dispatch may park what it cannot read
		s.Client.LPush(t.Context(), other.Parked(), "nonsense")
		element, _ := newParked("elsewhere").Encode()
		s.Client.LPush(t.Context(), other.Parked(), element)
		for _, id := range []string{batch[0].ID, batch[parkedChunk].ID, batch[3*parkedChunk].ID, "elsewhere"} {
			if err := Assign(t.Context(), s.Client, lanes, id, "ann"); err != nil {
				t.Fatalf("%s: %v", id, err)
			}
			to := lanes.Of("ann").Events()
			if e := elementOn(t, s, to); e.ID != id || e.User != "ann" || e.Parked != "" {
				t.Errorf("the event is %+v", e)
			}
			s.Client.Del(t.Context(), to)
			if err := Assign(t.Context(), s.Client, lanes, id, "ann"); !errors.Is(err, ErrNotParked) {
				t.Errorf("the second assignment: %v", err)
			}
		}
		if n := s.Client.LLen(t.Context(), lanes.Lane(0).Parked()).Val(); n != int64(len(batch)-3) {
			t.Errorf("%d stay parked", n)
		}
	})
}

func TestAnEventIsAssignedToNobodyAndFromNobodyElse(t *testing.T) {
	s := redistest.Mini(t)
	p := NewPublisher(Options{Client: newClient(t, s.Addr)})
	owned := newParked("owned")
	owned.User = "bob"
	if err := p.Publish(t.Context(), []Event{newParked("free"), owned}); err != nil {
		t.Fatal(err)
	}
	for id, user := range map[string]string{"free": "", "owned": "ann"} {
		if err := Assign(t.Context(), s.Client, layout.Layout{}, id, user); !errors.Is(err, ErrNotAssignable) {
			t.Errorf("%s to %q: %v", id, user, err)
		}
	}
	if n := s.Client.LLen(t.Context(), lane0.Parked()).Val(); n != 2 {
		t.Errorf("%d are parked", n)
	}
}

func TestAParkedEventInTheSpoolStaysParked(t *testing.T) {
	s := redistest.Mini(t)
	spool := openSpool(t, filepath.Join(t.TempDir(), "spool"), SpoolOptions{})
	p := NewPublisher(Options{Client: newClient(t, s.Addr), Spool: spool})
	s.Stop(t)
	parked := newParked("1")
	if err := p.Publish(t.Context(), []Event{parked}); err != nil {
		t.Fatal(err)
	}
	if err := p.Release(t.Context(), parked, "42"); err == nil || errors.Is(err, ErrNotParked) {
		t.Errorf("with Redis away the release answers %v", err)
	}
	s.Start(t)
	eventually(t, "Redis is back", func() bool { return s.Client.Ping(t.Context()).Err() == nil })
	// As soon as it may: the client may need another try to find out.
	eventually(t, "nothing is parked yet", func() bool { return errors.Is(p.Release(t.Context(), parked, "42"), ErrNotParked) })
	run(t, p)
	eventually(t, "the spool is replayed", func() bool { return spool.Len() == 0 })
	if e := elementOn(t, s, lane0.Parked()); e.ID != "1" {
		t.Errorf("parked is %+v", e)
	}
	if err := Assign(t.Context(), s.Client, layout.Layout{}, "1", "42"); err != nil {
		t.Error(err)
	}
}

package events

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestOnlyTheEventsThatAreNotSafeCountAsLost(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		l := layout.Layout{Lanes: 2}
		// One lane's list cannot be used: something else stands in its place.
		if err := s.Client.Set(t.Context(), l.Lane(1).Events(), "no list", 0).Err(); err != nil {
			t.Fatal(err)
		}
		p := NewPublisher(Options{Client: newClient(t, s.Addr), Layout: l})
		var batch []Event
		var want []int
		for i := range 10 {
			e := newEvent(fmt.Sprint(i))
			e.User = fmt.Sprint("user", i)
			batch = append(batch, e)
			if l.Of(e.User).Number == 1 {
				want = append(want, i)
			}
		}
		err := p.Publish(t.Context(), batch)
		var lost *LostError
		if !errors.As(err, &lost) || !errors.Is(err, ErrNowhere) || !slices.Equal(lost.Lost, want) {
			t.Fatalf("Publish answers %v; want a LostError of %v", err, want)
		}
		for i := range batch {
			if Lost(err, i) != slices.Contains(want, i) {
				t.Errorf("Lost(%d) is %v", i, Lost(err, i))
			}
		}
		if n := testutil.ToFloat64(p.metrics.lost); int(n) != len(want) {
			t.Errorf("%v are counted as lost; want %d", n, len(want))
		}
		if n := s.Client.LLen(t.Context(), l.Lane(0).Events()).Val(); int(n) != len(batch)-len(want) {
			t.Errorf("%d events of the other lane are on its list", n)
		}
	})
}

func TestAnErrorThatDoesNotSayWhichMeansAll(t *testing.T) {
	if Lost(nil, 0) || !Lost(errors.New("broken"), 3) {
		t.Error("Lost takes no error for a loss, or an error for none")
	}
}

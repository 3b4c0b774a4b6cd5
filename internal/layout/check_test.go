package layout

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

func TestAnEmptyStoreTakesTheLayoutAndRemembersIt(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		for range 2 {
			if err := Check(t.Context(), s.Client, Layout{Lanes: 4}); err != nil {
				t.Fatal(err)
			}
		}
		got := s.Client.HGetAll(t.Context(), "hookproxy:layout").Val()
		if len(got) != 2 || got["version"] != "2" || got["lanes"] != "4" {
			t.Errorf("the store remembers %v", got)
		}
	})
}

func TestAnotherNumberOfLanesIsRefused(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		if err := Check(t.Context(), s.Client, Layout{}); err != nil {
			t.Fatal(err)
		}
		err := Check(t.Context(), s.Client, Layout{Lanes: 2})
		if !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "lanes of hookproxy:layout is 1 there, 2 here; start with the --lanes") {
			t.Errorf("Check answers %v", err)
		}
		if err := Check(t.Context(), s.Client, Layout{}); err != nil {
			t.Errorf("the refused layout has left something: %v", err)
		}
	})
}

func TestAnOlderVersionIsRefused(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		s.Client.HSet(t.Context(), "hookproxy:layout", "version", "1", "lanes", "1")
		err := Check(t.Context(), s.Client, Layout{})
		if !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "version of hookproxy:layout is 1 there, 2 here") {
			t.Errorf("Check answers %v", err)
		}
	})
}

func TestEachNamespaceHasItsOwnLayout(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		for _, l := range []Layout{{Lanes: 2}, {Namespace: "other", Lanes: 3}} {
			if err := Check(t.Context(), s.Client, l); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestOfProcessesStartingAtOnceWithSeveralLayoutsOneWins(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		var starting sync.WaitGroup
		results := make([]error, 8)
		for i := range results {
			starting.Go(func() { results[i] = Check(t.Context(), s.Client, Layout{Lanes: i + 1}) })
		}
		starting.Wait()
		winners := 0
		for _, err := range results {
			if err == nil {
				winners++
			} else if !errors.Is(err, ErrMismatch) {
				t.Error(err)
			}
		}
		if winners != 1 {
			t.Errorf("%d of 8 layouts were taken; want 1", winners)
		}
	})
}

func TestARedisThatIsAwayIsNoMismatch(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		s.Stop(t)
		if err := Check(t.Context(), s.Client, Layout{}); err == nil || errors.Is(err, ErrMismatch) {
			t.Errorf("Check answers %v; want the connection's error", err)
		}
	})
}

package layout

import (
	"slices"
	"testing"

	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// placed places subscription s at 1000 ms and answers where it stands then.
func placed(t *testing.T, s *redistest.Server) (runnable bool, waitingUntil float64) {
	t.Helper()
	answer, err := eval(t, s, `return place('s', 1000) and 1 or 0`).Bool()
	if err != nil {
		t.Fatal(err)
	}
	runnable = s.Client.ZScore(t.Context(), lane.Runnable(), "s").Err() == nil
	if answer != runnable {
		t.Errorf("place answers %v; runnable is %v", answer, runnable)
	}
	return runnable, s.Client.ZScore(t.Context(), lane.Waiting(), "s").Val()
}

func TestASubscriptionStandsWhereItsStateSays(t *testing.T) {
	type state struct {
		active string // empty: the subscription is gone
		queued bool
		retry  float64 // 0: none
	}
	for name, c := range map[string]struct {
		state
		runnable bool
		waiting  float64
	}{
		"queued":                     {state{"1", true, 0}, true, 0},
		"queued and retry to come":   {state{"1", true, 2000}, true, 0},
		"retry due":                  {state{"1", false, 999}, true, 0},
		"retry due this very ms":     {state{"1", false, 1000}, true, 0},
		"retry to come":              {state{"1", false, 1001}, false, 1001},
		"empty":                      {state{"1", false, 0}, false, 0},
		"inactive with work":         {state{"0", true, 999}, false, 0},
		"gone with work left over":   {state{"", true, 999}, false, 0},
		"inactive, retry to come":    {state{"0", false, 2000}, false, 0},
		"nothing known of it at all": {state{}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			redistest.Run(t, func(t *testing.T, s *redistest.Server) {
				ctx := t.Context()
				if c.active != "" {
					s.Client.HSet(ctx, lane.Subscription("s"), "active", c.active)
				}
				if c.queued {
					s.Client.ZAdd(ctx, lane.Queue("s"), redis.Z{Score: 1, Member: "event"})
				}
				if c.retry > 0 {
					s.Client.ZAdd(ctx, lane.Retry("s"), redis.Z{Score: c.retry, Member: "a"}, redis.Z{Score: c.retry + 1, Member: "b"})
				}
				if runnable, waiting := placed(t, s); runnable != c.runnable || waiting != c.waiting {
					t.Errorf("runnable %v, waiting until %v; want %v, %v", runnable, waiting, c.runnable, c.waiting)
				}
				// Where it stood before makes no difference.
				s.Client.ZAdd(ctx, lane.Runnable(), redis.Z{Score: 7, Member: "s"})
				s.Client.ZAdd(ctx, lane.Waiting(), redis.Z{Score: 7, Member: "s"})
				if runnable, waiting := placed(t, s); runnable != c.runnable || waiting != c.waiting {
					t.Errorf("from both: runnable %v, waiting until %v; want %v, %v", runnable, waiting, c.runnable, c.waiting)
				}
			})
		})
	}
}

func TestARunnableSubscriptionKeepsItsTurn(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		for _, id := range []string{"a", "b", "c"} {
			s.Client.HSet(t.Context(), lane.Subscription(id), "active", "1")
			s.Client.ZAdd(t.Context(), lane.Queue(id), redis.Z{Score: 1, Member: "event"})
		}
		eval(t, s, `place('b', 0) place('a', 0) place('c', 0) place('b', 0)`)
		got := s.Client.ZRange(t.Context(), lane.Runnable(), 0, -1).Val()
		if want := []string{"b", "a", "c"}; !slices.Equal(got, want) {
			t.Errorf("in turn are %v; want %v", got, want)
		}
	})
}

func TestTheEndOfAWindowIsATimeToWakeUp(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		s.Client.HSet(t.Context(), lane.Subscription("s"), "active", "1", "windows", "1")
		for _, c := range []struct {
			ends, retry, waiting float64
			runnable             bool
		}{{1500, 2000, 1500, false}, {2000, 1500, 1500, false}, {1000, 2000, 0, true}, {2000, 1000, 0, true}} {
			s.Client.ZAdd(t.Context(), lane.Windows("s"), redis.Z{Score: c.ends, Member: "x:a.b"})
			s.Client.ZAdd(t.Context(), lane.Retry("s"), redis.Z{Score: c.retry, Member: "event"})
			if runnable, waiting := placed(t, s); runnable != c.runnable || waiting != c.waiting {
				t.Errorf("%+v: runnable %v, waiting until %v", c, runnable, waiting)
			}
		}
	})
}

package layout

import (
	"slices"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/redis/go-redis/v9"
)

var lane = Layout{}.Lane(0)

// eval runs Lua with lane.lua's functions before it.
func eval(t *testing.T, s *redistest.Server, lua string, args ...any) *redis.Cmd {
	t.Helper()
	cmd := NewScript(lua).Run(t.Context(), s.Client, lane, args...)
	if err := cmd.Err(); err != nil && err != redis.Nil {
		t.Fatal(err)
	}
	return cmd
}

func TestAScriptRunsThoughRedisHasForgottenIt(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		script := NewScript(`return {lane, ARGV[1]}`)
		for range 2 {
			got, err := script.Run(t.Context(), s.Client, lane, "an argument").StringSlice()
			if err != nil || !slices.Equal(got, []string{"hookproxy:{0}:", "an argument"}) {
				t.Errorf("the script answers %v, %v", got, err)
			}
			if err := s.Client.ScriptFlush(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestLuaAndGoNameTheSameKeys(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		got, err := eval(t, s, `return {subscription_key('x'), queue_key('x'), retry_key('x'), tries_key('x'), dead_key('x')}`).StringSlice()
		want := []string{lane.Subscription("x"), lane.Queue("x"), lane.Retry("x"), lane.Tries("x"), lane.Dead("x")}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("Lua names %v, %v; Go %v", got, err, want)
		}
	})
}

func TestTimeIsRedisTimePlusTheOffset(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		before := s.Client.Time(t.Context()).Val().UnixMilli()
		got, err := eval(t, s, `return {now(), now(ARGV[1]), now(ARGV[2])}`, 3_600_000, -500).Int64Slice()
		after := s.Client.Time(t.Context()).Val().UnixMilli()
		if err != nil {
			t.Fatal(err)
		}
		for i, offset := range []int64{0, 3_600_000, -500} {
			if at := got[i] - offset; at < before || at > after {
				t.Errorf("now with offset %d is %d; Redis had %d before and %d after", offset, got[i], before, after)
			}
		}
		if before < time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() {
			t.Errorf("%d is no time in ms", before)
		}
	})
}

func TestThereIsAtMostOneWakeToken(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		for range 2 {
			eval(t, s, `wake() wake()`)
			if n := s.Client.LLen(t.Context(), lane.Wake()).Val(); n != 1 {
				t.Errorf("there are %d tokens; want 1", n)
			}
		}
	})
}

func TestWhatHasFailedIsRememberedInTheOrderOfItsSequences(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		got, err := eval(t, s, `
remember('x', 'late', 3, '5000000001')
remember('x', 'early', '0', 7)
remember('x', 'never ends', 5000, 8)
forget('x', 'unknown', 'never ends')
remember('x', 'middle', 1023, '5000000000')
local found = redis.call('ZRANGE', tries_key('x'), 0, -1)
for i, event in ipairs({'late', 'early', 'middle'}) do
  local tries, sequence = recall('x', event)
  found[#found + 1] = tries .. ' of ' .. sequence
end
found[#found + 1] = tostring(recall('x', 'never ends'))
return found`).StringSlice()
		want := []string{"early", "middle", "late", "3 of 5000000001", "0 of 7", "1023 of 5000000000", "nil"}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("remembered are %q, %v; want %q", got, err, want)
		}
	})
}

func TestTheLastDeliveryFreesTheEvent(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		s.Client.HSet(t.Context(), lane.Stored(), "x", "[]\n{}")
		s.Client.HSet(t.Context(), lane.Shares(), "x", 2)
		for _, left := range []int64{1, 0, 0} { // one release too many leaves nothing behind
			eval(t, s, `release('x')`)
			if n := s.Client.HLen(t.Context(), lane.Stored()).Val(); n != left {
				t.Errorf("%d events are there; want %d", n, left)
			}
		}
	})
}

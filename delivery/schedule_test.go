package delivery

import (
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTheScheduleIsTheOneDocumented(t *testing.T) {
	want := []string{"5s", "30s", "5m0s", "30m0s", "1h0m0s", "3h0m0s", "6h0m0s", "12h0m0s"}
	s := DefaultSchedule()
	for i, text := range want {
		if delay, again := s.After(i+1, 0); !again || delay.String() != text {
			t.Errorf("after %d: %s, %v; want %s", i+1, delay, again, text)
		}
	}
	for _, attempts := range []int{-1, 0, len(want) + 1, 1000} {
		if delay, again := s.After(attempts, 0.5); again {
			t.Errorf("after %d there is another in %s", attempts, delay)
		}
	}
}

func TestJitterOnlyLengthensAndByAFifthAtMost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := DefaultSchedule()
		attempts := rapid.IntRange(1, len(s)).Draw(t, "attempts")
		luck := rapid.Float64Range(0, 0.999999).Draw(t, "luck")
		delay, again := s.After(attempts, luck)
		if base := s[attempts-1]; !again || delay < base || delay > base+base/5 {
			t.Fatalf("after %d with luck %f: %s, %v", attempts, luck, delay, again)
		}
	})
}

func TestRetryAfterIsReadAndClamped(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "soon": 0, "-5": 0, "1.5": 0, "0": time.Second, "1": time.Second, "120": 2 * time.Minute,
		"86400": 24 * time.Hour, "86401": 24 * time.Hour, "99999999999999999999999": 24 * time.Hour,
		"9223372036854775807":                             24 * time.Hour,
		now.Add(time.Hour).Format(http.TimeFormat):        time.Hour,
		now.Add(-time.Hour).Format(http.TimeFormat):       time.Second,
		now.Add(1000 * time.Hour).Format(http.TimeFormat): 24 * time.Hour,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

func TestRetryAfterOnlyEverLengthensTheWait(t *testing.T) {
	e := &Engine{options: Options{Schedule: DefaultSchedule()}}
	for tries, scheduled := range DefaultSchedule() {
		for _, asked := range []time.Duration{0, time.Second, 24 * time.Hour} {
			step, after := e.next(&delivery{tries: tries}, attempt{after: asked})
			if step != stepRetry || after < scheduled || after < asked {
				t.Errorf("after %d attempts, asked for %s: %s in %s; want at least %s", tries+1, asked, step, after, max(scheduled, asked))
			}
		}
	}
}

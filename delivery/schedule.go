package delivery

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Schedule lists how long to wait after the first, second … failed attempt. A
// delivery whose attempts outnumber it is given up.
type Schedule []time.Duration

// DefaultSchedule spreads nine attempts over a day:
//
//	attempt   1   2    3     4    5     6     7     8     9
//	after     0   5 s  30 s  5 m  30 m  1 h   3 h   6 h   12 h
//	in all    0   5 s  35 s  6 m  36 m  1.6 h 4.6 h 10.6 h 22.6 h
func DefaultSchedule() Schedule {
	return Schedule{
		5 * time.Second, 30 * time.Second, 5 * time.Minute, 30 * time.Minute,
		time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	}
}

// jitterShare is by how much of itself a delay may grow, so that what failed
// together does not come back together.
const jitterShare = 0.2

// After answers how long to wait after so many failed attempts, and false where
// there is no further one. luck is from [0, 1); it only ever lengthens the wait.
func (s Schedule) After(attempts int, luck float64) (time.Duration, bool) {
	if attempts < 1 || attempts > len(s) {
		return 0, false
	}
	delay := s[attempts-1]
	return delay + time.Duration(luck*jitterShare*float64(delay)), true
}

func (s Schedule) validate() error {
	for i, delay := range s {
		if delay <= 0 {
			return fmt.Errorf("delay %d of the schedule is %s: %w", i+1, delay, errNotPositive)
		}
	}
	return nil
}

var errNotPositive = errors.New("want a positive duration")

// Bounds of what a target may ask for by Retry-After.
const (
	minRetryAfter = time.Second
	maxRetryAfter = 24 * time.Hour
)

// retryAfter reads a Retry-After header (RFC 9110 §10.2.3: seconds or a date)
// and clamps it. It answers 0 for none, and for one that cannot be read.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 1), uint64(maxRetryAfter/time.Second))) * time.Second
	} else if errors.Is(err, strconv.ErrRange) {
		return maxRetryAfter
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(date.Sub(now), minRetryAfter), maxRetryAfter)
}

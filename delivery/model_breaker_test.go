package delivery

import "time"

const modelBreakAfter = 3

// modelBreaker is the simple account of a subscription's breaker.
type modelBreaker struct {
	failures, trips, ramp, health int
	openUntil                     time.Duration
}

// ends tells the breaker how an attempt ended, and answers what finish must.
func (s *modelSub) ends(how step, at time.Duration) string {
	if how == stepReleased {
		return "ok"
	}
	if how == stepDelivered {
		s.failures, s.health = 0, s.health*19/20
		if s.ramp > 0 && s.openUntil <= at {
			if s.ramp *= 2; s.ramp >= modelCap {
				s.ramp, s.trips, s.openUntil = 0, 0, 0
			}
		}
		return "ok"
	}
	s.failures++
	if !s.active {
		return "ok"
	}
	s.health = s.health*19/20 + 50
	if s.openUntil > at || s.ramp == 0 && s.failures < modelBreakAfter && s.health <= 500 {
		return "ok"
	}
	s.trips++
	s.openUntil = at + min(5*time.Second<<(s.trips-1), 10*time.Minute)
	s.ramp, s.health = 1, 0
	s.resume = max(s.resume, s.openUntil)
	return finishedOpened
}

// cap answers how many leases the subscription may have.
func (s *modelSub) cap() int {
	switch {
	case s.ordered:
		return 1
	case s.ramp > 0:
		return min(s.ramp, modelCap)
	}
	return modelCap
}

// capFor answers how many leases the subscription may have and still take one more
// for a delivery: retries leave one to news, as does what may stand among them.
func (s *modelSub) capFor(w *modelDelivery) int {
	if c := s.cap(); c == 1 || s.ordered || w.tries == 0 && w.due == 0 {
		return c
	}
	return s.cap() - 1
}

// head is the delivery whose turn it is where order is kept.
func (s *modelSub) head() *modelDelivery {
	var head *modelDelivery
	for _, w := range s.want {
		if !w.dead && (head == nil || w.sequence < head.sequence) {
			head = w
		}
	}
	return head
}

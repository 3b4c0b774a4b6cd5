package delivery

import (
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"
)

const modelWithin = 15 * time.Second

// modelBatch is the simple account of batches. Zero: there are none.
type modelBatch struct {
	most int
	// punctual tells that nothing has happened for which a batch may go early: what
	// was put back, or kept while inactive, does not wait anew.
	punctual bool
}

// modelRide is a delivery's place in a batch.
type modelRide struct {
	came time.Duration
	// batch names it and leader its head, once it is made.
	batch, leader string
}

// members answers the events of a delivery: one, or those of a batch.
func members(d *delivery) []string {
	all := []string{d.event.ID}
	for _, r := range d.riders {
		all = append(all, r.event.ID)
	}
	return all
}

// checkBatch holds what was claimed against what may be: what was a batch before is
// the same one, but for what was dropped, and nobody is in two.
func (m *model) checkBatch(t *rapid.T, s *modelSub, d *delivery) {
	all, head := members(d), s.want[d.event.ID]
	if (d.batch == "") != (s.most == 0) || len(all) > max(s.most, 1) {
		t.Fatalf("%v claimed in the batch %q, of %d at most", all, d.batch, s.most)
	}
	for _, event := range all {
		if w := s.want[event]; w == nil || w.dead || w.batch != head.batch || m.isHeld(d.subscription, event) || !s.mayPass(event, w) {
			t.Fatalf("%s of %s claimed in %v, but it stands at %+v", event, d.subscription, all, w)
		}
	}
	if s.most == 0 {
		return
	}
	if head.batch != "" {
		var kept []string
		for event, w := range s.want {
			if w.batch == head.batch {
				kept = append(kept, event)
			}
		}
		if slices.Sort(kept); d.batch != head.batch || strings.Join(kept, " ") != strings.Join(slices.Sorted(slices.Values(all)), " ") {
			t.Fatalf("%v is claimed as %s, but %v is %s", all, d.batch, kept, head.batch)
		}
		return
	}
	if s.punctual && head.tries == 0 && len(all) < s.most && s.heads == nil && s.debounce == 0 && head.came+modelWithin > m.at {
		t.Fatalf("%v is no full batch, and came at %s; claimed at %s", all, head.came, m.at)
	}
	for i, event := range all {
		if s.ordered && i > 0 && s.want[event].sequence <= s.want[all[i-1]].sequence {
			t.Fatalf("%v is in no order", all)
		}
		s.want[event].batch, s.want[event].leader = d.batch, d.event.ID
	}
}

// mayLead tells whether a delivery can be claimed as far as batches matter: it heads
// one, or has waited long enough to be in the next. When Redis has ended a window
// the model does not know.
func (s *modelSub) mayLead(event string, w *modelDelivery, at time.Duration) bool {
	switch {
	case s.most == 0:
		return true
	case w.batch != "":
		return w.leader == event
	}
	return s.debounce == 0 && w.came+modelWithin <= at
}

// scatter takes batches apart whose head is gone.
func (s *modelSub) scatter(at time.Duration) {
	for _, w := range s.want {
		if w.batch == "" || s.want[w.leader] != nil {
			continue
		}
		w.modelRide, s.punctual = modelRide{came: w.came}, false
		if w.due = min(w.due, at); w.tries == 0 || s.ordered {
			w.due = 0
		}
	}
}

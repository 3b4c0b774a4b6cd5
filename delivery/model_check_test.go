package delivery

import (
	"strconv"
	"time"

	"pgregory.net/rapid"
)

// check holds after every step: no subscription has more leases than its cap,
// and the count of them is exact.
func (m *model) check(t *rapid.T) {
	for _, s := range m.subs {
		s.advance()
	}
	counted := must(m.client.HGetAll(m.Context(), m.lane.InFlight()).Result())
	held, retries := map[string]int{}, map[string]int{}
	for _, l := range m.held {
		held[l.subscription]++
		if l.tries > 0 && !m.subs[l.subscription].ordered {
			if retries[l.subscription]++; retries[l.subscription] > modelCap-1 {
				t.Fatalf("%s holds %d retries and leaves no room for news", l.subscription, retries[l.subscription])
			}
		}
	}
	for id, n := range held {
		if n > modelCap || counted[id] != strconv.Itoa(n) {
			t.Fatalf("%s holds %d, counted %s, the cap is %d", id, n, counted[id], modelCap)
		}
	}
	if len(counted) != len(held) {
		t.Fatalf("counted %v, held %v", counted, held)
	}
}

// checkNothingIsDue holds after a claim that got less than it wanted: whatever
// is due belongs to an inactive subscription or to one at its cap.
func (m *model) checkNothingIsDue(t *rapid.T) {
	held, count := map[string]bool{}, map[string]int{}
	for _, l := range m.held {
		for _, event := range members(l.delivery) {
			held[l.subscription+event] = true
		}
		count[l.subscription]++
	}
	for id, s := range m.subs {
		for event, w := range s.want {
			if s.active && count[id] < s.capFor(w) && s.resume <= m.at && !w.dead && w.due <= m.at && !held[id+event] && s.mayLead(event, w, m.at) &&
				(!s.ordered || s.head() == w) && s.mayPass(event, w) {
				t.Fatalf("%s is due for %s and was not claimed", event, id)
			}
		}
	}
}

// settle brings everything to its end: the subscriptions are active, dead
// letters come back, all targets answer 200. Then every delivery that was due
// must have been made, once, and nothing may be left.
func (m *model) settle(t *rapid.T) {
	for id, s := range m.subs {
		if !s.deleted {
			m.setActive(id, "1")
			for _, job := range m.jobs(id) {
				m.cancel(job)
			}
			m.step()
			m.redeliverMissed(t, id)
			s.advance()
		}
	}
	m.pass(24 * time.Hour) // whatever is held has lapsed, whatever waits is due
	m.at += 24 * time.Hour
	m.held = nil
	for _, s := range m.subs {
		s.ripen(m.at)
		s.advance()
	}
	for quiet := 0; quiet < 2; quiet++ {
		m.purgeSome(t)
		m.pass(modelWithin) // what a window left may wait for its batch to fill
		m.at += modelWithin
		for c := m.take(10); len(c.deliveries) > 0; c = m.take(10) {
			quiet = 0
			for _, d := range c.deliveries {
				s := m.subs[d.subscription]
				if s.want[d.event.ID] == nil {
					t.Fatalf("%s delivered to %s once more", d.event.ID, d.subscription)
				}
				if s.ordered && s.head() != s.want[d.event.ID] {
					t.Fatalf("%s delivered to %s out of turn", d.event.ID, d.subscription)
				}
				if !s.mayPass(d.event.ID, s.want[d.event.ID]) {
					t.Fatalf("%s delivered to %s before %v", d.event.ID, d.subscription, s.heads)
				}
				m.checkBatch(t, s, d)
				for _, event := range members(d) {
					delete(s.want, event)
				}
				s.advance()
				if got := m.end(d, stepDelivered, 0); got != "ok" {
					t.Fatalf("finish: %s", got)
				}
			}
		}
	}
	m.pass(time.Hour)
	m.step() // which sees that all that was put back is delivered
	for id, s := range m.subs {
		if len(s.want) > 0 {
			t.Fatalf("%s was never delivered %v", id, s.want)
		}
	}
	m.wantNothingLeft(t)
}

// wantNothingLeft sees that no key of the engine's has outlived its use.
func (m *model) wantNothingLeft(t *rapid.T) {
	for _, prefix := range []string{"stored", "shares", "broken", "queue:", "retry:", "dead:", "tries:", "leases", "inflight", "runnable", "waiting", "retained", "purge",
		"heads:", "blocked:", "line:", "windows:", "latest:", "batches:", "riders:", "riding:", "marks:", "redelivering", "redelivered:", "redeliveries:"} {
		if keys := m.keys(prefix); len(keys) > 0 {
			t.Fatalf("left behind: %v", keys)
		}
	}
}

package delivery

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

// What must hold whatever happens in whatever order, by several workers that
// come and go: nothing is lost, nothing is delivered after deletion or while
// inactive, nobody but the holder ends an attempt, no cap is exceeded, nothing
// comes before it is due or, where order is asked for, out of turn; a breaker
// opens, lets through and closes as told, and at the end nothing is left in Redis.

// model is the simple account that the scripts are held against.
type model struct {
	*rig
	at     time.Duration
	events int
	subs   map[string]*modelSub
	held   []*modelLease
	ended  []*modelLease // leases no longer held, whose finish must be lost
}

type modelSub struct {
	active, deleted, ordered bool
	modelOrder
	modelDebounce
	modelBatch
	// sequence is that of the last delivery, resume when the next may be made.
	sequence int64
	resume   time.Duration
	modelBreaker
	// want is what must still be delivered, by event; state says how it stands.
	want map[string]*modelDelivery
}

type modelDelivery struct {
	tries    int
	sequence int64
	due      time.Duration // not to be claimed before
	dead     bool
	resource string
	modelRide
}

type modelLease struct {
	*delivery
	until time.Duration
}

const modelCap = 2

func TestWhateverHappensNothingIsLostOrDeliveredWrongly(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		r.cap, r.breakAfter = modelCap, modelBreakAfter
		rapid.Check(t, func(rt *rapid.T) {
			if err := s.Client.FlushAll(t.Context()).Err(); err != nil {
				rt.Fatal(err)
			}
			r.moved.Store(0)
			m := &model{rig: r, subs: map[string]*modelSub{}}
			m.TB = failing{t, rt}
			rt.Repeat(map[string]func(*rapid.T){
				"subscribe": m.addSubscription, "publish": m.publish, "claim": m.claimSome, "finish": m.finishOne,
				"finish late": m.finishLate, "renew": m.renewOne, "time": m.timePasses, "pause": m.pause,
				"delete": m.deleteOne, "redeliver": m.redeliverOne, "cancel": m.cancelOne, "drop": m.dropSome,
				"purge": m.purgeSome, "": m.check,
			})
			m.settle(rt)
		})
	})
}

// failing sends the rig's failures to rapid, so that they are shrunk.
type failing struct {
	testing.TB
	rt *rapid.T
}

func (f failing) Helper()                           {}
func (f failing) Fatal(args ...any)                 { f.rt.Fatal(args...) }
func (f failing) Fatalf(format string, args ...any) { f.rt.Fatalf(format, args...) }
func (f failing) Errorf(format string, args ...any) { f.rt.Errorf(format, args...) }

func (m *model) some(t *rapid.T) (string, *modelSub) {
	var names []string
	for i := range len(m.subs) {
		if name := fmt.Sprint("0-s", i); !m.subs[name].deleted {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		t.Skip("no subscription")
	}
	name := rapid.SampledFrom(names).Draw(t, "subscription")
	return name, m.subs[name]
}

func (m *model) addSubscription(t *rapid.T) {
	if len(m.subs) == 5 {
		t.Skip("enough")
	}
	name := fmt.Sprint("s", len(m.subs))
	id := m.subscribe(name, "contact.create", "http://"+name)
	m.subs[id] = &modelSub{active: true, want: map[string]*modelDelivery{}}
	switch rapid.IntRange(0, 2).Draw(t, "order") {
	case 1:
		m.subs[id].ordered = true
		m.set(id, "ordered", "1")
	case 2:
		m.subs[id].heads = map[string]string{}
		m.set(id, "ordered", "resource")
	}
	m.shape(t, id)
}

// publish pushes events, and perhaps one that was there before, and dispatches them.
func (m *model) publish(t *rapid.T) {
	if m.events > 0 && rapid.Bool().Draw(t, "again") {
		m.push(m.event(rapid.IntRange(0, m.events-1).Draw(t, "old")))
	}
	call := m.events
	m.pass(time.Millisecond) // lest two calls seem to be at the same time
	for range rapid.IntRange(1, 3).Draw(t, "events") {
		e := m.event(m.events)
		m.events++
		m.push(e)
		if rapid.Bool().Draw(t, "twice") {
			m.push(e)
		}
		for _, s := range m.subs {
			if !s.deleted {
				s.gets(e, m.at, call)
			}
		}
	}
	m.dispatchAll()
}

func (m *model) claimSome(t *rapid.T) {
	before := m.held
	m.held = nil
	for _, l := range before { // claim returns what has lapsed
		if l.until <= m.at {
			m.subs[l.subscription].punctual = false
			m.ended = append(m.ended, l)
		} else {
			m.held = append(m.held, l)
		}
	}
	for _, s := range m.subs {
		s.ripen(m.at)
		s.advance()
	}
	want := rapid.IntRange(1, 6).Draw(t, "want")
	claimed := m.take(want).deliveries
	for _, d := range claimed {
		s := m.subs[d.subscription]
		w := s.want[d.event.ID]
		switch {
		case s.deleted || !s.active:
			t.Fatalf("%s claimed for %+v", d.event.ID, s)
		case w == nil || w.dead || w.due > m.at || w.tries != d.tries || w.sequence != d.sequence:
			t.Fatalf("claimed %+v at %s, but it stands at %+v", d, m.at, w)
		case s.resume > m.at:
			t.Fatalf("claimed %+v at %s, but its subscription rests until %s", d, m.at, s.resume)
		case s.ordered && s.head() != w:
			t.Fatalf("claimed %+v out of turn: %+v", d, s)
		case !s.mayPass(d.event.ID, w):
			t.Fatalf("claimed %+v before %s", d, s.heads[w.resource])
		}
		m.checkBatch(t, s, d)
		m.held = append(m.held, &modelLease{d, m.at + leaseFor})
	}
	if len(claimed) < want {
		m.checkNothingIsDue(t)
	}
}

// finishOne ends an attempt whose lease is held, or has lapsed unnoticed.
func (m *model) finishOne(t *rapid.T) {
	if len(m.held) == 0 {
		t.Skip("nothing held")
	}
	i := rapid.IntRange(0, len(m.held)-1).Draw(t, "lease")
	l := m.held[i]
	m.held = append(m.held[:i:i], m.held[i+1:]...)
	m.ended = append(m.ended, l)
	how := rapid.SampledFrom([]step{stepDelivered, stepRetry, stepDead, stepReleased}).Draw(t, "step")
	after := time.Duration(rapid.IntRange(0, 3).Draw(t, "after")) * 10 * time.Second
	got := m.end(l.delivery, how, after)
	s := m.subs[l.subscription]
	if s.deleted {
		if got != finishedGone {
			t.Fatalf("finish for a deleted subscription: %s", got)
		}
		return
	}
	if want := s.ends(how, m.at); got != want {
		t.Fatalf("finish of a lease held: %s, want %s", got, want)
	}
	if s.ordered && (how == stepRetry || how == stepReleased && after > 0) {
		s.resume = max(s.resume, m.at+after)
		after = -m.at // for the subscription waits, not the delivery
	}
	for _, event := range members(l.delivery) {
		s.settles(event, how, m.at+after)
	}
}

// settles tells what becomes of an event whose attempt ended.
func (s *modelSub) settles(event string, how step, due time.Duration) {
	w := s.want[event]
	switch how {
	case stepDelivered:
		delete(s.want, event)
	case stepRetry:
		w.tries, w.due = w.tries+1, due
	case stepDead:
		w.tries, w.dead, w.batch = w.tries+1, true, ""
	case stepReleased:
		w.due, s.punctual = due, false
	}
}

func (m *model) finishLate(t *rapid.T) {
	if len(m.ended) == 0 {
		t.Skip("none has ended")
	}
	l := rapid.SampledFrom(m.ended).Draw(t, "lease")
	if got := m.end(l.delivery, stepDelivered, 0); got != finishedLost {
		t.Fatalf("finish of a lease no longer held: %s, want lost", got)
	}
}

func (m *model) renewOne(t *rapid.T) {
	if len(m.held) == 0 {
		t.Skip("nothing held")
	}
	l := rapid.SampledFrom(m.held).Draw(t, "lease")
	if lost := must(m.renew(m.Context(), []string{l.lease})); len(lost) > 0 {
		t.Fatalf("lost %v", lost)
	}
	l.until = m.at + leaseFor
}

func (m *model) timePasses(t *rapid.T) {
	d := time.Duration(rapid.IntRange(1, 4).Draw(t, "tens")) * 10 * time.Second
	m.at += d
	m.pass(d)
}

func (m *model) pause(t *rapid.T) {
	id, s := m.some(t)
	s.active, s.punctual = !s.active, false
	m.setActive(id, map[bool]string{true: "1", false: "0"}[s.active])
}

func (m *model) deleteOne(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "rarely") > 0 {
		t.Skip("not now")
	}
	id, s := m.some(t)
	s.deleted, s.want, s.windows = true, nil, nil
	m.remove(id)
}

func (m *model) purgeSome(t *rapid.T) {
	if _, err := m.purge(m.Context()); err != nil {
		t.Fatal(err)
	}
}

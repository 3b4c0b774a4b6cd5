package delivery

import (
	"errors"
	"slices"

	"pgregory.net/rapid"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/subscriptions"
)

// operations are on the rig's Redis, by its clock.
func (r *rig) operations() *Operations { return NewOperations(r.client, layout.Layout{}, r.offset) }

// step does whatever redeliveries have to do now.
func (r *rig) step() {
	r.Helper()
	for {
		_, due, err := r.redeliver(r.Context())
		if err != nil {
			r.Fatal(err)
		}
		if due == 0 {
			return
		}
	}
}

// redeliverNow begins a redelivery and has it do what it can at once.
func (r *rig) redeliverNow(id string, wanted subscriptions.Redelivery) subscriptions.Redelivery {
	r.Helper()
	job, err := r.operations().Redeliver(r.Context(), id, wanted)
	if err != nil {
		r.Fatal(err)
	}
	r.step()
	return job
}

// jobs answers a subscription's redeliveries that have not ended.
func (r *rig) jobs(id string) []string {
	r.Helper()
	return must(r.client.SMembers(r.Context(), r.lane.Prefix+"redeliveries:"+id).Result())
}

func (r *rig) cancel(job string) {
	r.Helper()
	if err := r.operations().Cancel(r.Context(), job); err != nil {
		r.Fatal(err)
	}
}

func (m *model) isHeld(id, event string) bool {
	for _, l := range m.held {
		if l.subscription == id && slices.Contains(members(l.delivery), event) {
			return true
		}
	}
	return false
}

func (m *model) redeliverOne(t *rapid.T) {
	id, _ := m.some(t)
	m.redeliverMissed(t, id)
}

// redeliverMissed has all that failed made again: dead letters with one attempt
// behind them, and at once what was to be tried again.
func (m *model) redeliverMissed(t *rapid.T, id string) {
	s := m.subs[id]
	_, err := m.operations().Redeliver(m.Context(), id, subscriptions.Redelivery{Missed: true})
	if errors.Is(err, subscriptions.ErrTooManyRedeliveries) {
		if len(m.jobs(id)) < redeliveriesPerSubscription {
			t.Fatalf("%v, but there are %d", err, len(m.jobs(id)))
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	m.step()
	for event, w := range s.want {
		switch {
		case w.dead:
			*w = modelDelivery{sequence: w.sequence, tries: 1, resource: w.resource}
		case !s.ordered && !m.isHeld(id, event):
			w.due = min(w.due, m.at)
		}
	}
	s.yields(m.unripe(id))
}

func (m *model) cancelOne(t *rapid.T) {
	id, _ := m.some(t)
	jobs := m.jobs(id)
	if len(jobs) == 0 {
		t.Skip("no redelivery")
	}
	m.cancel(rapid.SampledFrom(jobs).Draw(t, "job"))
}

// dropSome lets go of a part of what was missed; what is held stays.
func (m *model) dropSome(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "rarely") > 0 {
		t.Skip("not now")
	}
	id, s := m.some(t)
	through := rapid.Int64Range(0, s.sequence).Draw(t, "through")
	kind := rapid.SampledFrom([]string{"all", DropWaiting, DropDead}).Draw(t, "kind")
	unripe := m.unripe(id)
	var err error
	var count int64
	if kind == "all" {
		count, _, err = m.operations().Acknowledge(m.Context(), id, through)
	} else {
		count, _, err = m.operations().Drop(m.Context(), id, kind, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	if kind == DropWaiting {
		count -= s.loses(unripe)
	}
	for event, w := range s.want {
		goes := kind == "all" && w.sequence <= through && !slices.Contains(unripe, event) || kind == DropDead && w.dead || kind == DropWaiting && !w.dead
		if goes && !m.isHeld(id, event) {
			delete(s.want, event)
			count--
		}
	}
	s.scatter(m.at)
	if count != 0 {
		t.Fatalf("%s through %d let go of %d too many", kind, through, count)
	}
}

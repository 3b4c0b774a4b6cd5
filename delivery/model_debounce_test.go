package delivery

import (
	"cmp"
	"crypto/sha1"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/hookproxy/hookproxy/events"
)

// modelDebounce is the simple account of windows. Zero: events are not debounced.
type modelDebounce struct {
	debounce time.Duration
	// windows hold what waits for a later event, by resource.
	windows map[string]modelWindow
}

type modelWindow struct {
	event, resource string
	ends            time.Duration
	call            int // of dispatch: time passes between two, though the model's stands still
}

// gets tells the model that an event comes to a subscription.
func (s *modelSub) gets(e events.Event, at time.Duration, call int) {
	s.ripen(at)
	if s.debounce == 0 || e.Resource == "" {
		s.queues(e.ID, e.Resource, at)
		return
	}
	w, open := s.windows[e.Resource]
	if !open {
		w = modelWindow{resource: e.Resource, ends: at + s.debounce, call: call}
	}
	w.event = e.ID
	s.windows[e.Resource] = w
}

func (s *modelSub) queues(event, resource string, at time.Duration) {
	s.sequence++
	s.want[event] = &modelDelivery{sequence: s.sequence, resource: resource, modelRide: modelRide{came: at}}
}

// ripen queues what is left of the windows that have ended. When Redis does so
// makes no difference, as long as it does it before it gives a sequence to another;
// but for a redelivery, see yields.
func (s *modelSub) ripen(at time.Duration) {
	var ended []modelWindow
	for resource, w := range s.windows {
		if w.ends <= at {
			ended = append(ended, w)
			delete(s.windows, resource)
		}
	}
	member := func(w modelWindow) string { // the second order of a ZSET
		sum := sha1.Sum([]byte(w.resource))
		return hex.EncodeToString(sum[:])
	}
	slices.SortFunc(ended, func(a, b modelWindow) int {
		return cmp.Or(cmp.Compare(a.ends, b.ends), cmp.Compare(a.call, b.call), cmp.Compare(member(a), member(b)))
	})
	for _, w := range ended {
		s.queues(w.event, w.resource, at)
	}
}

// unripe answers the events that have no sequence in Redis, whose windows may be
// over: claim looks at no subscription before it can take something of it.
func (m *model) unripe(id string) []string {
	return must(m.client.HVals(m.Context(), m.lane.Prefix+"latest:"+id).Result())
}

// yields takes the turn from what only the model has queued: in Redis it heads no
// resource yet, and a dead letter that is redelivered now comes before it.
func (s *modelSub) yields(unripe []string) {
	maps.DeleteFunc(s.heads, func(_, head string) bool { return slices.Contains(unripe, head) })
}

// loses takes away what waits in windows, and answers how much: with the sequences of
// those that only the model has given, which are the last ones.
func (s *modelSub) loses(unripe []string) int64 {
	clear(s.windows)
	for _, event := range unripe {
		if s.want[event] != nil {
			delete(s.want, event)
			s.sequence--
		}
	}
	return int64(len(unripe))
}

// shape sets options of a new subscription that change what is delivered.
func (m *model) shape(t *rapid.T, id string) {
	if rapid.IntRange(0, 2).Draw(t, "debounce") == 0 {
		m.subs[id].debounce, m.subs[id].windows = 15*time.Second, map[string]modelWindow{}
		m.set(id, "debounce", 15000)
	}
	if rapid.IntRange(0, 2).Draw(t, "batch") == 0 {
		m.subs[id].most, m.subs[id].punctual = rapid.IntRange(2, 3).Draw(t, "most"), true
		m.set(id, "batch_max", m.subs[id].most, "batch_within", modelWithin.Milliseconds())
	}
}

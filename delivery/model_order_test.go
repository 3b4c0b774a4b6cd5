package delivery

import (
	"fmt"
	"maps"

	"github.com/hookproxy/hookproxy/events"
)

// modelOrder is the simple account of order by resource: the event whose turn it
// is, for each resource. Nil where that is not asked for.
type modelOrder struct{ heads map[string]string }

// event answers an event about one of three resources, or about nothing.
func (m *model) event(number int) events.Event {
	resource := ""
	if number%4 > 0 {
		resource = fmt.Sprint(number % 4)
	}
	return about(number, resource)
}

// mayPass tells whether a delivery is the head of its resource, or needs not be.
func (s *modelSub) mayPass(event string, w *modelDelivery) bool {
	return s.heads == nil || w.resource == "" || s.heads[w.resource] == event
}

// advance lets the next of each resource go whose head has come to its end.
func (s *modelSub) advance() {
	if s.heads == nil {
		return
	}
	for resource, head := range s.heads {
		if w := s.want[head]; w == nil || w.dead {
			delete(s.heads, resource)
		}
	}
	chosen := map[string]string{}
	for event, w := range s.want {
		best, found := chosen[w.resource]
		if _, taken := s.heads[w.resource]; !taken && !w.dead && w.resource != "" && (!found || w.sequence < s.want[best].sequence) {
			chosen[w.resource] = event
		}
	}
	maps.Copy(s.heads, chosen)
}

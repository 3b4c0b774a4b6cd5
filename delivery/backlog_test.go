package delivery

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

// What waits is counted in bytes for each subscription, or an inactive one could
// not be bounded by them. A count that drifts would bound it at nothing, or never.
func TestTheBytesThatWaitAreCountedWhateverBecomesOfThem(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		a, b := r.subscribe("a", "contact.create", "http://a"), r.subscribe("b", "contact.*", "http://b")
		r.pushMany(1, 9)
		r.dispatchAll()
		size := int64(0)
		for _, stored := range r.client.HGetAll(r.Context(), r.lane.Stored()).Val() {
			size += int64(len(stored))
		}
		for _, id := range []string{a, b} {
			if got := r.field(id, "bytes"); got != strconv.FormatInt(size, 10) {
				t.Errorf("%s bytes wait, want %d", got, size)
			}
		}
		ends := []step{stepDelivered, stepRetry, stepDead, stepReleased, stepDead, stepRetry, stepDelivered, stepDead}
		for i, d := range r.take(16).deliveries {
			r.end(d, ends[i/2], 0)
		}
		if _, _, err := r.operations().Drop(r.Context(), a, DropDead, ""); err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.operations().Drop(r.Context(), b, DropWaiting, ""); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < 3; {
			c := r.take(16)
			for _, d := range c.deliveries {
				r.end(d, stepDelivered, 0)
				i++
			}
		}
		for _, id := range []string{a, b} {
			if got := r.field(id, "bytes"); got != "0" {
				t.Errorf("%s bytes wait for %s, want none", got, id)
			}
		}
	})
}

func TestAnInactiveSubscriptionKeepsTheNewestUpToSoManyBytes(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.backlog.bytes.Store(10_000)
		id := r.subscribe("a", "contact.create", "http://a")
		r.setActive(id, "0")
		for i := range 12 {
			e := event(i)
			e.Payload = fmt.Appendf(nil, `{"id":%d,"text":%q}`, i, strings.Repeat("x", 1900))
			r.push(e)
		}
		if d := r.dispatchAll(); d.deliveries != 12 || d.dropped != 7 {
			t.Fatalf("dispatched %+v, want 7 of 12 dropped", d)
		}
		if kept, dropped := r.field(id, "bytes"), r.field(id, "dropped"); len(kept) != 4 || dropped != "7" || r.stored() != 5 {
			t.Errorf("%s bytes in %d events kept, %s dropped", kept, r.stored(), dropped)
		}
		r.setActive(id, "1")
		if got := ids(r.take(8).deliveries); got != "e7 e8 e9 e10 e11" {
			t.Errorf("kept are %s", got)
		}
	})
}

// A million deliveries must fit into a Redis that other things live in as well.
func TestADeliveryThatWaitsCostsLessThan300Bytes(t *testing.T) {
	for _, subscribers := range []int{1, 10} {
		r := newRig(t, redistest.Real(t))
		if beyond := r.fillBacklog(subscribers, 32_000); beyond > 300 {
			t.Errorf("with %d subscribers each costs %.0f bytes beyond the payload", subscribers, beyond)
		}
	}
}

// fillBacklog has so many deliveries wait, and answers how many bytes Redis keeps
// for one, beyond its payload.
func (r *rig) fillBacklog(subscribers, deliveries int) float64 {
	r.Helper()
	for i := range subscribers {
		r.setActive(r.subscribe(fmt.Sprint("s", i), "contact.create", "http://a"), "0")
	}
	r.backlog.keep(deliveries, 1<<40)
	before, payload := usedMemory(r), 0
	pipe := r.client.Pipeline()
	for i := range deliveries / subscribers {
		e := event(i)
		e.ID, e.Rule = fmt.Sprintf("01JDD0V9K3%016d", i), "rules.yaml:12" // as long as they are
		payload += len(e.Payload)
		pipe.LPush(r.Context(), r.lane.Events(), must(e.Encode()))
	}
	must(pipe.Exec(r.Context()))
	r.dispatchAll()
	return (usedMemory(r) - before - float64(payload)) / float64(deliveries)
}

package delivery

import (
	"strings"
	"testing"
	"time"
)

func TestAnEventReachesEachSubscriptionOfItsUserOnce(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		exact := r.subscribe("a", "contact.create", "http://a")
		noun := r.subscribe("b", "contact.*", "http://b")
		all := r.subscribe("c", "*", "http://c")
		r.subscribe("d", "contact.delete", "http://d")
		r.subscribe("e", "deal.*", "http://e")
		r.subscribeUser("f", "7", "contact.create", "http://f")
		// One subscription in two sets is still one delivery.
		r.client.SAdd(r.Context(), r.lane.Subscribers("*", "42"), exact)
		r.push(event(1))
		if d := r.dispatchAll(); d.events != 1 || d.deliveries != 3 {
			r.Fatalf("dispatched %+v, want 1 event and 3 deliveries", d)
		}
		got := map[string]bool{}
		for _, d := range r.take(10).deliveries {
			got[d.subscription] = true
		}
		if len(got) != 3 || !got[exact] || !got[noun] || !got[all] {
			r.Fatalf("claimed for %v", got)
		}
	})
}

func TestAPayloadIsStoredOnceAndFreedWithTheLastDelivery(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.subscribe("a", "contact.create", "http://a")
		r.subscribe("b", "contact.create", "http://b")
		r.push(event(1))
		r.dispatchAll()
		stored, shares := r.client.HGet(r.Context(), r.lane.Stored(), "e1").Val(), r.client.HGet(r.Context(), r.lane.Shares(), "e1").Val()
		if _, payload, _ := strings.Cut(stored, "\n"); payload != `{"id":1}` || shares != "2" {
			r.Fatalf("stored %q with %q shares, want the payload with 2", stored, shares)
		}
		deliveries := r.take(10).deliveries
		r.end(deliveries[0], stepDelivered, 0)
		if r.stored() != 1 {
			r.Fatal("freed while a delivery refers to it")
		}
		r.end(deliveries[1], stepDelivered, 0)
		r.wantNothingLeft()
	})
}

func TestAnEventThatNobodyWantsLeavesNothing(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.push(event(1))
		if d := r.dispatchAll(); d.events != 1 || d.deliveries != 0 || d.parked != 0 {
			r.Fatalf("dispatched %+v", d)
		}
		r.wantNothingLeft()
	})
}

func TestARepeatedEventIsDeliveredOnce(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		r.push(event(1), event(1))
		r.dispatchAll()
		r.push(event(1))
		if d := r.dispatchAll(); d.duplicates != 1 || d.deliveries != 0 {
			r.Fatalf("dispatched %+v, want a duplicate", d)
		}
		if n := r.client.ZCard(r.Context(), r.lane.Queue(id)).Val(); n != 1 {
			r.Fatalf("%d deliveries, want 1", n)
		}
		r.end(r.takeOne(), stepDelivered, 0)
		r.push(event(1))
		if d := r.dispatchAll(); d.duplicates != 1 || d.deliveries != 0 {
			r.Fatalf("dispatched %+v after the delivery, want a duplicate", d)
		}
		if ttl := r.client.TTL(r.Context(), r.lane.Seen("e1")).Val(); ttl <= 23*time.Hour || ttl > 24*time.Hour {
			r.Fatalf("remembered for %s, want 24 h", ttl)
		}
	})
}

func TestADispatchThatBrokeOffIsTakenUpWithoutRepeating(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		a := r.subscribe("a", "contact.create", "http://a")
		b := r.subscribe("b", "contact.create", "http://b")
		// b's queue cannot be written to, whichever of the two comes first.
		ctx := r.Context()
		r.client.Set(ctx, r.lane.Queue(b), "no set", 0)
		r.push(event(1))
		if d := r.dispatchAll(); d.parked != 1 {
			r.Fatalf("dispatched %+v, want the event parked", d)
		}
		r.client.Del(ctx, r.lane.Queue(b))
		r.push(event(1))

		if d := r.dispatchAll(); d.deliveries == 0 || d.parked+d.duplicates != 0 {
			r.Fatalf("dispatched %+v, want what was missing", d)
		}
		if seq := r.field(a, "seq"); seq != "1" {
			r.Fatalf("a's sequence is %s, want 1", seq)
		}
		deliveries := r.take(10).deliveries
		if len(deliveries) != 2 {
			r.Fatalf("claimed %d, want one for each", len(deliveries))
		}
		for _, d := range deliveries {
			r.end(d, stepDelivered, 0)
		}
		r.wantNothingLeft()
	})
}

func TestABadElementIsParkedAndTheNextGoesOn(t *testing.T) {
	bad := map[string]string{
		"empty":          "",
		"no newline":     `{"id":"x","event":"a.b","user":"42"}`,
		"not JSON":       "hello\nworld",
		"not an object":  "[1]\n{}",
		"a number":       "7\n{}",
		"null":           "null\n{}",
		"no id":          `{"event":"a.b","user":"42"}` + "\n{}",
		"no user":        `{"id":"x","event":"a.b"}` + "\n{}",
		"a null user":    `{"id":"x","event":"a.b","user":null}` + "\n{}",
		"a numeric user": `{"id":"x","event":"a.b","user":42}` + "\n{}",
		"a bar in id":    `{"id":"x|y","event":"a.b","user":"42"}` + "\n{}",
		"a colon":        `{"id":"x","event":"a:b","user":"42"}` + "\n{}",
		"parked":         `{"id":"x","event":"a.b","user":"42","parked":"user_unknown"}` + "\n{}",
		"too deep":       strings.Repeat("[", 5000) + "\n{}",
		"a huge header":  `{"id":"` + strings.Repeat("x", 70_000) + `","event":"a.b","user":"42"}` + "\n{}",
	}
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		parked := int64(0)
		for name, element := range bad {
			r.pushRaw([]byte(element))
			parked++
			if d := r.dispatchAll(); d.parked != 1 {
				r.Errorf("%s: dispatched %+v, want it parked", name, d)
			}
			if last := r.client.LIndex(r.Context(), r.lane.Parked(), 0).Val(); last != element {
				r.Errorf("%s: parked as %.60q", name, last)
			}
		}
		r.push(event(1))
		r.dispatchAll()
		if n := r.client.LLen(r.Context(), r.lane.Parked()).Val(); n != parked {
			r.Errorf("%d parked, want %d", n, parked)
		}
		if d := r.takeOne(); d.subscription != id {
			r.Errorf("claimed %+v", d)
		}
	})
}

func TestAnEventThatBreaksTheScriptIsParked(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.subscribe("a", "contact.create", "http://a")
		r.client.Set(r.Context(), r.lane.Subscribers("deal.create", "42"), "not a set", 0)
		broken := event(1)
		broken.Name = "deal.create"
		r.push(broken, event(2))
		if d := r.dispatchAll(); d.parked != 1 || d.deliveries != 1 {
			r.Fatalf("dispatched %+v, want one parked and one delivered (parked: %q)", d, r.client.LRange(r.Context(), r.lane.Parked(), 0, -1).Val())
		}
	})
}

func TestASetMemberWithoutSubscriptionIsForgotten(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		set := r.lane.Subscribers("contact.create", "42")
		r.client.SAdd(r.Context(), set, "0-gone")
		r.push(event(1))
		r.dispatchAll()
		if n := r.client.SCard(r.Context(), set).Val(); n != 0 {
			r.Errorf("%d members left", n)
		}
		r.wantNothingLeft()
	})
}

func TestAnInactiveSubscriptionKeepsTheNewestUpToItsBacklog(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.backlog.most.Store(5)
		id := r.subscribe("a", "contact.create", "http://a")
		r.setActive(id, "0")
		r.pushMany(1, 13)
		if d := r.dispatchAll(); d.deliveries != 12 || d.dropped != 7 {
			r.Fatalf("dispatched %+v, want 7 of 12 dropped", d)
		}
		if dropped := r.field(id, "dropped"); dropped != "7" {
			r.Errorf("dropped is %q, want 7", dropped)
		}
		if n := r.stored(); n != 5 {
			r.Errorf("%d events stored, want 5", n)
		}
		if c := r.take(10); len(c.deliveries) != 0 {
			r.Fatalf("claimed %d for an inactive subscription", len(c.deliveries))
		}
		r.setActive(id, "1")
		kept := r.take(8).deliveries
		if got := ids(kept); got != "e8 e9 e10 e11 e12" {
			r.Fatalf("delivered after activation: %s", got)
		}
		for _, d := range kept {
			r.end(d, stepDelivered, 0)
		}
		r.wantNothingLeft()
	})
}

func TestADispatchDoesABoundedPart(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
			r.subscribe(name, "contact.create", "http://a")
		}
		r.pushMany(0, 150)
		d := must(r.dispatch(r.Context(), dispatchEvents))
		if d.deliveries != dispatchDeliveries || d.left != 150-dispatchDeliveries/10 {
			r.Fatalf("first call: %+v", d)
		}
		if n := r.client.LLen(r.Context(), r.lane.Wake()).Val(); n != 1 {
			r.Fatalf("%d tokens while events remain, want 1", n)
		}
		if d = r.dispatchAll(); d.deliveries != 1000 {
			r.Fatalf("the rest: %+v", d)
		}
	})
}

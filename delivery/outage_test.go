package delivery

import (
	"net/http"
	"testing"
	"time"
)

func TestARedisThatGoesAndComesBackCostsNoAttempt(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		answer := make(chan struct{})
		url, got := receive(r, func(w http.ResponseWriter, req *http.Request) {
			if req.Header.Get("X-Hook-Id") == "e1" {
				<-answer
			}
		})
		id := r.subscribe("a", "contact.create", url)
		e := r.engine(nil)
		e.idle = time.Second // miniredis leaves a blocked connection hanging
		stop := r.run(e)
		r.push(event(1))
		r.arrive(got, 1)
		r.server.Stop(r)
		close(answer) // the POST ends while nobody can be told
		r.server.Start(r)
		r.pushMany(2, 12)
		for _, one := range r.arrive(got, 10) {
			if n := one.header.Get("X-Hook-Attempt"); n != "1" {
				r.Errorf("%s arrived as attempt %s", one.header.Get("X-Hook-Id"), n)
			}
		}
		r.eventually("the end of e1 reaches Redis", func() bool { return r.stored() == 0 })
		stop()
		if f := r.field(id, "failures"); f != "" {
			r.Errorf("failures %s", f)
		}
		r.wantNothingLeft()
	})
}

func TestMinutesWithoutRedisUnderLoadCostNothing(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, status(200))
		id := r.subscribe("a", "contact.create", url)
		e := r.engine(nil)
		e.idle = time.Second // miniredis leaves a blocked connection hanging
		stop := r.run(e)
		seen := map[string]bool{}
		for outage := range 3 {
			r.pushMany(100*outage, 100*outage+100)
			for _, one := range r.arrive(got, 10) { // the rest is under way
				seen[one.header.Get("X-Hook-Id")] = true
			}
			r.server.Stop(r)
			r.pass(10 * time.Minute) // far beyond leases and the breaker's first rests
			r.server.Start(r)
			for len(seen) < 100*outage+100 {
				one := r.arrive(got, 1)[0]
				seen[one.header.Get("X-Hook-Id")] = true
				if n := one.header.Get("X-Hook-Attempt"); n != "1" {
					r.Errorf("%s arrived as attempt %s", one.header.Get("X-Hook-Id"), n)
				}
			}
		}
		r.eventually("every end reaches Redis", func() bool { return r.client.ZCard(r.Context(), r.lane.Leases()).Val() == 0 })
		stop()
		if f := r.field(id, "failures"); f != "" && f != "0" {
			r.Errorf("failures %s", f)
		}
		if active := r.field(id, "active"); active != "1" {
			r.Errorf("active is %s", active)
		}
	})
}

func TestAnEngineStartsWithRedisAway(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, status(200))
		r.subscribe("a", "contact.create", url)
		r.pushMany(0, 3)
		r.server.Stop(r)
		r.run(r.engine(nil))
		r.server.Start(r)
		r.arrive(got, 3)
	})
}

func TestWhatACrashedProcessHeldIsDeliveredByAnother(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, status(200))
		r.subscribe("a", "contact.create", url)
		r.pushMany(0, 20)
		r.dispatchAll()
		if held := r.take(8).deliveries; len(held) != 8 { // a process claims, and is never seen again
			r.Fatalf("claimed %d", len(held))
		}
		r.pass(leaseFor + time.Second)
		stop := r.run(r.engine(nil))
		seen := map[string]bool{}
		for _, one := range r.arrive(got, 20) {
			seen[one.header.Get("X-Hook-Id")] = true
			if n := one.header.Get("X-Hook-Attempt"); n != "1" {
				r.Errorf("attempt %s", n)
			}
		}
		stop()
		if len(seen) != 20 {
			r.Errorf("%d events arrived, want 20", len(seen))
		}
		r.wantNothingLeft()
	})
}

func TestShutdownLetsExchangesUnderWayEnd(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		answer := make(chan struct{})
		url, got := receive(r, func(http.ResponseWriter, *http.Request) { <-answer })
		r.subscribe("a", "contact.create", url)
		stop := r.run(r.engine(nil))
		r.push(event(1))
		r.arrive(got, 1)
		time.AfterFunc(20*time.Millisecond, func() { close(answer) }) // while stop waits
		stop()
		r.wantNothingLeft()
	})
}

func TestShutdownHandsBackWhatDoesNotEndInTime(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, func(w http.ResponseWriter, req *http.Request) {
			if req.Header.Get("X-Hook-Id") == "e1" {
				<-req.Context().Done()
			}
		})
		id := r.subscribe("a", "contact.create", url)
		stop := r.run(r.engine(func(o *Options) { o.DrainTimeout = time.Millisecond }))
		r.push(event(1))
		r.arrive(got, 1)
		stop()
		if n := r.client.ZCard(r.Context(), r.lane.Leases()).Val(); n != 0 {
			r.Errorf("%d leases left", n)
		}
		if d := r.takeOne(); d.tries != 0 || d.sequence != 1 {
			r.Errorf("handed back as %+v", d)
		}
		if n := r.client.XLen(r.Context(), r.lane.Attempts(id)).Val(); n != 0 {
			r.Errorf("%d attempts recorded, want none", n)
		}
	})
}

func TestShutdownDoesNotWaitForARedisThatIsAway(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		answer := make(chan struct{})
		url, got := receive(r, func(http.ResponseWriter, *http.Request) { <-answer })
		r.subscribe("a", "contact.create", url)
		stop := r.run(r.engine(func(o *Options) { o.DrainTimeout = time.Hour }))
		r.push(event(1))
		r.arrive(got, 1)
		r.server.Stop(r)
		close(answer)
		stop() // fails the test after its patience
		r.server.Start(r)
		r.pass(leaseFor + time.Second)
		if d := r.takeOne(); d.event.ID != "e1" {
			r.Errorf("claimed %+v", d)
		}
	})
}

func TestALeaseIsRenewedWhileItsPOSTGoesOn(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, status(200))
		r.subscribe("a", "contact.create", url)
		r.push(event(1))
		r.dispatchAll()
		d := r.takeOne()
		held := newInflight()
		held.add(d.lease)
		keeper := &renewer{queue: r.queue, inflight: held, every: renewEvery}
		for range 4 {
			r.pass(renewEvery)
			keeper.renew(r.Context())
		}
		if c := r.take(1); len(c.deliveries) != 0 {
			r.Fatal("lapsed after 40 s, though renewed every 10 s")
		}
		r.pass(leaseFor + time.Second)
		r.takeOne()
		keeper.renew(r.Context())
		if left := held.all(); len(left) != 0 {
			r.Errorf("still renewing %v", left)
		}
		if len(got) != 0 {
			r.Error("something was sent")
		}
	})
}

package delivery

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// testCrew runs jobs that end when told to, and notes what it hands back.
type testCrew struct {
	*crew
	ran, back chan job
	end       chan struct{}
	repaid    int
}

func newTestCrew(most int) *testCrew {
	c := &testCrew{ran: make(chan job, 10), back: make(chan job, 10), end: make(chan struct{})}
	c.crew = newCrew(most, func(j job) { c.ran <- j; <-c.end }, func(j job) { c.back <- j }, func() { c.repaid++ })
	return c
}

func (c *testCrew) claims(attempts int) {
	c.start(job{delivery: &delivery{tries: attempts}, claimed: time.Now()})
}

func TestAWorkerThatEndsGoesOnWithWhatWasClaimedAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCrew(2)
		for i := range 4 {
			c.claims(i)
		}
		synctest.Wait()
		if len(c.ran) != 2 {
			t.Fatalf("%d run at once, want 2", len(c.ran))
		}
		<-c.ran
		<-c.ran
		for want := 2; want < 4; want++ {
			c.end <- struct{}{}
			if j := <-c.ran; j.delivery.tries != want {
				t.Errorf("number %d ran, want %d", j.delivery.tries, want)
			}
		}
		close(c.end)
		c.stop()
		if len(c.back) != 0 || c.repaid != 0 {
			t.Errorf("%d handed back, %d repaid", len(c.back), c.repaid)
		}
	})
}

func TestWhatWaitsForAWorkerInVainIsHandedBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCrew(1)
		c.claims(0)
		time.Sleep(aheadFor)
		c.claims(1)
		time.Sleep(aheadFor / 2)
		c.claims(2)
		time.Sleep(aheadFor/2 + time.Millisecond)
		if len(c.back) != 1 || (<-c.back).delivery.tries != 1 {
			t.Error("want the second one back, and no other")
		}
		c.end <- struct{}{}
		synctest.Wait()
		if c.repaid != 1 || len(c.ran) != 2 {
			t.Errorf("%d repaid, %d run", c.repaid, len(c.ran))
		}
		close(c.end)
		c.stop()
	})
}

func TestStoppingHandsBackWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCrew(1)
		for i := range 3 {
			c.claims(i)
		}
		stopped := make(chan struct{})
		go func() { c.stop(); close(stopped) }() // ends with the job under way
		synctest.Wait()
		if len(c.back) != 2 || len(c.ran) != 1 {
			t.Errorf("%d handed back, %d run", len(c.back), len(c.ran))
		}
		close(c.end)
		<-stopped
	})
}

func TestAProcessWithoutAFreeWorkerKeepsNothingFromOthers(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		hanging := make(chan struct{})
		slow, reached := receive(r, func(http.ResponseWriter, *http.Request) { <-hanging })
		quick, got := receive(r, status(200))
		r.Cleanup(func() { close(hanging) })
		r.subscribe("slow", "contact.create", slow)
		one := func(o *Options) { o.Workers = 1 }
		r.run(r.engine(one))
		r.push(event(1))
		r.arrive(reached, 1) // the first process is full
		r.subscribe("quick", "contact.update", quick)
		for i := range 3 {
			e := event(10 + i)
			e.Name = "contact.update"
			r.push(e)
		}
		r.run(r.engine(one))
		for _, one := range r.arrive(got, 3) {
			if n := one.header.Get("X-Hook-Attempt"); n != "1" {
				r.Errorf("attempt %s: handing back has charged one", n)
			}
		}
	})
}

func TestWorkersThatHaveNothingToDoAreKeptUpToABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCrew(2 * idleMost)
		c.ran = make(chan job, 2*idleMost+3)
		for range 2 * idleMost {
			c.claims(0)
		}
		synctest.Wait()
		close(c.end)
		synctest.Wait()
		if c.working != 0 || len(c.idle) != idleMost || len(c.ran) != 2*idleMost {
			t.Fatalf("%d work, %d are idle and %d have run; want 0, %d and %d", c.working, len(c.idle), len(c.ran), idleMost, 2*idleMost)
		}
		for range 3 {
			c.claims(0)
		}
		synctest.Wait()
		if c.working != 0 || len(c.idle) != idleMost || len(c.ran) != 2*idleMost+3 {
			t.Errorf("%d work, %d are idle and %d have run", c.working, len(c.idle), len(c.ran))
		}
		c.stop() // and synctest would tell if one was left
	})
}

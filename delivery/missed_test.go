package delivery

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/subscriptions"
)

// told puts what was missed into one line: sequence:event:state for each.
func told(list []subscriptions.Missed) string {
	var parts []string
	for _, m := range list {
		parts = append(parts, fmt.Sprint(m.Sequence, ":", m.EventID, ":", m.State))
	}
	return strings.Join(parts, " ")
}

func (r *rig) missed(id string, q subscriptions.MissedQuery) subscriptions.MissedPage {
	r.Helper()
	page, err := r.operations().Missed(r.Context(), id, q)
	if err != nil {
		r.Fatal(err)
	}
	return page
}

// missAll makes six deliveries and leaves each but one somewhere else.
func (r *rig) missAll() (id string) {
	r.Helper()
	id = r.subscribe("a", "contact.create", "http://a")
	r.subscribe("b", "contact.create", "http://b") // whose are no part of it
	r.pushMany(1, 7)
	r.dispatchAll()
	for _, d := range r.take(10).deliveries {
		switch {
		case d.subscription != id || d.event.ID == "e4":
			r.end(d, stepDelivered, 0)
		case d.event.ID == "e1":
			r.end(d, stepDead, 0)
		case d.event.ID == "e3":
			r.end(d, stepRetry, time.Hour)
		}
	}
	r.push(event(7))
	r.setActive(id, "0")
	r.dispatchAll()
	return id
}

func TestWhatWasMissedIsToldInTheOrderOfItsSequences(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.cap = 6
		id := r.missAll()
		page := r.missed(id, subscriptions.MissedQuery{Limit: 10, Data: true})
		if got := told(page.List); got != "1:e1:dead 2:e2:in_flight 3:e3:retrying 5:e5:in_flight 6:e6:waiting 7:e7:waiting" || page.Next != 0 {
			r.Fatalf("missed are %s, next %d", got, page.Next)
		}
		dead, retrying := page.List[0], page.List[2]
		if dead.Event != "contact.create" || string(dead.Data) != `{"id":1}` || dead.Attempts != 1 || dead.GivenUpAt.IsZero() || dead.OccurredAt.IsZero() {
			r.Errorf("the dead letter is %+v", dead)
		}
		if in := time.Until(retrying.NextAttemptAt); in < 59*time.Minute || in > time.Hour || !retrying.GivenUpAt.IsZero() {
			r.Errorf("the retry is %+v", retrying)
		}
		if got := r.missed(id, subscriptions.MissedQuery{Limit: 10}).List[0]; got.Data != nil {
			r.Errorf("the payload came unasked: %s", got.Data)
		}
		if got := told(r.missed(id, subscriptions.MissedQuery{Limit: 10, Dead: true}).List); got != "1:e1:dead" {
			r.Errorf("given up are %s", got)
		}
	})
}

func TestWhatWasMissedIsReadPageByPage(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.cap = 6
		id := r.missAll()
		var pages []string
		after := int64(0)
		for {
			page := r.missed(id, subscriptions.MissedQuery{After: after, Limit: 2})
			pages = append(pages, told(page.List))
			if after = page.Next; after == 0 {
				break
			}
		}
		if got := strings.Join(pages, " | "); got != "1:e1:dead 2:e2:in_flight | 3:e3:retrying 5:e5:in_flight | 6:e6:waiting 7:e7:waiting" {
			r.Errorf("the pages are %s", got)
		}
		for after, want := range map[int64]string{6: "7:e7:waiting", 7: "", 1 << 40: ""} {
			if got := told(r.missed(id, subscriptions.MissedQuery{After: after, Limit: 10}).List); got != want {
				r.Errorf("after %d there are %s", after, got)
			}
		}
	})
}

// Payloads may be large: a page ends before it is.
func TestAPageOfPayloadsIsBounded(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		r.setActive(id, "0")
		for i := range 8 {
			e := event(i)
			e.Payload = []byte(`"` + strings.Repeat("x", 1<<20) + `"`)
			r.push(e)
		}
		r.dispatchAll()
		first := r.missed(id, subscriptions.MissedQuery{Limit: 100, Data: true})
		rest := r.missed(id, subscriptions.MissedQuery{Limit: 100, Data: true, After: first.Next})
		if len(first.List) != 4 || len(rest.List) != 4 || first.Next != 4 || rest.Next != 0 {
			r.Errorf("pages of %d and %d", len(first.List), len(rest.List))
		}
	})
}

func TestDeadLettersAreFoundAmongManyOthers(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.cap, r.breakAfter = claimMost, 0
		id := r.subscribe("a", "contact.create", "http://a")
		r.bury(0, 5)
		r.pushMany(5, 1500)
		r.dispatchAll()
		r.endAll(1495, finished{attempt: attempt{status: 500, after: time.Hour}, step: stepRetry})
		r.bury(1500, 1502)
		page := r.missed(id, subscriptions.MissedQuery{Limit: 10, Dead: true})
		if got := told(page.List); got != "1:e0:dead 2:e1:dead 3:e2:dead 4:e3:dead 5:e4:dead" || page.Next != 1000 {
			r.Errorf("the first page is %s, next %d", got, page.Next)
		}
		page = r.missed(id, subscriptions.MissedQuery{Limit: 10, Dead: true, After: page.Next})
		if got := told(page.List); got != "1501:e1500:dead 1502:e1501:dead" || page.Next != 0 {
			r.Errorf("the second page is %s, next %d", got, page.Next)
		}
	})
}

func TestWhatAReceiverAcknowledgesIsNotDelivered(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.cap = 6
		id := r.missAll()
		count, more, err := r.operations().Acknowledge(r.Context(), id, 3)
		if count != 2 || more || err != nil { // e2 is in flight
			r.Errorf("let go of %d, more %t, %v", count, more, err)
		}
		if got := told(r.missed(id, subscriptions.MissedQuery{Limit: 10}).List); got != "2:e2:in_flight 5:e5:in_flight 6:e6:waiting 7:e7:waiting" {
			r.Errorf("left are %s", got)
		}
		for kind, want := range map[string]int64{DropDead: 0, DropWaiting: 2} {
			if count, _, err := r.operations().Drop(r.Context(), id, kind, ""); count != want || err != nil {
				r.Errorf("dropped %d of %s, %v", count, kind, err)
			}
		}
		r.pass(leaseFor)
		r.setActive(id, "1")
		for _, d := range r.take(10).deliveries {
			r.end(d, stepDelivered, 0)
		}
		r.wantNothingLeft()
		for _, unknown := range []string{"", "x", "7-a", "-1-a", "00-a"} {
			if _, _, err := r.operations().Acknowledge(r.Context(), unknown, 3); !errors.Is(err, subscriptions.ErrNotFound) {
				r.Errorf("%q: %v", unknown, err)
			}
		}
	})
}

func TestMoreThanOneCallAcknowledgesIsToldOf(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		r.setActive(id, "0")
		const all = dropChunk*dropCalls + 10
		pipe := r.client.Pipeline()
		for i := range all {
			pipe.ZAdd(r.Context(), r.lane.Queue(id), redis.Z{Member: i, Score: float64(i)})
			pipe.HSet(r.Context(), r.lane.Stored(), strconv.Itoa(i), "[]\n{}")
		}
		must(pipe.Exec(r.Context()))
		first, more, err := r.operations().Acknowledge(r.Context(), id, all)
		if first != dropChunk*dropCalls || !more || err != nil {
			r.Fatalf("let go of %d, more %t, %v", first, more, err)
		}
		if rest, more, err := r.operations().Acknowledge(r.Context(), id, all); rest != 10 || more || err != nil {
			r.Errorf("then of %d, more %t, %v", rest, more, err)
		}
		r.wantNothingLeft()
	})
}

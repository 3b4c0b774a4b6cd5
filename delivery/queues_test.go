package delivery

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/subscriptions"
)

func TestAQueueTellsWhatStandsWhereAndHowItsTargetFails(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.cap, r.breakAfter = 4, 2
		id := r.subscribe("a", "contact.create", "http://a")
		old := event(0)
		old.Time = epoch
		r.push(old)
		r.pushMany(1, 6)
		r.dispatchAll()
		held := r.take(4).deliveries
		r.end(held[0], stepDead, 0)
		r.end(held[1], stepRetry, time.Hour) // and the breaker opens
		queues, err := r.operations().Queues(r.Context(), "0-gone", id, "nonsense")
		if err != nil || len(queues) != 3 || queues[0] != (Queue{Subscription: "0-gone", Failure: Failure{Breaker: "closed"}}) ||
			queues[2].Subscription != "nonsense" {
			r.Fatalf("the queues are %+v, %v", queues, err)
		}
		q := queues[1]
		if q.Waiting != 2 || q.Retrying != 1 || q.InFlight != 2 || q.Dead != 1 || q.Sequence != 6 || !q.Oldest.Equal(epoch) {
			r.Errorf("the queue is %+v", q)
		}
		if q.Failures != 2 || q.FailingSince.IsZero() || q.LastStatus != 500 || q.LastError != classHTTP5xx || q.Breaker != "open" || q.RestsUntil.IsZero() {
			r.Errorf("it fails as %+v", q.Failure)
		}
		r.pass(10 * time.Second)
		if q := must(r.operations().Queues(r.Context(), id))[0]; q.Breaker != "half_open" || !q.RestsUntil.IsZero() {
			r.Errorf("later it fails as %+v", q.Failure)
		}
		if with := must(r.operations().WithDead(r.Context())); strings.Join(with, " ") != id {
			r.Errorf("dead letters have %v", with)
		}
	})
}

func TestADeadLetterIsShownByItsEvent(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		r.cap, r.breakAfter = 8, 0
		id := r.subscribe("a", "contact.create", "http://a")
		r.bury(0, 3)
		r.push(event(3))
		r.dispatchAll()
		r.end(r.takeOne(), stepRetry, time.Hour)
		got, err := r.operations().DeadLetter(r.Context(), id, "e1")
		if err != nil || got.EventID != "e1" || string(got.Data) != `{"id":1}` || got.State != subscriptions.MissedDead {
			r.Errorf("it is %+v, %v", got, err)
		}
		for subscription, event := range map[string]string{id: "e3", "0-other": "e1", "x": "e1"} {
			if _, err := r.operations().DeadLetter(r.Context(), subscription, event); !errors.Is(err, subscriptions.ErrNotFound) {
				r.Errorf("%s of %s: %v", event, subscription, err)
			}
		}
		if count, more, err := r.operations().Drop(r.Context(), id, DropDead, "e1"); count != 1 || more || err != nil {
			r.Errorf("dropped %d, %t, %v", count, more, err)
		}
		if left := told(r.missed(id, subscriptions.MissedQuery{Limit: 9, Dead: true}).List); left != "1:e0:dead 3:e2:dead" {
			r.Errorf("left are %s", left)
		}
	})
}

func TestRedeliveriesAreListedNewestFirst(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		var made []string
		for range 5 {
			id := r.subscribe(string(rune('a'+len(made))), "contact.create", "http://a")
			made = append([]string{r.redeliverNow(id, subscriptions.Redelivery{Missed: true}).ID}, made...)
			r.pass(time.Second)
			time.Sleep(2 * time.Millisecond) // their ids are of the process's clock
		}
		var listed []string
		for after, more := "", true; more; more = after != "" {
			list, next, err := r.operations().Redeliveries(r.Context(), after, 2)
			if err != nil {
				r.Fatal(err)
			}
			for _, one := range list {
				listed = append(listed, one.ID)
			}
			after = next
		}
		if strings.Join(listed, " ") != strings.Join(made, " ") {
			r.Errorf("listed are %v, made were %v", listed, made)
		}
	})
}

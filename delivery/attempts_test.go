package delivery

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/subscriptions"
)

func TestAttemptsAreToldNewestFirstAndInPages(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		r.pushMany(1, 4)
		r.dispatchAll()
		for i, d := range r.take(3).deliveries {
			r.end(d, []step{stepDelivered, stepRetry, stepDead}[i], time.Second)
		}
		read := func(q subscriptions.AttemptQuery) (found string, cursor string, more bool) {
			list, more, err := r.operations().Attempts(r.Context(), id, q)
			if err != nil {
				r.Fatal(err)
			}
			for _, a := range list {
				found, cursor = found+a.EventID+" "+a.Outcome+" ", a.Cursor
			}
			return strings.TrimSpace(found), cursor, more
		}
		first, cursor, more := read(subscriptions.AttemptQuery{Limit: 2})
		if first != "e3 dead e2 retry" || !more {
			r.Errorf("the first page is %s, more %t", first, more)
		}
		if rest, _, more := read(subscriptions.AttemptQuery{Limit: 2, Before: cursor}); rest != "e1 delivered" || more {
			r.Errorf("the second page is %s, more %t", rest, more)
		}
		for q, want := range map[subscriptions.AttemptQuery]string{
			{Limit: 9, Outcome: subscriptions.AttemptDead}: "e3 dead", {Limit: 9, Event: "e1"}: "e1 delivered", {Limit: 9, Event: "deal.won"}: "",
			{Limit: 9, Event: "contact.*", Outcome: subscriptions.AttemptDelivered}: "e1 delivered",
		} {
			if got, _, _ := read(q); got != want {
				r.Errorf("of %+v there are %s", q, got)
			}
		}
		list, _, err := r.operations().Attempts(r.Context(), id, subscriptions.AttemptQuery{Limit: 1})
		if err != nil {
			r.Fatal(err)
		}
		a := list[0]
		if a.Event != "contact.create" || a.Sequence != 3 || a.Attempt != 1 || a.Status != 500 || a.Error != classHTTP5xx || a.DurationMS != 1 ||
			time.Since(a.At) > time.Minute {
			r.Errorf("the attempt is %+v", a)
		}
	})
}

func TestAnAttemptRemembersHowARefusalBeginsAndNothingElse(t *testing.T) {
	long := strings.Repeat("é", maxHead)
	for name, c := range map[string]struct {
		status            int
		media, body, want string
	}{
		"text":               {500, "text/plain", " no such\tcolumn\n", "no such\tcolumn"},
		"JSON":               {422, "application/problem+json; charset=utf-8", `{"a":1}`, `{"a":1}`},
		"no type":            {500, "", "oops", "oops"},
		"a success":          {200, "text/plain", "thank you", ""},
		"an image":           {404, "image/png", "PNG", ""},
		"bytes":              {500, "text/plain", "a\x00b", ""},
		"control characters": {500, "text/plain", "a\x1b[31mb\r\n\xffc", "a[31mb\nc"},
		"long":               {500, "text/plain", long, long[:maxHead]},
		"nothing":            {500, "text/plain", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := receive(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = nil
				if c.media != "" {
					w.Header().Set("Content-Type", c.media)
				}
				w.Header().Set("Set-Cookie", "session=secret")
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			})
			if a := testSender(t, nil).send(t.Context(), testDelivery(url)); a.head != c.want {
				t.Errorf("the head is %q, want %q", a.head, c.want)
			}
		})
	}
}

func TestTheHeadOfAResponseReachesTheHistory(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no such column", 500) })
		id := r.subscribe("a", "contact.create", url)
		stop := r.run(r.engine(nil))
		r.push(event(1))
		r.arrive(got, 1)
		stop()
		list, _, err := r.operations().Attempts(r.Context(), id, subscriptions.AttemptQuery{Limit: 9})
		if err != nil || len(list) != 1 || list[0].Response != "no such column" {
			r.Errorf("the history is %+v, %v", list, err)
		}
	})
}

func TestAnAttemptIsToldAsItWasWhateverTheTargetSaid(t *testing.T) {
	for name, head := range map[string]string{
		"nothing": "", "plain": "no such column", "quotes": `{"error":"a \"b\" \\ c"}`, "lines": "a\n\tb", "other scripts": "größer, 大きい, \u2028",
	} {
		t.Run(name, func(t *testing.T) {
			onEachRedis(t, func(r *rig) {
				id := r.subscribe("a", "contact.create", "http://a")
				r.push(event(1))
				r.dispatchAll()
				d := r.takeOne()
				a := attempt{outcome: Failed, status: 422, class: classHTTP4xx, took: 3 * time.Millisecond, head: head}
				must(r.finish(r.Context(), []finished{{attempt: a, delivery: d, step: stepDead}}))
				list, _, err := r.operations().Attempts(r.Context(), id, subscriptions.AttemptQuery{Limit: 9})
				if err != nil || len(list) != 1 {
					r.Fatalf("the history is %+v, %v", list, err)
				}
				want := subscriptions.Attempt{
					Cursor: list[0].Cursor, At: list[0].At, EventID: "e1", Event: "contact.create", Sequence: 1, Attempt: 1,
					Outcome: subscriptions.AttemptDead, Status: 422, DurationMS: 3, Error: classHTTP4xx, Response: head,
				}
				if list[0] != want {
					r.Errorf("the attempt is %+v, want %+v", list[0], want)
				}
			})
		})
	}
}

func TestAttemptsThatAnEarlierVersionRecordedAreTold(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		id := r.subscribe("a", "contact.create", "http://a")
		must(r.client.XAdd(r.Context(), &redis.XAddArgs{Stream: r.lane.Attempts(id), Values: []any{
			"at", 1764335628000, "event", "e1", "name", "contact.create", "seq", 7, "attempt", 2, "outcome", "retry",
			"status", 500, "ms", 12, "error", classHTTP5xx, "head", "no such column", "batch", `{"id":"b1","events":[{"event_id":"e1"}]}`,
		}}).Result())
		list, _, err := r.operations().Attempts(r.Context(), id, subscriptions.AttemptQuery{Limit: 9})
		if err != nil || len(list) != 1 {
			r.Fatalf("the history is %+v, %v", list, err)
		}
		a := list[0]
		if a.At.UnixMilli() != 1764335628000 || a.EventID != "e1" || a.Event != "contact.create" || a.Sequence != 7 || a.Attempt != 2 || a.Outcome != "retry" ||
			a.Status != 500 || a.DurationMS != 12 || a.Error != classHTTP5xx || a.Response != "no such column" || a.Batch == nil || a.Batch.Events[0].EventID != "e1" {
			r.Errorf("the attempt is %+v, of batch %+v", a, a.Batch)
		}
	})
}

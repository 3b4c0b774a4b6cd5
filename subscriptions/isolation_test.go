package subscriptions

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

// calls are the bodies and headers that each method is tried with.
func calls(etag, stranger string) [][]string {
	body := `{"event":"deal.won","target_url":"https://evil.example/"}`
	bodies := []string{
		"", body, `{`, `[]`, `{}`, `{"event":1}`, `{"active":false}`, `{"active":true}`, `{"x":1}`, `{"id":"` + stranger + `"}`, `{"user":"bob"}`,
		`{"secret":"` + bring(24) + `"}`, `{"overlap_seconds":0}`, `{"event":"contact.create"}`, `{"metadata":{"a":null}}`, `{"expiration_date":"2099-01-01T00:00:00Z"}`,
		`{"missed":true}`, `{"through":1}`,
	}
	headers := [][]string{nil, {"If-Match", etag}, {"If-Match", "*"}, {"If-Match", `"x"`}, {"If-None-Match", etag}, {"If-None-Match", "*"}, {"X-Hook-Secret", "bobs"}, {"Idempotency-Key", "bobs"}}
	var all [][]string
	for _, body := range bodies {
		for _, header := range headers {
			all = append(all, append([]string{body}, header...))
		}
	}
	return all
}

// Two accounts, every endpoint, every method: an id of bob's answers ann just as
// one that nobody has.
func TestAStrangersIdAnswersAsOneThatNobodyHas(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		r.subscribe(t, "ann")
		bobs := r.send(t, "bob", "POST", base, `{"event":"contact.create",`+good+`}`, "Idempotency-Key", "bobs").want(t, 201)
		var sub resource
		bobs.into(t, &sub)
		missing := sub.ID[:len(sub.ID)-4] + "0000"
		before := hash(t, s.Client, sub.ID)
		for _, suffix := range []string{"", "/", "/rotate-secret", "/rotate-secret/", "/openapi.json", "/test", "/confirm", "/confirm/",
			"/deliveries", "/missed", "/missed/ack", "/redeliver", "/redeliveries/0-job", "/redeliveries/"} {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
				for _, call := range calls(bobs.header.Get("ETag"), sub.ID) {
					theirs := r.send(t, "ann", method, base+sub.ID+suffix, call[0], call[1:]...)
					none := r.send(t, "ann", method, base+missing+suffix, call[0], call[1:]...)
					theirs.header.Del("Date")
					none.header.Del("Date")
					if diff := cmp.Diff(none, theirs, cmp.AllowUnexported(answer{})); diff != "" {
						t.Errorf("%s %s %q tells a stranger's id from none (-none +theirs):\n%s", method, suffix, call, diff)
					}
					if theirs.status < 400 || theirs.status >= 500 || strings.Contains(theirs.body, "bob") {
						t.Errorf("%s %s %q answered %d: %s", method, suffix, call, theirs.status, theirs.body)
					}
				}
			}
		}
		if diff := cmp.Diff(before, hash(t, s.Client, sub.ID)); diff != "" {
			t.Errorf("bob's was changed (-before +after):\n%s", diff)
		}
		wantOne(t, r, "bob")
	})
}

// What bob has changes nothing of what the collection answers to ann.
func TestTheCollectionTellsNothingOfAnotherAccount(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		ask := func() (answers []answer) {
			for _, query := range []string{"", "?event=contact.create", "?active=true", "?active=false", "?limit=1", "?event=*&limit=1"} {
				for _, user := range []string{"ann", "an", "ann*", "bo", "*"} {
					got := r.send(t, user, "GET", base+query, "")
					got.header.Del("Date")
					answers = append(answers, got)
				}
			}
			return answers
		}
		r.subscribe(t, "ann")
		before := ask()
		var last resource
		for i := range 3 {
			body := fmt.Sprintf(`{"event":"contact.create","target_url":"https://hooks.example/%d"}`, i)
			r.send(t, "bob", "POST", base, body, "Idempotency-Key", fmt.Sprint(i)).want(t, 201).into(t, &last)
		}
		if diff := cmp.Diff(before, ask(), cmp.AllowUnexported(answer{})); diff != "" {
			t.Errorf("ann sees that bob subscribed (-before +after):\n%s", diff)
		}
		// Bob's key, his wish and a cursor at his subscription mean nothing to ann.
		var made resource
		r.send(t, "ann", "POST", base, `{"event":"contact.create","target_url":"https://hooks.example/1"}`, "Idempotency-Key", "1").want(t, 201).into(t, &made)
		sub, err := r.store.Get(t.Context(), "bob", last.ID)
		if err != nil {
			t.Fatal(err)
		}
		got := r.send(t, "ann", "GET", base+"?cursor="+position{sub.CreatedAt, sub.ID}.String(), "").want(t, 200)
		if strings.Contains(got.body, "bob") || strings.Contains(got.body, last.ID) || !strings.Contains(got.body, made.ID) {
			t.Errorf("behind a cursor of bob's, ann sees %s", got.body)
		}
	})
}

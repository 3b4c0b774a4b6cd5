package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/hookproxy/hookproxy/internal/sample"
	"github.com/hookproxy/hookproxy/subscriptions"
)

// failingReceiver answers a status until it is told to work, and remembers the
// bodies that it then gets.
type failingReceiver struct {
	*httptest.Server
	works  atomic.Bool
	bodies chan string
}

func newFailingReceiver(t *testing.T, status int) *failingReceiver {
	t.Helper()
	r := &failingReceiver{bodies: make(chan string, 100)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !r.works.Load() {
			http.Error(w, "the column is missing", status)
			return
		}
		var body struct{ Data struct{ Name string } }
		_ = json.NewDecoder(req.Body).Decode(&body)
		r.bodies <- body.Data.Name
	}))
	t.Cleanup(r.Close)
	return r
}

// read asks as Alice until what comes is as it should be: deliveries go on by
// themselves.
func read[T any](t *testing.T, url string, enough func(T) bool) (value T) {
	t.Helper()
	return readAs(t, authorization("Bearer "+sample.Accounts[0].Token), url, enough)
}

func readAs[T any](t *testing.T, who http.Header, url string, enough func(T) bool) (value T) {
	t.Helper()
	await(t, func() (bool, string) {
		status, body := sendAs(t, who, "GET", url, "")
		value = *new(T)
		if err := json.Unmarshal([]byte(body), &value); status != http.StatusOK || err != nil {
			t.Fatalf("%s: %d %s", url, status, body)
		}
		return enough(value), url + " still answers " + body
	})
	return value
}

// The whole way: the receiver fails, its owner sees why, reads what it missed,
// acknowledges a part, and has the rest delivered again.
func TestAnOwnerSeesWhatFailedAndCatchesUp(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		i := start(t, "--upstream", startSample(t), "--rules", writeRules(t, sampleRules), "--redis", "redis://"+s.Addr)
		receiver := newFailingReceiver(t, http.StatusFound)
		status, body := send(t, "POST", i.front+"/api/v1/subscription/", `{"event":"contact.create","target_url":"`+receiver.URL+`"}`)
		var sub struct{ ID string }
		if err := json.Unmarshal(body, &sub); status != http.StatusCreated || err != nil {
			t.Fatalf("subscribe: %d %s", status, body)
		}
		at := i.front + "/api/v1/subscription/" + sub.ID
		for _, name := range []string{"Ada", "Bob", "Cy"} {
			if status, body := send(t, "POST", i.front+"/contacts", `{"name":"`+name+`"}`); status != http.StatusCreated {
				t.Fatalf("create: %d %s", status, body)
			}
		}
		attempts := read(t, at+"/deliveries?outcome=dead", func(l []subscriptions.Attempt) bool { return len(l) == 3 })
		if a := attempts[0]; a.Status != http.StatusFound || a.Response != "the column is missing" || a.Event != "contact.create" {
			t.Errorf("the attempt is %+v", a)
		}
		missed := read(t, at+"/missed?after=1", func(l []subscriptions.Missed) bool { return len(l) == 2 })
		if m := missed[0]; m.Sequence != 2 || m.State != subscriptions.MissedDead || m.Reason != "given_up" || !strings.Contains(string(m.Data), "Bob") {
			t.Errorf("missed is %+v", m)
		}
		if status, body := send(t, "POST", at+"/missed/ack", `{"through":1}`); status != http.StatusOK || string(body) != `{"acknowledged":1,"more":false}` {
			t.Errorf("acknowledge: %d %s", status, body)
		}
		receiver.works.Store(true)
		status, body = send(t, "POST", at+"/redeliver", `{"missed":true}`)
		var job subscriptions.Redelivery
		if err := json.Unmarshal(body, &job); status != http.StatusAccepted || err != nil {
			t.Fatalf("redeliver: %d %s", status, body)
		}
		got := map[string]bool{}
		for range 2 {
			select {
			case name := <-receiver.bodies:
				got[name] = true
			case <-time.After(patience):
				t.Fatalf("only %v arrived", got)
			}
		}
		if !got["Bob"] || !got["Cy"] {
			t.Errorf("redelivered are %v", got)
		}
		job = read(t, at+"/redeliveries/"+job.ID, func(r subscriptions.Redelivery) bool { return r.State == subscriptions.RedeliveryDone })
		if job.Total != 2 || job.Done != 2 || job.Failed != 0 {
			t.Errorf("the redelivery is %+v", job)
		}
		read(t, at+"/missed", func(l []subscriptions.Missed) bool { return len(l) == 0 })
		if status, body := send(t, "POST", at+"/redeliver", `{"event":"`+attempts[0].EventID+`"}`); status != http.StatusUnprocessableEntity ||
			!strings.Contains(string(body), "not-kept") {
			t.Errorf("redelivering what is delivered: %d %s", status, body)
		}
	})
}

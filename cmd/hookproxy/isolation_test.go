package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/hookproxy/hookproxy/internal/sample"
	"github.com/hookproxy/hookproxy/subscriptions"
)

// neighbours are two accounts at one hookproxy, the second of which has all that an
// account can have.
type neighbours struct {
	*testing.T
	proxy      *instance
	alice, bob http.Header
	paths      []string // all that the OpenAPI document names
	// Bob's: an active subscription whose deliveries were given up, a pending one and
	// the secret that its target was sent, a redelivery, an event, and a cursor.
	active, pending, secret, job, event, etag string
}

// whole is all of a response but for its date.
type whole struct {
	Status int
	Header http.Header
	Body   string
}

func (n *neighbours) ask(who http.Header, method, path, body string, headers ...string) whole {
	n.Helper()
	request, err := http.NewRequestWithContext(n.Context(), method, n.proxy.front+path, strings.NewReader(body))
	if err != nil {
		n.Fatal(err)
	}
	request.Header = who.Clone()
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		request.Header[headers[i]] = append(request.Header[headers[i]], headers[i+1]) // spelt as it is here
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		n.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		n.Fatal(err)
	}
	response.Header.Del("Date")
	return whole{response.StatusCode, response.Header, string(text)}
}

func (w whole) want(n *neighbours, status int, value any) {
	n.Helper()
	if w.Status != status {
		n.Fatalf("it answered %+v; want %d\n%s", w, status, n.proxy.log)
	}
	if value == nil {
		return
	}
	if err := json.Unmarshal([]byte(w.Body), value); err != nil {
		n.Fatalf("%v in %s", err, w.Body)
	}
}

// oneLetter answers an id that is one letter different, which nobody has.
func oneLetter(id string) string {
	last := "0"
	if strings.HasSuffix(id, last) {
		last = "1"
	}
	return id[:len(id)-1] + last
}

const collection = "/api/v1/subscription/"

// meet starts hookproxy, with handshakes and all kinds of signature, and answers
// the two before Bob has anything. settings are of serve.
func meet(t *testing.T, identity string, settings ...string) *neighbours {
	t.Helper()
	server := redistest.Mini(t)
	rules := identity + "\nresources: {contact: /contacts}\nsubscriptions: {intent: handshake}\n"
	n := &neighbours{T: t, alice: authorization("Bearer " + sample.Accounts[0].Token), bob: authorization("Bearer " + sample.Accounts[1].Token)}
	n.proxy = start(t, append([]string{"--upstream", startSample(t), "--redis", "redis://" + server.Addr, "--spool", "none",
		"--signing-key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "--rules", writeRules(t, rules)}, settings...)...)
	var document struct{ Paths map[string]any }
	n.ask(n.alice, "GET", collection+"openapi.json", "").want(n, 200, &document)
	n.paths = slices.Sorted(maps.Keys(document.Paths))
	return n
}

// settle gives Bob all that he is to have.
func (n *neighbours) settle() {
	n.Helper()
	slow, asked := serveHandshaker(n.T, sample.NewReceiver(1), false, http.StatusOK)
	failing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if secret := r.Header.Get("X-Hook-Secret"); secret != "" {
			w.Header().Set("X-Hook-Secret", secret)
			return
		}
		w.WriteHeader(http.StatusFound) // given up at the first attempt
	}))
	n.Cleanup(failing.Close)
	var sub struct{ ID string }
	n.ask(n.bob, "POST", collection, `{"event":"contact.*","signature":"both","target_url":"`+failing.URL+`"}`).want(n, 201, &sub)
	n.active = sub.ID
	n.ask(n.bob, "POST", collection, `{"event":"contact.update","target_url":"`+slow+`"}`).want(n, 201, &sub)
	n.pending, n.secret = sub.ID, <-asked.secrets
	n.ask(n.bob, "GET", "/api/v1/event/contact.create/sample", "").want(n, 200, nil) // from now on they are kept
	for i := range 3 {
		n.ask(n.bob, "POST", "/contacts", fmt.Sprintf(`{"name":"Bob's %d"}`, i)).want(n, 201, nil)
	}
	at := n.proxy.front + collection + n.active
	attempts := readAs(n.T, n.bob, at+"/deliveries", func(l []subscriptions.Attempt) bool { return len(l) == 3 })
	n.event = attempts[0].EventID
	var job struct{ ID string }
	n.ask(n.bob, "POST", collection+n.active+"/redeliver", `{"from":"2020-01-01T00:00:00Z"}`).want(n, 202, &job)
	n.job = job.ID
	readAs(n.T, n.bob, at+"/redeliveries/"+n.job, func(r subscriptions.Redelivery) bool { return r.State == subscriptions.RedeliveryDone })
	now := n.ask(n.bob, "GET", collection+n.active, "")
	now.want(n, 200, nil)
	n.etag = now.Header.Get("ETag")
}

// state is all that Bob can see of what he has.
func (n *neighbours) state() (all []whole) {
	n.Helper()
	all = append(all, n.ask(n.bob, "GET", collection, ""), n.ask(n.bob, "GET", "/api/v1/event/contact.create/sample", ""))
	for _, id := range []string{n.active, n.pending} {
		for _, what := range []string{"", "/deliveries", "/missed", "/redeliveries/" + n.job} {
			all = append(all, n.ask(n.bob, "GET", collection+id+what, ""))
		}
	}
	return all
}

var allMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"}

// Two accounts, every endpoint that the document names, every method: what is Bob's
// answers Alice to the letter as what is nobody's, and stays as it is.
func TestNothingOfAnotherAccountCanBeReadChangedOrDeduced(t *testing.T) {
	t.Parallel()
	n := meet(t, "identity: [{whoami: {get: /me, user: id}}]")
	n.settle()
	before := n.state()
	bodies := []string{"", `{"active":false}`, `{"event":"deal.won","target_url":"https://evil.example/"}`, `{"missed":true}`, `{"through":99}`,
		`{"event":"` + n.event + `"}`, `{"overlap_seconds":0}`, `{"id":"` + n.active + `","user":"43"}`, `{`}
	headers := [][]string{nil, {"If-Match", n.etag}, {"If-None-Match", n.etag}, {"If-None-Match", "*"}, {"X-Hook-Secret", n.secret}}
	tried := 0
	for _, path := range n.paths {
		if !strings.Contains(path, "{id}") || strings.HasSuffix(path, "/jwks.json") {
			continue
		}
		for _, id := range []string{n.active, n.pending} {
			theirs := strings.NewReplacer("{id}", id, "{redelivery}", n.job).Replace(path)
			nobodys := strings.NewReplacer("{id}", oneLetter(id), "{redelivery}", oneLetter(n.job)).Replace(path)
			for _, method := range allMethods {
				for _, body := range bodies {
					for _, header := range headers {
						tried++
						want, got := n.ask(n.alice, method, nobodys, body, header...), n.ask(n.alice, method, theirs, body, header...)
						if diff := cmp.Diff(want, got); diff != "" || got.Status < 400 || got.Status >= 500 {
							t.Fatalf("%s %s %q %q tells what is Bob's from what is nobody's (-nobody's +Bob's):\n%s", method, path, body, header, diff)
						}
					}
				}
			}
		}
	}
	if tried < 5000 {
		t.Errorf("only %d requests were tried: %q", tried, n.paths)
	}
	if diff := cmp.Diff(before, n.state()); diff != "" {
		t.Errorf("what is Bob's has changed (-before +after):\n%s", diff)
	}
}

// What Bob has changes nothing of what Alice is told about her own, though she
// names it.
func TestWhatAnotherAccountHasChangesNoAnswer(t *testing.T) {
	t.Parallel()
	n := meet(t, "identity: [{whoami: {get: /me, user: id}}]")
	quick, _ := serveHandshaker(t, sample.NewReceiver(1), true, http.StatusOK)
	var own struct{ ID string }
	n.ask(n.alice, "POST", collection, `{"event":"contact.create","target_url":"`+quick+`/hers"}`).want(n, 201, &own)
	at := collection + own.ID
	see := func() (all []whole) {
		for _, path := range []string{
			collection, collection + "?event=contact.update", collection + "?active=false", collection + "openapi.json", "/api/v1/event/",
			"/api/v1/event/contact.create/sample", "/api/v1/event/contact.update/sample", at, at + "/deliveries", at + "/missed", at + "/redeliveries/x",
		} {
			all = append(all, n.ask(n.alice, "GET", path, ""))
		}
		return all
	}
	before := see()
	n.settle()
	if diff := cmp.Diff(before, see()); diff != "" {
		t.Errorf("Alice sees that Bob is there (-before +after):\n%s", diff)
	}
	for _, pair := range [][2]string{
		{"GET " + at + "/redeliveries/" + n.job, "GET " + at + "/redeliveries/" + oneLetter(n.job)},
		{"GET " + at + "/deliveries?event=" + n.event, "GET " + at + "/deliveries?event=" + oneLetter(n.event)},
		{"POST " + at + `/redeliver {"event":"` + n.event + `"}`, "POST " + at + `/redeliver {"event":"` + oneLetter(n.event) + `"}`},
	} {
		got, want := n.line(n.alice, pair[0]), n.line(n.alice, pair[1])
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s is answered otherwise than %s (-nobody's +Bob's):\n%s", pair[0], pair[1], diff)
		}
	}
	// The same wish as Bob's is a wish of Alice's own: 201, no conflict, her own id.
	theirs := n.ask(n.bob, "GET", collection+n.active, "").field(n, "target_url")
	n.ask(n.alice, "POST", collection, `{"event":"contact.*","target_url":"`+theirs+`"}`).want(n, 201, &own)
	if own.ID == n.active {
		t.Error("Alice was given Bob's subscription")
	}
	// An id has its keys whether or not there is, or was, such a subscription.
	nobody := http.Header{}
	for _, method := range allMethods {
		got, want := n.ask(nobody, method, collection+n.active+"/jwks.json", ""), n.ask(nobody, method, collection+oneLetter(n.active)+"/jwks.json", "")
		if got.Status != want.Status || len(got.Body) != len(want.Body) || !cmp.Equal(got.Header, want.Header) {
			t.Errorf("%s jwks.json answers %+v of Bob's, %+v of nobody's", method, got, want)
		}
	}
}

// line makes a request that is written as a line: method, path, and perhaps a body.
func (n *neighbours) line(who http.Header, text string) whole {
	n.Helper()
	method, rest, _ := strings.Cut(text, " ")
	path, body, _ := strings.Cut(rest, " ")
	return n.ask(who, method, path, body)
}

func (w whole) field(n *neighbours, name string) string {
	n.Helper()
	var object map[string]any
	w.want(n, 200, &object)
	text, _ := object[name].(string)
	return text
}

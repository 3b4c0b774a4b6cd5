package replay

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hookproxy/hookproxy/identity"
	"github.com/hookproxy/hookproxy/internal/har"
	"github.com/hookproxy/hookproxy/rules"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const contacts = "resources: {contact: /contacts}\n"

var whoami = []identity.Entry{{Kind: identity.KindWhoami, Get: "/me", User: "id"}}

// exchange is a recorded one: "POST /contacts 201", headers as "Name: value",
// of the request first and behind "|" of the response, and the response's body.
func exchange(t testing.TB, line, headers, body string) har.Entry {
	t.Helper()
	var method, target string
	var status int
	if _, err := fmt.Sscan(line, &method, &target, &status); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse("https://api.example.com" + target)
	if err != nil {
		t.Fatal(err)
	}
	request, response, _ := strings.Cut(headers, "|")
	e := har.Entry{
		Request:  har.Request{Method: method, URL: u, Header: headerOf(request)},
		Response: har.Response{Status: status, Header: headerOf(response), Body: []byte(body)},
	}
	if body != "" && e.Response.Header.Get("Content-Type") == "" {
		e.Response.Header.Set("Content-Type", "application/json")
	}
	return e
}

func headerOf(lines string) http.Header {
	h := make(http.Header)
	for line := range strings.SplitSeq(lines, ";") {
		if name, value, found := strings.Cut(line, ": "); found {
			h.Add(strings.TrimSpace(name), value)
		}
	}
	return h
}

func run(t testing.TB, source string, change func(*Options), recording ...har.Entry) []Exchange {
	t.Helper()
	file, err := rules.Parse("rules.yaml", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Rules: file, Recording: recording}
	if change != nil {
		change(&o)
	}
	done, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// told shows one exchange on a line.
func told(x Exchange) string {
	var parts []string
	for _, o := range x.Outcomes {
		switch {
		case o.Skipped != "":
			parts = append(parts, "no "+o.Rule.Emit+": "+o.Skipped)
		default:
			text := fmt.Sprintf("%s of %q about %q: %s", o.Event.Name, o.Event.User, o.Event.Resource, o.Event.Payload)
			for _, more := range []string{o.Event.Omitted, o.Event.Parked} {
				if more != "" {
					text += " (" + more + ")"
				}
			}
			if o.Observed {
				text += " (observed)"
			}
			parts = append(parts, text)
		}
	}
	if x.Reason != "" {
		parts = append(parts, x.Reason)
	}
	return strings.Join(append(parts, x.Notes...), "; ")
}

func is(t *testing.T, got Exchange, want string) {
	t.Helper()
	if told(got) != want {
		t.Errorf("#%d is\n%s\nwant\n%s", got.Index, told(got), want)
	}
}

func by(user string) func(*Options) { return func(o *Options) { o.User = user } }

func asking(entries ...identity.Entry) func(*Options) {
	return func(o *Options) { o.Identity = entries }
}

func TestTheCallerIsWhomTheRecordingTells(t *testing.T) {
	alice, bob := "Authorization: Bearer a", "Authorization: Bearer b"
	done := run(t, contacts, asking(whoami...),
		exchange(t, "GET /me 200", alice, `{"id":1}`),
		exchange(t, "GET /me 401", bob, ``),
		exchange(t, "GET /me 200", bob, `{"id":2}`),
		exchange(t, "POST /contacts 201", alice, `{"id":7}`),
		exchange(t, "POST /contacts 201", bob, `{"id":8}`),
		exchange(t, "POST /contacts 201", "Authorization: Bearer c", `{"id":9}`),
		exchange(t, "POST /contacts 201", "", `{"id":10}`))
	is(t, done[3], `contact.create of "1" about "7": {"id":7}`)
	is(t, done[4], `contact.create of "2" about "8": {"id":8}`)
	is(t, done[5], `contact.create of "" about "9": {"id":9} (identity_unavailable); would ask GET /me who is calling; the recording holds no such answer`)
	is(t, done[6], `contact.create of "" about "10": {"id":10} (user_unknown)`)
}

func TestARecordingWithoutCredentialsIsOneCallers(t *testing.T) {
	done := run(t, contacts, asking(whoami...),
		exchange(t, "POST /contacts 201", "", `{"id":7}`), exchange(t, "GET /me 200", "", `{"id":1}`))
	is(t, done[0], `contact.create of "1" about "7": {"id":7}`)
}

func TestTheCallerIsWhomHookproxyRecorded(t *testing.T) {
	known := exchange(t, "POST /contacts 201", "Authorization: Bearer redacted-1", `{"id":7}`)
	known.User = "42"
	done := run(t, contacts, asking(identity.Entry{Kind: identity.KindKey, Header: "X-Key", Get: "/me"}), // whose secret is not here
		known, exchange(t, "DELETE /contacts/7 204", "Authorization: Bearer redacted-1", ``),
		exchange(t, "DELETE /contacts/8 204", "Authorization: Bearer redacted-2", ``))
	is(t, done[0], `contact.create of "42" about "7": {"id":7}`)
	is(t, done[1], `contact.delete of "42" about "7": {"id":"7"}`)
	if got := told(done[2]); !strings.Contains(got, "user_unknown") || !strings.Contains(got, "nobody can tell who is calling: identity entry 1 (key)") {
		t.Error(got)
	}
}

func TestEveryKindOfIdentityHasAnAnswer(t *testing.T) {
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"https://id","sub":"5"}`))
	basic := base64.StdEncoding.EncodeToString([]byte("ann:secret"))
	for name, c := range map[string]struct {
		entry   identity.Entry
		headers string
		user    string
	}{
		"header": {identity.Entry{Kind: identity.KindHeader, Header: "X-User"}, "X-User: 3", "3"},
		"basic":  {identity.Entry{Kind: identity.KindBasic, Get: "/me"}, "Authorization: Basic " + basic, "ann"},
		"jwt": {identity.Entry{Kind: identity.KindJWT, Issuer: "https://id", Audience: []string{"x"}, Algorithms: []string{"RS256"}, JWKS: "https://id/keys", User: "sub"},
			"Authorization: Bearer e30." + claims + ".sig", "5"},
		"anonymous": {identity.Entry{Kind: identity.KindAnonymous, User: "9"}, "", "9"},
		"whoami elsewhere": {identity.Entry{Kind: identity.KindWhoami, Get: "https://id.example.com/userinfo", User: "sub"},
			"Authorization: Bearer x", "6"},
	} {
		elsewhere := exchange(t, "GET /userinfo 200", c.headers, `{"sub":"6"}`)
		elsewhere.Request.URL.Host = "id.example.com"
		done := run(t, contacts, asking(c.entry), exchange(t, "GET /me 200", c.headers, `{}`), elsewhere, exchange(t, "DELETE /contacts/7 204", c.headers, ``))
		if got := done[2].Outcomes; len(got) != 1 || got[0].Event.User != c.user {
			t.Errorf("%s: %s", name, told(done[2]))
		}
	}
}

func TestFetchesAreAnsweredByTheNearestGETWithNoWriteBetween(t *testing.T) {
	const source = `rules: [{on: "PATCH /deals/{id}", emit: deal.change, fetch: [before, after], payload: {was: "{previous.n}", is: "{fetched.n}"}}]`
	get := func(n string) har.Entry { return exchange(t, "GET /deals/1 200", "", `{"n":`+n+`}`) }
	patch := exchange(t, "PATCH /deals/1 204", "", ``)
	done := run(t, source, by("1"), get("0"), get("1"), patch, get("2"), get("3"), patch, patch, get("4"))
	is(t, done[2], `deal.change of "1" about "1": {"was":1,"is":2}`)
	is(t, done[5], `deal.change of "1" about "1":  (fetch_failed); would fetch GET /deals/1 after it; the recording holds no such answer`)
	is(t, done[6], `deal.change of "1" about "1":  (fetch_failed); would fetch GET /deals/1 before it; the recording holds no such answer`)
}

func TestFetchedLaterIsPartOfTheExchange(t *testing.T) {
	done := run(t, `rules: [{on: "POST /deals/{id}/close", emit: deal.close, fetch: {later: "/deals/{path.id}"}}]`, by("1"),
		exchange(t, "POST /deals/1/close 202", "", ``), exchange(t, "POST /deals/1/close 204", "", ``), exchange(t, "GET /deals/1 200", "", `{"n":1}`))
	is(t, done[0], `no deal.close: status`)
	is(t, done[1], `deal.close of "1" about "1": {"n":1}`)
}

func TestOutcomesStandInTheOrderOfTheRules(t *testing.T) {
	done := run(t, `
rules:
  - {on: "POST /a", emit: first.x, when: {response.body.n: 2}}
  - {on: "POST /a", emit: second.x}
  - {on: "POST /a", emit: third.x, mode: observe}
  - {on: "POST /a", emit: fourth.x, status: 202}
`, by("1"), exchange(t, "POST /a 200", "", `{"id":1}`), exchange(t, "POST /a 404", "", `{"id":1}`))
	is(t, done[0], `no first.x: when; second.x of "1" about "1": {"id":1}; third.x of "1" about "1": {"id":1} (observed); no fourth.x: status`)
	is(t, done[1], `no first.x: status; no second.x: status; no third.x: status; no fourth.x: status`)
}

func TestWhatCannotBeReplayedHasAReason(t *testing.T) {
	data := exchange(t, "GET /x 200", "", ``)
	data.Request.URL = nil
	done := run(t, contacts, func(o *Options) { o.User, o.BasePath = "1", "/v1" }, data,
		exchange(t, "POST /v1/contacts 0", "", ``), exchange(t, "GET /v1/socket 101", "", ``), exchange(t, "POST /v2/contacts 201", "", ``),
		exchange(t, "POST /v10/contacts 201", "", ``), exchange(t, "HEAD /v1/contacts 200", "", ``), exchange(t, "POST /v1/api/v1/subscription/ 201", "", `{}`),
		exchange(t, "POST /v1/orders 201", "", `{}`), exchange(t, "POST /v1/contacts 200", "|Content-Type: text/event-stream", `data:`),
		exchange(t, "POST /v1/contacts 200", "Content-Type: application/grpc", ``), exchange(t, "POST /v1 201", "", `{}`))
	for i, want := range []string{
		"not HTTP", "the recording holds no response", "upgraded connections are never captured", "not below the base path /v1",
		"not below the base path /v1", "HEAD is never captured", "answered by hookproxy itself", "no rule for POST /orders",
		"the response is never captured: event_stream", "never captured: application/grpc", "no rule for POST /",
	} {
		is(t, done[i], want)
	}
}

func TestTheBasePathStandsInLocation(t *testing.T) {
	done := run(t, "rules: [{on: POST /contacts, emit: contact.create, payload: thin}]", func(o *Options) { o.User, o.BasePath = "1", "/v1" },
		exchange(t, "POST /v1/contacts 201", "|Location: https://api.example.com/v1/contacts/7", ``))
	is(t, done[0], `contact.create of "1" about "7": {"id":"7","url":"/contacts/7"}`)
}

// Browsers record what clients ask for, hookproxy what the upstream is asked for.
func TestAMountThatIsLeftOutIsKnownInEitherRecording(t *testing.T) {
	const source = "matching: {mount: [/api/v1, /], strip: true}\nrules: [{on: POST /contacts, emit: contact.create, fetch: after}]"
	made := `contact.create of "1" about "7": {"id":7}`
	browser := run(t, source, by("1"),
		exchange(t, "POST /api/v1/contacts 201", "|Location: /contacts/7", ``), exchange(t, "GET /api/v1/contacts/7 200", "", `{"id":7}`))
	is(t, browser[0], made)
	if browser[0].Path != "/api/v1/contacts" {
		t.Errorf("the path is %s", browser[0].Path)
	}
	const told = "X-Forwarded-Prefix: /shop/api/v1"
	ours := run(t, source, func(o *Options) { o.User, o.BasePath = "1", "/base" },
		exchange(t, "POST /base/contacts 201", told+"|Location: /base/contacts/7", ``), exchange(t, "GET /base/contacts/7 200", told, `{"id":7}`),
		exchange(t, "POST /base/contacts 201", "|Location: /base/contacts/7", ``))
	is(t, ours[0], made)
	if ours[0].Path != "/api/v1/contacts" || ours[2].Path != "/contacts" {
		t.Errorf("the paths are %s and %s", ours[0].Path, ours[2].Path)
	}
}

func TestBodiesThatAreNotWholeMakeTheEventThatTheyMadeLive(t *testing.T) {
	omitted := func(why string, size int64) har.Entry {
		e := exchange(t, "PUT /contacts/7 200", "", ``)
		e.Response.Omitted, e.Response.Size = why, size
		return e
	}
	zipped := exchange(t, "PUT /contacts/7 200", "|Content-Encoding: gzip", zip(t, `{"id":7}`))
	done := run(t, contacts, by("1"), omitted("too_large", 70), omitted("truncated", -1), omitted(har.OmittedNotRecorded, 7), zipped)
	is(t, done[0], `contact.update of "1" about "7":  (too_large)`)
	is(t, done[1], `contact.update of "1" about "7":  (truncated)`)
	is(t, done[2], `contact.update of "1" about "7":  (truncated); the recording lacks the response's body`)
	is(t, done[3], `contact.update of "1" about "7": {"id":7}`)
}

func TestRequestBodiesAreReadAsFarAsTheyAreRecorded(t *testing.T) {
	const source = `rules: [{on: "PUT /a/{id}", emit: a.x, payload: request.body}]`
	e := exchange(t, "PUT /a/7 204", "Content-Type: application/json", ``)
	whole, cut, large := e, e, e
	whole.Request.Body, cut.Request.Omitted, large.Request.Omitted = []byte(`{"n":1}`), "truncated", "too_large"
	done := run(t, source, by("1"), whole, cut, large)
	is(t, done[0], `a.x of "1" about "7": {"n":1}`)
	is(t, done[1], `a.x of "1" about "7":  (truncated)`)
	is(t, done[2], `a.x of "1" about "7":  (too_large)`)
}

func TestEntriesAreReplayedInTheOrderOfTheirTimes(t *testing.T) {
	first, second, own := exchange(t, "DELETE /contacts/1 204", "", ``), exchange(t, "DELETE /contacts/2 204", "", ``), exchange(t, "GET /me 200", "", `{}`)
	own.Own = true
	first.Started, second.Started, own.Started = time.Unix(1, 0), time.Unix(2, 0), time.Unix(3, 0)
	done := run(t, contacts, by("1"), second, own, first)
	if len(done) != 2 || done[0].Index != 2 || done[1].Index != 0 {
		t.Errorf("%+v", done)
	}
}

func zip(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

package identity

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// headersAsUser answers as user what distinguishes the request, so that two
// that share an answer show it.
func headersAsUser(w http.ResponseWriter, r *http.Request) {
	answerJSON(http.StatusOK, `{"id":`+strconv.Quote(r.Host+" "+strconv.Quote(
		stringsOf(r.Header["Authorization"])+stringsOf(r.Header["X-Key"])))+`}`)(w, r)
}

func stringsOf(values []string) string {
	text := strconv.Itoa(len(values)) + ":"
	for _, value := range values {
		text += strconv.Itoa(len(value)) + value
	}
	return text
}

func TestTwoCredentialsNeverShareAnAnswer(t *testing.T) {
	u := newUpstream(t, headersAsUser)
	c := u.chain(t, Options{Entries: []Entry{{Kind: KindWhoami, Get: "/me", User: "id", Credentials: []string{"Authorization", "X-Key"}}}})
	elsewhere := request("Authorization", "a")
	elsewhere.Host = "other.example"
	requests := []*http.Request{
		request("Authorization", "a"), elsewhere,
		request("Authorization", "A"), request("Authorization", "b"),
		request("Authorization", "a", "Authorization", "b"),
		request("Authorization", "b", "Authorization", "a"),
		request("Authorization", "ab"), request("Authorization", "a,b"),
		request("Authorization", "a", "Authorization", ""),
		request("Authorization", "", "Authorization", "a"),
		request("X-Key", "a"), request("Authorization", "a", "X-Key", "b"),
		request("Authorization", "b", "X-Key", "a"), request("Authorization", "a", "Authorization", "a"),
	}
	users := map[string]int{}
	for i, r := range requests {
		for range 2 {
			got, err := c.Ask(r).Answer(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if first, seen := users[got.User]; seen && first != i {
				t.Errorf("requests %d and %d are both %s", first, i, got.User)
			}
			users[got.User] = i
		}
	}
	u.wantLookups(t, int64(len(requests)))
	// What is not a credential, and the order of headers, make no difference.
	wantSame := request("X-Key", "b", "X-Other", "1", "Authorization", "a")
	if _, err := c.Ask(wantSame).Answer(t.Context()); err != nil {
		t.Error(err)
	}
	u.wantLookups(t, int64(len(requests)))
}

func TestACallerIsRememberedForAMinuteAndARefusalForFiveSeconds(t *testing.T) {
	u := newUpstream(t, byToken(map[string]string{"Bearer a": "ann"}))
	var time0 clock
	c := u.chain(t, Options{Entries: []Entry{whoamiEntry}, Now: time0.now})
	known, refused := request("Authorization", "Bearer a"), request("Authorization", "Bearer b")
	ask := func(lookups int64) {
		t.Helper()
		wantUser(t, c, known, "ann")
		wantError(t, c, refused, ErrUnauthenticated)
		u.wantLookups(t, lookups)
	}
	ask(2)
	time0.advance(5*time.Second - 1)
	ask(2)
	time0.advance(1)
	ask(3)
	time0.advance(55*time.Second - 1)
	ask(4)
	time0.advance(1)
	ask(5)
	// A token revoked meanwhile is believed no longer than that.
	u.set(byToken(nil))
	time0.advance(60 * time.Second)
	wantError(t, c, known, ErrUnauthenticated)
}

func TestARefusalCarriesTheUpstreamsChallenge(t *testing.T) {
	u := newUpstream(t, byToken(nil))
	c := u.chain(t, Options{Entries: []Entry{whoamiEntry}})
	for range 2 { // the second from memory
		_, err := c.Ask(request("Authorization", "Bearer b")).Answer(t.Context())
		refusal, ok := errors.AsType[*UnauthenticatedError](err)
		if !ok || !slices.Equal(refusal.Challenges, []string{`Bearer realm="the api"`}) {
			t.Errorf("the error is %#v", err)
		}
	}
	u.wantLookups(t, 1)
}

func TestAnOutageIsNotRemembered(t *testing.T) {
	u := newUpstream(t, answerJSON(http.StatusServiceUnavailable, "{}"))
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	c := u.chain(t, Options{Entries: []Entry{whoamiEntry}, Metrics: m})
	wantError(t, c, request("Authorization", "Bearer a"), ErrUnavailable)
	u.set(byToken(map[string]string{"Bearer a": "ann"}))
	wantUser(t, c, request("Authorization", "Bearer a"), "ann")
	wantUser(t, c, request("Authorization", "Bearer a"), "ann")
	for outcome, want := range map[string]float64{"known": 1, "unavailable": 1, "unauthenticated": 0} {
		if got := testutil.ToFloat64(m.lookups.WithLabelValues(KindWhoami, outcome)); got != want {
			t.Errorf("%v lookups are %s, want %v", got, outcome, want)
		}
	}
	if got := testutil.ToFloat64(m.cached.WithLabelValues(KindWhoami)); got != 1 {
		t.Errorf("%v answers came from memory, want 1", got)
	}
}

func TestManyCallsOfOneCallerAreOneLookup(t *testing.T) {
	entered, release := make(chan struct{}, 1), make(chan struct{})
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-release
		answerJSON(http.StatusOK, `{"id":1}`)(w, r)
	})
	c := u.chain(t, Options{Entries: []Entry{whoamiEntry}})
	q := c.Ask(request("Authorization", "Bearer a"))
	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() {
			if got, err := q.Answer(t.Context()); err != nil || got.User != "1" {
				t.Errorf("the caller is %q, %v", got.User, err)
			}
		})
	}
	<-entered
	close(release)
	callers.Wait()
	u.wantLookups(t, 1)
}

func TestACallerWhoLeavesDoesNotFailTheOthers(t *testing.T) {
	entered, release := make(chan struct{}, 1), make(chan struct{})
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		select {
		case <-release:
			answerJSON(http.StatusOK, `{"id":1}`)(w, r)
		case <-r.Context().Done():
			t.Error("the lookup ended with the caller who started it")
		}
	})
	c := u.chain(t, Options{Entries: []Entry{whoamiEntry}})
	ctx, leave := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := c.Ask(request("Authorization", "Bearer a")).Answer(ctx)
		first <- err
	}()
	<-entered
	leave()
	if err := <-first; !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("the first caller's error is %v", err)
	}
	second := c.Ask(request("Authorization", "Bearer a"))
	close(release)
	if got, err := second.Answer(t.Context()); err != nil || got.User != "1" {
		t.Errorf("the second caller is %q, %v", got.User, err)
	}
	u.wantLookups(t, 1)
}

// brokenTransport panics, as a parser met with the wrong answer might.
type brokenTransport struct{}

func (brokenTransport) RoundTrip(*http.Request) (*http.Response, error) { panic("broken") }

func TestALookupThatPanicsTakesNobodyWithIt(t *testing.T) {
	u := newUpstream(t, answerJSON(http.StatusOK, "{}"))
	c := u.chain(t, Options{Entries: []Entry{whoamiEntry}})
	c.resolvers[0].(whoami).lookup.probe.transport = brokenTransport{}
	wantError(t, c, request("Authorization", "x"), ErrUnavailable)
}

func TestTheMemoryIsBoundedAndKeepsWhoCallsOften(t *testing.T) {
	u := newUpstream(t, headersAsUser)
	c := u.chain(t, Options{Entries: []Entry{whoamiEntry}, CacheEntries: 3})
	ask := func(token string, lookups int64) {
		t.Helper()
		if _, err := c.Ask(request("Authorization", token)).Answer(t.Context()); err != nil {
			t.Error(err)
		}
		u.wantLookups(t, lookups)
	}
	ask("a", 1)
	ask("b", 2)
	ask("c", 3)
	ask("a", 3)
	ask("d", 4) // b goes
	ask("a", 4)
	ask("b", 5) // c goes
	ask("d", 5)
	ask("c", 6)
	known := c.resolvers[0].(whoami).lookup.known
	if len(known.byKey) != 3 || known.recent.Len() != 3 {
		t.Errorf("%d callers and %d places are kept, want 3", len(known.byKey), known.recent.Len())
	}
}

func TestGuessingCredentialsEvictsNoCaller(t *testing.T) {
	u := newUpstream(t, byToken(map[string]string{"Bearer a": "ann"}))
	c := u.chain(t, Options{Entries: []Entry{whoamiEntry}, CacheEntries: 3})
	wantUser(t, c, request("Authorization", "Bearer a"), "ann")
	for i := range 10 {
		wantError(t, c, request("Authorization", "guess "+strconv.Itoa(i)), ErrUnauthenticated)
	}
	wantUser(t, c, request("Authorization", "Bearer a"), "ann")
	u.wantLookups(t, 11)
}

func BenchmarkAnswerFromMemory(b *testing.B) {
	u := newUpstream(b, byToken(map[string]string{"Bearer a": "ann"}))
	c := u.chain(b, Options{Entries: []Entry{whoamiEntry}})
	r := request("Authorization", "Bearer a")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Ask(r).Answer(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func TestWhatIsKnownIsAnsweredWithoutAsking(t *testing.T) {
	u := newUpstream(t, byToken(map[string]string{"good": "ann"}))
	c := u.chain(t, Options{Entries: []Entry{whoamiEntry, {Kind: KindAnonymous, User: "everybody"}}})
	if caller, err, known := c.Ask(request()).Known(); !known || err != nil || caller.User != "everybody" {
		t.Errorf("anonymous: %v, %v, %v", caller, err, known)
	}
	question := c.Ask(request("Authorization", "good"))
	if _, _, known := question.Known(); known {
		t.Error("known before anybody was asked")
	}
	wantUser(t, c, request("Authorization", "good"), "ann")
	if caller, err, known := question.Known(); !known || err != nil || caller.User != "ann" {
		t.Errorf("after a lookup: %v, %v, %v", caller, err, known)
	}
	question.Forget()
	if _, _, known := question.Known(); known {
		t.Error("known though it was forgotten")
	}
	u.wantLookups(t, 1)
}

package identity

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestAnAnswerIsForgottenWhenTheUpstreamRefusesTheCredentials(t *testing.T) {
	u := newUpstream(t, byToken(map[string]string{"Bearer a": "ann", "Bearer b": "bob"}))
	c := u.chain(t, Options{Entries: []Entry{whoamiEntry}})
	wantUser(t, c, request("Authorization", "Bearer a"), "ann")
	wantUser(t, c, request("Authorization", "Bearer b"), "bob")
	u.set(byToken(nil))
	wantUser(t, c, request("Authorization", "Bearer a"), "ann") // nobody has seen a 401 yet
	c.Ask(request("Authorization", "Bearer a")).Forget()
	wantError(t, c, request("Authorization", "Bearer a"), ErrUnauthenticated)
	wantUser(t, c, request("Authorization", "Bearer b"), "bob") // another's 401 says nothing
	u.wantLookups(t, 3)
	c.Ask(request()).Forget() // nothing to forget
}

func TestALookupThatOvertookTheRevocationIsNotRemembered(t *testing.T) {
	entered, release := make(chan struct{}, 1), make(chan struct{})
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-release
		answerJSON(http.StatusOK, `{"id":"ann"}`)(w, r)
	})
	c := u.chain(t, Options{Entries: []Entry{whoamiEntry}})
	answered := make(chan error, 1)
	go func() {
		_, err := c.Ask(request("Authorization", "Bearer a")).Answer(t.Context())
		answered <- err
	}()
	<-entered
	c.Ask(request("Authorization", "Bearer a")).Forget()
	close(release)
	if err := <-answered; err != nil {
		t.Error(err)
	}
	u.set(byToken(nil))
	wantError(t, c, request("Authorization", "Bearer a"), ErrUnauthenticated)
	u.wantLookups(t, 2)
}

func TestACallerIsNotKnownForLongerThanTheTokenLasts(t *testing.T) {
	u := newUpstream(t, answerJSON(http.StatusOK, `{"id":"ann"}`))
	token := func(exp any) string {
		return signed(t, jwt.SigningMethodHS256, []byte(hmacSecret), goodClaims("exp", exp), nil)
	}
	in := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for name, test := range map[string]struct {
		header, value string
		known         time.Duration
	}{
		"expires soon":      {"Authorization", "Bearer " + token(in(10*time.Second)), 10 * time.Second},
		"expires later":     {"Authorization", "Bearer " + token(in(time.Hour)), time.Minute},
		"never":             {"Authorization", "Bearer " + token(nil), time.Minute},
		"a text":            {"Authorization", "Bearer " + token("soon"), time.Minute},
		"in a cookie":       {"Cookie", `theme=dark; session="` + token(in(20*time.Second)) + `"; a=b`, 20 * time.Second},
		"in a header alone": {"X-Token", token(in(5 * time.Second)), 5 * time.Second},
		"expired already":   {"X-Token", token(in(-time.Hour)), 0},
	} {
		t.Run(name, func(t *testing.T) {
			time0 := &clock{}
			entry := whoamiEntry
			entry.Credentials = []string{"Authorization", "Cookie", "X-Token"}
			c := u.chain(t, Options{Entries: []Entry{entry}, Now: time0.now})
			asked := u.lookups.Load()
			ask := func(lookups int64) {
				t.Helper()
				wantUser(t, c, request(test.header, test.value), "ann")
				u.wantLookups(t, asked+lookups)
			}
			ask(1)
			if test.known > 0 {
				time0.advance(test.known - 1)
				ask(1)
				time0.advance(1)
			}
			ask(2)
		})
	}
}

func TestTheCacheTellsApartWhatTheUpstreamIsToldOfTheWay(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		answerJSON(http.StatusOK, `{"id":`+strconv.Quote(r.Header.Get("X-Forwarded-Proto")+" "+r.Header.Get("X-Forwarded-Host"))+`}`)(w, r)
	})
	c := u.chain(t, Options{Entries: []Entry{whoamiEntry}, TrustedProxies: prefixes("192.0.2.1/32")})
	plain, trusted := request("Authorization", "a"), request("Authorization", "a", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "shop.example")
	stranger := request("Authorization", "a", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.example")
	stranger.RemoteAddr = "192.0.2.9:1"
	for range 2 {
		wantUser(t, c, plain, "http api.example")
		wantUser(t, c, trusted, "https shop.example")
		wantUser(t, c, stranger, "http api.example")
	}
	u.wantLookups(t, 2)
}

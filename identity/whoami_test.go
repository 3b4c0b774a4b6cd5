package identity

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWhoamiReadsAStringOrAnInteger(t *testing.T) {
	for body, want := range map[string]string{
		`{"id":"ann"}`:                              "ann",
		`{"id":42}`:                                 "42",
		`{"id":-7}`:                                 "-7",
		`{"id":9007199254740993}`:                   "9007199254740993",
		`{"id":123456789012345678901234567}`:        "123456789012345678901234567",
		`{"id":"a:b {c}"}`:                          "a:b {c}",
		`{"id":"\u00e9"}`:                           "é",
		" \n{\"id\":\"ann\"}\n":                     "ann",
		`{"id":"` + strings.Repeat("x", 256) + `"}`: strings.Repeat("x", 256),
	} {
		u := newUpstream(t, answerJSON(http.StatusOK, body))
		wantUser(t, u.chain(t, Options{Entries: []Entry{whoamiEntry}}), request("Authorization", "x"), want)
	}
	u := newUpstream(t, answerJSON(http.StatusCreated, `{"data":{"account":{"id":5}}}`))
	entry := Entry{Kind: KindWhoami, Get: "/me", User: "data.account.id"}
	wantUser(t, u.chain(t, Options{Entries: []Entry{entry}}), request("Authorization", "x"), "5")
}

func TestAUserThatIsNoUserMakesIdentityUnavailable(t *testing.T) {
	for _, body := range []string{
		``, `null`, `[]`, `{}`, `{"id":null}`, `{"id":""}`, `{"id":1.5}`, `{"id":1e3}`, `{"id":true}`, `{"id":{}}`, `{"id":["a"]}`,
		`{"id":"a`, `{"id":"a"} trailing`, `<html>`, `{"id":"a\nb"}`, `{"id":"\u0000"}`, `{"id":"\ud800"}`, "{\"id\":\"\xff\"}",
		`{"id":"` + strings.Repeat("x", 257) + `"}`, strings.Repeat("[", 60_000), `{"ID":"a"}`,
	} {
		u := newUpstream(t, answerJSON(http.StatusOK, body))
		wantError(t, u.chain(t, Options{Entries: []Entry{whoamiEntry}}), request("Authorization", "x"), ErrUnavailable)
	}
}

func TestWhatTheUpstreamsStatusSaysAboutTheCaller(t *testing.T) {
	for status := 200; status < 600; status++ {
		u := newUpstream(t, answerJSON(status, `{"id":"ann"}`))
		c := u.chain(t, Options{Entries: []Entry{whoamiEntry}})
		switch {
		case status == 204 || status == 304:
			wantError(t, c, request("Authorization", "x"), ErrUnavailable) // they have no body
		case status < 300:
			wantUser(t, c, request("Authorization", "x"), "ann")
		case status == 401 || status == 403:
			wantError(t, c, request("Authorization", "x"), ErrUnauthenticated)
		default:
			wantError(t, c, request("Authorization", "x"), ErrUnavailable)
		}
	}
}

func TestAnAnswerThatIsNotSmallPlainJSONIsNotBelieved(t *testing.T) {
	typed := func(contentType, coding string, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{contentType}
			if coding != "" {
				w.Header().Set("Content-Encoding", coding)
			}
			_, _ = w.Write(body)
		}
	}
	ann := []byte(`{"id":"ann"}`)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(ann)
	_ = z.Close()
	pad := func(size int) []byte { return []byte(`{"id":"ann"}` + strings.Repeat(" ", size-len(ann))) }
	for name, answer := range map[string]http.HandlerFunc{
		"HTML":        typed("text/html", "", ann),
		"no type":     typed("", "", ann),
		"gzip":        typed("application/json", "gzip", zipped.Bytes()),
		"over 64 KiB": typed("application/json", "", pad(maxAnswer+1)),
		"a cut-off one": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "99")
			_, _ = w.Write(ann)
		},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, newUpstream(t, answer).chain(t, Options{Entries: []Entry{whoamiEntry}}), request("Authorization", "x"), ErrUnavailable)
		})
	}
	for _, contentType := range []string{"application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"} {
		u := newUpstream(t, typed(contentType, "", pad(maxAnswer)))
		wantUser(t, u.chain(t, Options{Entries: []Entry{whoamiEntry}}), request("Authorization", "x"), "ann")
	}
}

func TestOnlyTheListedCredentialsReachTheUpstream(t *testing.T) {
	u := newUpstream(t, answerJSON(http.StatusOK, `{"id":1}`))
	base, err := url.Parse(u.URL + "/base%2Fpath/")
	if err != nil {
		t.Fatal(err)
	}
	c := newChain(t, Options{Upstream: base, Transport: u.transport, Entries: []Entry{
		{Kind: KindWhoami, Get: "/me%2F1?full=a;b", User: "id", Credentials: []string{"authorization", "x-api-key", "X-Absent", "Authorization"}},
	}})
	wantUser(t, c, request("Authorization", "Bearer a", "Authorization", "Bearer b", "X-Api-Key", "k", "Cookie", "c=1",
		"Accept-Encoding", "gzip", "X-Forwarded-For", "1.2.3.4", "X-User", "eve"), "1")
	got := u.lastRequest()
	want := http.Header{
		"Authorization": {"Bearer a", "Bearer b"}, "X-Api-Key": {"k"},
		"Accept": {"application/json"}, "Accept-Encoding": {"identity"}, "User-Agent": {"hookproxy"},
		"X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"api.example"},
	}
	if diff := cmp.Diff(want, got.Header); diff != "" {
		t.Errorf("the upstream's headers (-want +got):\n%s", diff)
	}
	if line := got.Method + " " + got.Host + " " + got.RequestURI; line != "GET api.example /base%2Fpath/me%2F1?full=a;b" {
		t.Errorf("the upstream was asked %s", line)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	elsewhere := newUpstream(t, answerJSON(http.StatusOK, `{"id":"eve"}`))
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) })
	wantError(t, u.chain(t, Options{Entries: []Entry{whoamiEntry}}), request("Authorization", "x"), ErrUnavailable)
	u.wantLookups(t, 1)
	elsewhere.wantLookups(t, 0)
}

func TestASlowUpstreamMakesIdentityUnavailable(t *testing.T) {
	slowHead := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	slowBody := func(w http.ResponseWriter, r *http.Request) {
		answerJSON(http.StatusOK, `{"id":`)(w, r)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	for name, answer := range map[string]http.HandlerFunc{"in its head": slowHead, "in its body": slowBody} {
		t.Run(name, func(t *testing.T) {
			c := newUpstream(t, answer).chain(t, Options{Entries: []Entry{whoamiEntry}, Timeout: 20 * time.Millisecond})
			wantError(t, c, request("Authorization", "x"), ErrUnavailable)
		})
	}
}

func TestAnUpstreamThatIsAwayMakesIdentityUnavailable(t *testing.T) {
	u := newUpstream(t, answerJSON(http.StatusOK, `{"id":1}`))
	c := u.chain(t, Options{Entries: []Entry{whoamiEntry, guest}})
	u.Close()
	wantError(t, c, request("Authorization", "x"), ErrUnavailable)
}

func TestCredentialsAppearInNoErrorAndNoLog(t *testing.T) {
	const secret = "c2VjcmV0"
	var log bytes.Buffer
	o := Options{Entries: []Entry{whoamiEntry}, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	echo := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { answerJSON(status, r.Header.Get("Authorization"))(w, r) }
	}
	garbled := func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, "HTTP/9 "+r.Header.Get("Authorization")+"\r\n\r\n")
		_ = conn.Close()
	}
	for i, answer := range []http.HandlerFunc{echo(200), echo(401), echo(500), garbled} {
		_, err := newUpstream(t, answer).chain(t, o).Ask(request("Authorization", "Bearer "+secret)).Answer(t.Context())
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
			t.Errorf("answer %d: the error is %v", i, err)
		}
	}
	if !strings.Contains(log.String(), "identity cannot be asked") || strings.Contains(log.String(), secret) {
		t.Errorf("the log is:\n%s", log.String())
	}
}

func TestATextThatLooksLikeJSONNamesNobody(t *testing.T) {
	for _, body := range []string{`"[42"`, `"{\"id\":42}"`, `42`, `null`, `"x"`} {
		for _, path := range []string{"0", "id"} {
			if user, err := userAt([]byte(body), path); err == nil {
				t.Errorf("%s at %s names %q", body, path, user)
			}
		}
	}
}

func TestWhoamiPassesOnTheParametersThatItNames(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		answerJSON(http.StatusOK, `{"id":"`+r.URL.Query().Get("access_token")+r.Header.Get("Authorization")+`"}`)(w, r)
	})
	c := u.chain(t, Options{Entries: []Entry{
		{Kind: KindWhoami, Get: "/me?fields=id", User: "id", Parameters: []string{"access_token", "sig"}}, guest,
	}})
	ask := func(query string, headers ...string) *http.Request {
		r := request(headers...)
		r.URL.RawQuery = query
		return r
	}
	wantUser(t, c, ask("x=1&access_token=t-1"), "t-1")
	if r := u.lastRequest(); r.URL.RawQuery != "fields=id&access_token=t-1" {
		t.Errorf("the upstream was asked %s", r.URL)
	}
	wantUser(t, c, ask("access_token=t%2D1&x=2"), "t-1") // known already
	u.wantLookups(t, 1)
	wantUser(t, c, ask("access_token=t-2"), "t-2")
	wantUser(t, c, ask("access_token=t-1&sig=s"), "t-1") // another question
	wantUser(t, c, ask("access_token=t-1", "Authorization", "x"), "t-1x")
	wantUser(t, c, ask("", "Authorization", "x"), "x")
	u.wantLookups(t, 5)
	for _, query := range []string{"", "x=1", "access_token=", "ACCESS_TOKEN=t-1"} {
		wantUser(t, c, ask(query), "guest")
	}
	for _, query := range []string{"access_token=t-1&access_token=t-2", "access_token=%zz", "a=%zz&access_token=t-1"} {
		wantError(t, c, ask(query), ErrUnauthenticated)
	}
	u.wantLookups(t, 5)
}

func FuzzUserAt(f *testing.F) {
	f.Add([]byte(`{"id":"ann"}`))
	f.Add([]byte(`{"id":9007199254740993}`))
	f.Add([]byte(`"[{\"id\":1}"`))
	f.Fuzz(func(t *testing.T, body []byte) {
		user, err := userAt(body, "id")
		if err == nil && checkUser(user) != nil {
			t.Errorf("%q was taken from %q", user, body)
		}
	})
}

func TestH2CIsTheTransportsAffair(t *testing.T) {
	target, err := targetOf(&url.URL{Scheme: "h2c", Host: "api.example:80", Path: "/v1"}, "/me")
	if err != nil || target.String() != "http://api.example:80/v1/me" {
		t.Errorf("the target is %v, %v", target, err)
	}
}

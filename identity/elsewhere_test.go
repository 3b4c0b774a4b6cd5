package identity

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// forceSSL redirects what did not come by HTTPS, as Rails' force_ssl does.
func forceSSL(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Forwarded-Proto") != "https" {
		http.Redirect(w, r, "https://"+r.Host+r.URL.Path, http.StatusMovedPermanently)
		return
	}
	answerJSON(http.StatusOK, `{"id":"ann"}`)(w, r)
}

func TestAnUpstreamThatInsistsOnHTTPSIsToldOfIt(t *testing.T) {
	u := newUpstream(t, forceSSL)
	c := u.chain(t, Options{Entries: []Entry{whoamiEntry}})
	secure := request("Authorization", "a")
	secure.TLS = &tls.ConnectionState{}
	wantUser(t, c, secure, "ann")
	wantError(t, c, request("Authorization", "a"), ErrUnavailable)
}

func TestWhoamiMayBeAPOSTOfAFixedBody(t *testing.T) {
	const query = `{"query":"{ viewer { id } }"}`
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || string(body) != query || r.Header.Get("Content-Type") != "application/json" || r.ContentLength != int64(len(query)) {
			t.Errorf("the upstream was asked %s %q with %v", r.Method, body, r.Header)
		}
		answerJSON(http.StatusOK, `{"data":{"viewer":{"id":7}}}`)(w, r)
	})
	c := u.chain(t, Options{Entries: []Entry{{Kind: KindWhoami, Post: "/graphql", Body: query, User: "data.viewer.id"}}})
	for _, token := range []string{"a", "b"} { // over one connection
		wantUser(t, c, request("Authorization", token), "7")
	}
	u.wantLookups(t, 2)
	bare := u.chain(t, Options{Entries: []Entry{{Kind: KindWhoami, Post: "/graphql", User: "id"}}})
	u.set(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			t.Errorf("a POST without a body has %d bytes", r.ContentLength)
		}
		answerJSON(http.StatusOK, `{"id":8}`)(w, r)
	})
	wantUser(t, bare, request("Authorization", "a"), "8")
}

func TestWhoamiAtAnAbsoluteURLIsAskedUnderItsOwnName(t *testing.T) {
	var got *http.Request
	login := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		answerJSON(http.StatusOK, `{"sub":"ann"}`)(w, r)
	}))
	login.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	login.StartTLS()
	defer login.Close()
	entry := Entry{Kind: KindWhoami, Get: login.URL + "/userinfo?x=1", User: "sub", Credentials: []string{"Authorization"}}
	ask := func() *Chain {
		c := newChain(t, Options{Entries: []Entry{entry}})
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	wantError(t, ask(), request("Authorization", "a"), ErrUnavailable) // nobody vouches for its certificate
	if got != nil {
		t.Error("credentials went to a server that proved nothing")
	}
	entry.CA = keyFile(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: login.Certificate().Raw})).File
	wantUser(t, ask(), request("Authorization", "a", "Cookie", "c=1"), "ann")
	if got.Host != strings.TrimPrefix(login.URL, "https://") || got.RequestURI != "/userinfo?x=1" || got.Header.Get("Authorization") != "a" ||
		got.Header.Get("Cookie") != "" || got.Header.Get("X-Forwarded-Host") != "" {
		t.Errorf("it was asked %s %s with %v", got.Host, got.RequestURI, got.Header)
	}
}

func TestAWhoamiThatLeavesOpenWhatToAskIsRefused(t *testing.T) {
	for name, entry := range map[string]Entry{
		"neither":             {},
		"both":                {Get: "https://a.example/me", Post: "https://a.example/me"},
		"a body with get":     {Get: "https://a.example/me", Body: "{}"},
		"a body that is text": {Post: "https://a.example/me", Body: "x"},
		"no host":             {Get: "https:///me"},
		"another scheme":      {Get: "file:///etc/passwd"},
		"a missing file":      {Get: "https://a.example/me", CA: "/does/not/exist"},
		"Basic elsewhere":     {Kind: KindBasic, Get: "https://a.example/me"},
		"a key elsewhere":     {Kind: KindKey, Header: "X-Api-Key", Secret: keyFile(t, []byte(hmacSecret)), Get: "https://a.example/me"},
		"no certificate":      {Get: "https://a.example/me", CA: keyFile(t, []byte("x")).File},
	} {
		if entry.User = "id"; entry.Kind == "" {
			entry.Kind = KindWhoami
		}
		if _, err := New(Options{Entries: []Entry{entry}}); err == nil {
			t.Errorf("%s: New took it", name)
		}
	}
}

func TestAskingWithoutTLSElsewhereIsWarnedOf(t *testing.T) {
	for where, warned := range map[string]bool{"http://a.example/me?k=s3cret": true, "https://a.example/me": false} {
		var log bytes.Buffer
		entry := Entry{Kind: KindWhoami, Get: where, User: "id"}
		_ = newChain(t, Options{Entries: []Entry{entry}, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if got := strings.Contains(log.String(), "without TLS"); got != warned || strings.Contains(log.String(), "s3cret") {
			t.Errorf("%s: the log is %q", where, log.String())
		}
	}
}

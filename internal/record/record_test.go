package record

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/identity"
	"github.com/hookproxy/hookproxy/internal/har"
	"github.com/hookproxy/hookproxy/internal/replay"
	"github.com/hookproxy/hookproxy/proxy"
	"github.com/hookproxy/hookproxy/rules"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const source = `
rules:
  - {on: "POST|PUT|PATCH|DELETE /{kind}/{id}", emit: thing.change}
  - {on: "POST /{kind}/{id}", emit: thing.said, payload: request.body}
`

const maxBody = 4 << 10

// studio is a proxy with a recorder, before an upstream.
type studio struct {
	t        testing.TB
	recorder *Recorder
	writer   *har.Writer
	path     string
	log      bytes.Buffer
	front    *httptest.Server
	proxy    *proxy.Proxy
	file     *rules.File
	live     []events.Event
}

// Publish remembers what the live proxy makes of the traffic.
func (s *studio) Publish(_ context.Context, batch []events.Event) error {
	for _, e := range batch {
		e.Payload = bytes.Clone(e.Payload)
		s.live = append(s.live, e)
	}
	return nil
}

func newStudio(t testing.TB, answer http.HandlerFunc) *studio {
	t.Helper()
	s := &studio{t: t, path: filepath.Join(t.TempDir(), "session.har")}
	var err error
	if s.file, err = rules.Parse("rules.yaml", []byte("capture: {max_body: 4096}"+source)); err != nil {
		t.Fatal(err)
	}
	if s.writer, err = har.Create(s.path, 0, har.Creator{}, ""); err != nil {
		t.Fatal(err)
	}
	s.recorder = New(Options{Writer: s.writer, Log: slog.New(slog.NewTextHandler(&s.log, nil))})
	everybody, err := identity.New(identity.Options{Entries: []identity.Entry{{Kind: identity.KindAnonymous, User: "42"}}})
	if err != nil {
		t.Fatal(err)
	}
	s.recorder.Follow(Following{Callers: everybody, Headers: []string{"X-Tenant-Card"}, Parameters: []string{"card"}, MaxBody: maxBody})
	upstream := httptest.NewServer(answer)
	t.Cleanup(upstream.Close)
	at, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := proxy.NewTransport(proxy.TransportOptions{})
	t.Cleanup(transport.CloseIdleConnections)
	s.proxy, err = proxy.New(proxy.Options{
		Upstream: at, Transport: s.recorder.Transport(transport), Publisher: s,
		Ruling: proxy.Ruling{Rules: s.file, Identity: everybody},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.front = httptest.NewServer(s.proxy)
	t.Cleanup(s.front.Close)
	return s
}

// send sends one request and answers the client's view.
func (s *studio) send(method, target string, h http.Header, body io.Reader) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.front.URL+target, body)
	if err != nil {
		s.t.Fatal(err)
	}
	for name, values := range h {
		r.Header[name] = values
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	res, err := client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return res.StatusCode, err.Error()
	}
	return res.StatusCode, string(got)
}

// cut ends the recording and answers its text and what it says.
func (s *studio) cut() (string, *har.Log) {
	s.t.Helper()
	s.front.Close()
	if err := s.proxy.Wait(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	ended, end := context.WithCancel(context.Background())
	end()
	if err := s.recorder.Run(ended); err != nil {
		s.t.Fatal(err)
	}
	_ = s.writer.Close() // a test may have closed it
	text, err := os.ReadFile(s.path)
	if err != nil {
		s.t.Fatal(err)
	}
	log, err := har.Read(bytes.NewReader(text))
	if err != nil || log.CutOff {
		s.t.Fatalf("%v in %s", err, text)
	}
	return string(text), log
}

func TestNoCredentialOrSecretIsInTheRecording(t *testing.T) {
	s := newStudio(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Add("Set-Cookie", "sid=S3CRET-1; Path=/; HttpOnly")
		w.Header().Set("X-Csrf-Token", "S3CRET-2")
		w.Header().Set("Location", "https://me:S3CRET-3@api/x?access_token=S3CRET-4&page=2#id_token=S3CRET-5")
		_, _ = io.WriteString(w, `{"id":7,"refresh_token":"S3CRET-6","nested":[{"password":"S3CRET-7"}]}`)
	})
	s.send("POST", "/a/1?api_key=S3CRET-8&page=2&card=S3CRET-9&sig=S3CRET-10", http.Header{
		"Authorization": {"Bearer S3CRET-11"}, "Cookie": {"theme=S3CRET-12; sid=S3CRET-13"}, "X-Api-Key": {"S3CRET-14"}, "X-Tenant-Card": {"S3CRET-15"},
		"Content-Type": {"application/json"}, "Idempotency-Key": {"keep-me"},
	}, strings.NewReader(`{"client_secret":"S3CRET-16","name":"Ada"}`))
	s.send("POST", "/a/1", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, strings.NewReader("password=S3CRET-17&name=Ada&pass%77ord=S3CRET-18"))
	s.send("POST", "/a/1", http.Header{"Content-Type": {"text/html"}}, strings.NewReader("<input name=csrf value=S3CRET-19>"))
	s.send("POST", "/a/1", http.Header{"Content-Type": {"application/json"}}, strings.NewReader(`{"password":"S3CRET-20" oops`))
	s.send("POST", "/a/1", http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}, strings.NewReader("--b\r\n\r\nS3CRET-21\r\n--b--"))
	s.send("POST", "/a/1", http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"x-strange"}}, strings.NewReader(`S3CRET-22`))
	text, log := s.cut()
	if strings.Contains(text, "S3CRET") {
		t.Errorf("a secret is in:\n%s", text)
	}
	if len(log.Entries) != 6 {
		t.Fatalf("%d entries", len(log.Entries))
	}
	for _, kept := range []string{"keep-me", `\"name\":\"Ada\"`, "name=Ada", "page=2", "/a/1"} {
		if !strings.Contains(text, kept) {
			t.Errorf("%s is missing from:\n%s", kept, text)
		}
	}
	if e := log.Entries[0]; e.User != "42" || e.Own || e.Request.Header.Get("Host") == "" || e.Request.URL.Query().Get("page") != "2" {
		t.Errorf("%+v", e)
	}
}

func TestCredentialsOfAnIdentityThatComesLaterAreRedactedBesideTheOthers(t *testing.T) {
	s := newStudio(t, func(http.ResponseWriter, *http.Request) {})
	everybody, err := identity.New(identity.Options{Entries: []identity.Entry{{Kind: identity.KindAnonymous, User: "43"}}})
	if err != nil {
		t.Fatal(err)
	}
	s.recorder.Follow(Following{Callers: everybody, Headers: []string{"X-Badge"}, Parameters: []string{"ticket"}, MaxBody: maxBody})
	s.send("POST", "/x?ticket=S3CRET-1&card=S3CRET-2", http.Header{"X-Badge": {"S3CRET-3"}, "X-Tenant-Card": {"S3CRET-4"}}, nil)
	text, log := s.cut()
	if strings.Contains(text, "S3CRET") || len(log.Entries) != 1 || log.Entries[0].User != "43" {
		t.Errorf("recorded:\n%s", text)
	}
}

func TestTheSameCredentialIsTheSamePseudonym(t *testing.T) {
	s := newStudio(t, func(http.ResponseWriter, *http.Request) {})
	for _, token := range []string{"a", "b", "a"} {
		s.send("GET", "/x", http.Header{"Authorization": {"Bearer " + token}}, nil)
	}
	_, log := s.cut()
	var seen []string
	for _, e := range log.Entries {
		seen = append(seen, e.Request.Header.Get("Authorization"))
	}
	if len(seen) != 3 || seen[0] != seen[2] || seen[0] == seen[1] || !strings.HasPrefix(seen[0], "Bearer redacted-") {
		t.Error(seen)
	}
}

// shape is how an upstream answers.
type shape struct {
	status  int
	h       http.Header
	body    string
	chunked bool
}

func shapesOfBodies() []shape {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(w, `{"id":1, "token":"t", "text":"ä"}`)
	_ = w.Close()
	large := `{"text":"` + strings.Repeat("a", maxBody) + `"}`
	return []shape{
		{201, http.Header{"Content-Type": {"application/json"}}, "{\"id\": 1,\n \"b\": [1.0, 1e3], \"<\":\"\\u2028\u2028\"}\n", false},
		{200, http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}, zipped.String(), true},
		{200, http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}, "not zipped", false},
		{200, http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"x-strange"}}, "{}", false},
		{200, http.Header{"Content-Type": {"application/json; charset=iso-8859-1"}}, "{\"a\":\"\xe4\"}", false},
		{200, http.Header{"Content-Type": {"application/json; charset=utf-16le"}}, "{\x00}\x00", false},
		{200, http.Header{"Content-Type": {"application/json"}}, "{\"a\":\"\xff\"}", false},
		{200, http.Header{"Content-Type": {"application/json"}}, "\xef\xbb\xbf{\"a\":1}", false},
		{200, http.Header{"Content-Type": {"application/json"}}, `{"a":1} trailing`, false},
		{200, http.Header{"Content-Type": {"application/json"}}, large, false},
		{200, http.Header{"Content-Type": {"application/json"}}, large, true},
		{200, http.Header{"Content-Type": {"text/html"}}, `<html>`, false},
		{200, http.Header{"Content-Type": {"text/html"}}, `{"id":5}`, false},
		{201, http.Header{"Location": {"/a/9"}}, ``, false},
		{204, http.Header{}, ``, false},
		{202, http.Header{"Content-Type": {"application/json"}}, `{}`, false},
		{404, http.Header{"Content-Type": {"application/json"}}, `{}`, false},
	}
}

// Whatever shape a body has, the recording makes the events that were live.
func TestOfEveryShapeOfBodyTheRecordingMakesTheSameEvents(t *testing.T) {
	shapes := shapesOfBodies()
	s := newStudio(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		var i int
		_, _ = fmt.Sscanf(r.URL.Path, "/a/%d", &i)
		shape := shapes[i]
		for name, values := range shape.h {
			w.Header()[name] = values
		}
		w.WriteHeader(shape.status)
		if shape.chunked {
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = io.WriteString(w, shape.body)
	})
	for i, shape := range shapes {
		h := http.Header{"Content-Type": {"application/json"}}
		if shape.h.Get("Content-Encoding") != "" {
			h = shape.h
		}
		s.send("POST", fmt.Sprintf("/a/%d", i), h, strings.NewReader(shape.body))
	}
	_, log := s.cut()
	done, err := replay.Run(t.Context(), replay.Options{Rules: s.file, Recording: log.Entries})
	if err != nil {
		t.Fatal(err)
	}
	var live, again []string
	for _, e := range s.live {
		live = append(live, shown(e))
	}
	for _, x := range done {
		for _, o := range x.Outcomes {
			if o.Skipped == "" {
				again = append(again, shown(o.Event))
			}
		}
	}
	if len(done) != len(shapes) || len(live) < len(shapes) || !slices.Equal(live, again) {
		t.Errorf("live:\n%s\nof the recording:\n%s", strings.Join(live, "\n"), strings.Join(again, "\n"))
	}
}

func shown(e events.Event) string {
	return fmt.Sprintf("%s %s %s %q omitted=%s redacted=%v parked=%s", e.Name, e.User, e.Resource, e.Payload, e.Omitted, e.Redacted, e.Parked)
}

func TestTrafficIsForwardedUnharmed(t *testing.T) {
	s := newStudio(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cut":
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "half")
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: S3CRET\n\n")
		case "/trailer":
			w.Header().Set("Trailer", "X-Sum")
			_, _ = io.WriteString(w, "body")
			w.Header().Set("X-Sum", "1")
		default:
			_, _ = io.Copy(w, r.Body)
		}
	})
	long := strings.Repeat("x", 1<<20)
	for _, c := range []struct {
		method, path string
		body         io.Reader
		want         string
	}{
		{"GET", "/plain", nil, ""},
		{"POST", "/echo", strings.NewReader(long), long},
		{"POST", "/echo", iotest.OneByteReader(strings.NewReader("chunked")), "chunked"},
		{"GET", "/cut", nil, "unexpected EOF"},
		{"GET", "/events", nil, "data: S3CRET\n\n"},
		{"GET", "/trailer", nil, "body"},
		{"HEAD", "/head", nil, ""},
	} {
		if status, got := s.send(c.method, c.path, nil, c.body); status != http.StatusOK || got != c.want {
			t.Errorf("%s %s: %d %.40q, want %.40q", c.method, c.path, status, got, c.want)
		}
	}
	text, log := s.cut()
	if len(log.Entries) != 7 || strings.Contains(text, "S3CRET") {
		t.Errorf("%d entries:\n%s", len(log.Entries), text)
	}
	if e := log.Entries[3]; e.Response.Omitted != "truncated" {
		t.Errorf("%+v", e.Response)
	}
	if held := s.recorder.held.Load(); held != 0 {
		t.Errorf("%d bytes are held still", held)
	}
}

func TestWithoutRoomTrafficGoesOnUnrecorded(t *testing.T) {
	s := newStudio(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ok") })
	for range maxQueued + 3 { // nobody writes yet
		if status, got := s.send("GET", "/x", nil, nil); status != http.StatusOK || got != "ok" {
			t.Fatal(status, got)
		}
	}
	_, log := s.cut()
	if len(log.Entries) != maxQueued || !strings.Contains(s.log.String(), "exchanges=3") {
		t.Errorf("%d entries, log %s", len(log.Entries), &s.log)
	}
}

func TestAFailingFileEndsTheRecordingAndNothingElse(t *testing.T) {
	s := newStudio(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ok") })
	if err := s.writer.Close(); err != nil {
		t.Fatal(err)
	}
	s.send("GET", "/x", nil, nil)
	s.send("GET", "/x", nil, nil)
	_, log := s.cut()
	if len(log.Entries) != 0 || strings.Count(s.log.String(), "cannot be written") != 1 || !s.recorder.stopped.Load() {
		t.Errorf("%d entries, log %s", len(log.Entries), &s.log)
	}
}

// panics is an identity with a bug.
type panics struct{}

func (panics) Ask(*http.Request) *identity.Question { panic("S3CRET") }

func TestABugInTheRecorderHarmsNoTraffic(t *testing.T) {
	s := newStudio(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ok") })
	s.recorder.Follow(Following{Callers: panics{}, MaxBody: maxBody})
	if status, got := s.send("POST", "/x", nil, nil); status != http.StatusOK || got != "ok" {
		t.Error(status, got)
	}
	_, log := s.cut()
	if len(log.Entries) != 1 || !strings.Contains(s.log.String(), "panic survived") || strings.Contains(s.log.String(), "S3CRET") {
		t.Errorf("%d entries, log %s", len(log.Entries), &s.log)
	}
}

package subscriptions

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/identity"
	"github.com/hookproxy/hookproxy/internal/redistest"
)

const good = `"target_url":"https://hooks.example/a"`

func TestABadBodyIsRefusedFieldByField(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	for body, want := range map[string][]string{
		`{}`:                            {"event", "target_url"},
		`{"event":"contact.create"}`:    {"target_url"},
		`{"event":"nope",` + good + `}`: {"event"},
		`{"event":"",` + good + `}`:     {"event"},
		`{"event":"contact.create\u0000",` + good + `}`:                         {"event"},
		`{"event":["contact.create"],` + good + `}`:                             {"event"},
		`{"event":null,` + good + `}`:                                           {"event"},
		`{"event":1,"target_url":{},"format":[],"active":"true"}`:               {"event", "target_url", "format", "active"},
		`{"event":"deal.won",` + good + `,"format":"xml"}`:                      {"format"},
		`{"event":"deal.won",` + good + `,"format":""}`:                         {"format"},
		`{"event":"deal.won",` + good + `,"active":1}`:                          {"active"},
		`{"event":"deal.won",` + good + `,"active":null}`:                       {"active"},
		`{"event":"deal.won",` + good + `,"Active":true}`:                       {"Active"},
		`{"event":"deal.won",` + good + `,"secret":"x","id":"1","user":"bob"}`:  {"secret", "id", "user"},
		`{"event":"deal.won","event":"deal.won",` + good + `}`:                  {"event"},
		`{"event":"deal.won","\u0065vent":"nope",` + good + `}`:                 {"event"},
		`{"event":"nope","target_url":"ftp://x/","a":1}`:                        {"event", "target_url", "a"},
		`{"event":"deal.won","target_url":"http://127.0.0.1/"}`:                 {"target_url"},
		`{"event":"deal.won","target_url":"http://[::ffff:10.0.0.1]/"}`:         {"target_url"},
		`{"event":"deal.won","target_url":"http://169.254.169.254/latest"}`:     {"target_url"},
		`{"event":"deal.won","target_url":"http://u:p@hooks.example/"}`:         {"target_url"},
		`{"event":"deal.won","target_url":"https://hooks.example/\r\nX: y"}`:    {"target_url"},
		`{"event":"deal.won",` + good + `,"` + strings.Repeat("k", 90) + `":1}`: {strings.Repeat("k", 64)},
		`{"event":"deal.won",` + good + `,"x":` + nested("[", "]", 5000) + `}`:  {"x"},
		`{"event":` + nested(`{"a":`, "}", 5000, "1") + `,` + good + `}`:        {"event"},
		`[]`: {""}, `null`: {""}, `"event"`: {""}, `42`: {""}, `true`: {""}, `[{"event":"deal.won",` + good + `}]`: {""},
	} {
		r.send(t, "ann", "POST", base, body).wantProblem(t, 422, "invalid", want...)
	}
	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, `,"f%d":%d`, i, i)
	}
	r.send(t, "ann", "POST", base, `{"event":"deal.won"`+many.String()+`}`).wantProblem(t, 422, "invalid", "")
	if keys := r.keys(t); len(keys) != 0 {
		t.Errorf("bad bodies left %q in Redis", keys)
	}
}

// nested puts a value into as many brackets.
func nested(left, right string, depth int, inner ...string) string {
	return strings.Repeat(left, depth) + strings.Join(inner, "") + strings.Repeat(right, depth)
}

func TestABodyThatIsNotJSONIsMalformed(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	whole := `{"event":"deal.won",` + good + `}`
	for _, body := range []string{
		"{", `{"event":"deal.won",` + good + `,}`, `{"event":"deal.won" ` + good + `}`, `{event:"deal.won"}`, `{'event':'x'}`, whole + "x", whole + whole,
		"\ufeff" + whole, strings.Replace(whole, "deal", "\xff", 1), `{"event":"\x"}`, `{"event":"` + "\n" + `"}`, nested("[", "]", 20_000), " ", "event=deal.won",
	} {
		r.send(t, "ann", "POST", base, body).wantProblem(t, 400, "malformed")
	}
	r.send(t, "ann", "POST", base, "", "Content-Type", "application/json").wantProblem(t, 400, "malformed")
}

func TestOnlyPlainJSONInUTF8IsTaken(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	body := `{"event":"deal.won",` + good + `}`
	for _, contentType := range []string{
		"", "text/plain", "application/x-www-form-urlencoded", "text/json", "application/jsonp", "json", "application/json; charset=latin1", "application/json; charset",
	} {
		r.send(t, "ann", "POST", base, body, "Content-Type", contentType).wantProblem(t, 415, "unsupported-media-type")
	}
	r.send(t, "ann", "POST", base, body, "Content-Encoding", "gzip").wantProblem(t, 415, "unsupported-media-type")
	for i, contentType := range []string{"application/json", "Application/JSON; charset=UTF-8", "application/vnd.api+json"} {
		r.send(t, "ann", "POST", base, strings.Replace(body, "/a", fmt.Sprint("/", i), 1), "Content-Type", contentType).want(t, 201)
	}
}

func TestABodyOver64KiBIsTooLarge(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	body := `{"event":"deal.won",` + good + `}`
	r.send(t, "ann", "POST", base, body+strings.Repeat(" ", maxBody-len(body))).want(t, 201)
	r.send(t, "ann", "POST", base, body+strings.Repeat(" ", maxBody-len(body)+1)).wantProblem(t, 413, "too-large")
	r.send(t, "ann", "PUT", base+"x", strings.Repeat("[", 10*maxBody)).wantProblem(t, 413, "too-large")
}

func TestAnotherMethodIsToldTheAllowedOnes(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	id := r.subscribe(t, "ann").ID
	for path, allow := range map[string]string{
		base: "GET, HEAD, POST", base + id: "DELETE, GET, HEAD, PATCH, PUT", base + id + "/": "DELETE, GET, HEAD, PATCH, PUT", "/api/v1/event": "GET, HEAD",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "BREW"} {
			if slices.Contains(strings.Split(allow, ", "), method) {
				continue
			}
			got := r.send(t, "ann", method, path, "")
			got.wantProblem(t, 405, "method-not-allowed")
			if got.header.Get("Allow") != allow {
				t.Errorf("%s %s allows %q, want %q", method, path, got.header.Get("Allow"), allow)
			}
		}
	}
}

// upstreamIdentity asks an upstream that always answers the same.
func upstreamIdentity(t *testing.T, answer http.HandlerFunc) Identifier {
	t.Helper()
	upstream := httptest.NewServer(answer)
	transport := &http.Transport{}
	t.Cleanup(func() { transport.CloseIdleConnections(); upstream.Close() })
	target, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := identity.New(identity.Options{
		Upstream: target, Transport: transport, Entries: []identity.Entry{{Kind: identity.KindWhoami, Get: "/me", User: "id"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

// everywhere calls each method of each endpoint without X-User.
func (r *rig) everywhere(t *testing.T, headers []string, check func(method, path string, a answer)) {
	t.Helper()
	for _, path := range []string{base, base + "0-01jd0000000000000000000000", "/api/v1/event/"} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			if a := r.send(t, "", method, path, `{"event":"deal.won",`+good+`}`, headers...); a.status != 405 {
				check(method, path, a)
			}
		}
	}
}

func TestWithoutAKnownCallerNothingIsAnswered(t *testing.T) {
	s := redistest.Mini(t)
	newRig(t, s).everywhere(t, nil, func(method, path string, a answer) {
		a.wantProblem(t, 401, "unauthenticated")
		if a.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s %s asks for %q", method, path, a.header["Www-Authenticate"])
		}
	})
	refuse := upstreamIdentity(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Www-Authenticate"] = []string{`Token realm="crm"`, `Basic realm="crm"`}
		w.WriteHeader(http.StatusUnauthorized)
	})
	r := newRig(t, s, func(o *HandlerOptions) { o.Identity = refuse })
	r.everywhere(t, []string{"Authorization", "Token x"}, func(method, path string, a answer) {
		a.wantProblem(t, 401, "unauthenticated")
		if got := a.header["Www-Authenticate"]; !slices.Equal(got, []string{`Token realm="crm"`, `Basic realm="crm"`}) {
			t.Errorf("%s %s asks for %q", method, path, got)
		}
	})
	if keys := r.keys(t); len(keys) != 0 {
		t.Errorf("strangers left %q in Redis", keys)
	}
}

func TestWhereIdentityCannotBeAskedNothingIsAnswered(t *testing.T) {
	down := upstreamIdentity(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	r := newRig(t, redistest.Mini(t), func(o *HandlerOptions) { o.Identity = down })
	r.everywhere(t, []string{"Authorization", "Token s3cret"}, func(_, _ string, a answer) {
		a.wantProblem(t, 503, "identity-unavailable")
		if a.header.Get("Retry-After") != "5" {
			t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
		}
	})
	if log := r.log.String(); !strings.Contains(log, "upstream answered 502") || strings.Contains(log, "s3cret") {
		t.Errorf("the log is:\n%s", log)
	}
}

func TestWithRedisAwayTheEndpointsSaySo(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		client := redis.NewClient(&redis.Options{Addr: s.Addr, Protocol: 2, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true})
		defer client.Close()
		r := newRig(t, s, func(o *HandlerOptions) { o.Store = NewStore(StoreOptions{Client: client}) })
		made := r.subscribe(t, "ann")
		s.Stop(t)
		body := `{"event":"deal.won",` + good + `}`
		for _, call := range [][3]string{{"GET", base}, {"POST", base, body}, {"GET", base + made.ID}, {"PUT", base + made.ID, body}, {"PATCH", base + made.ID, body}, {"DELETE", base + made.ID}} {
			got := r.send(t, "ann", call[0], call[1], call[2])
			got.wantProblem(t, 503, "store-unavailable")
			if got.header.Get("Retry-After") != "5" || strings.Contains(got.body, s.Addr) {
				t.Errorf("%s %s: %+v", call[0], call[1], got)
			}
		}
		r.send(t, "ann", "GET", "/api/v1/event/", "").want(t, 200)
		s.Start(t)
		// The client finds out by itself, within a second; nothing tells us.
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for tries := 0; r.send(t, "ann", "GET", base+made.ID, "").status != 200; tries++ {
			if tries == 500 {
				t.Fatal("Redis is back, and subscriptions are still unavailable")
			}
			<-tick.C
		}
	})
}

func TestAPageOfAnotherOriginCannotUseABrowsersCredentials(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	body := `{"event":"deal.won",` + good + `}`
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site", "Cookie", "session=1"}, {"Origin", "https://evil.example"},
		{"Origin", "null"}, {"Sec-Fetch-Site", "cross-site", "Authorization", "Basic YTpi"}, {"Origin", "https://evil.example", "Authorization", "negotiate x"},
	} {
		r.send(t, "ann", "POST", base, body, headers...).wantProblem(t, 403, "cross-origin")
	}
	for i, headers := range [][]string{
		{"Sec-Fetch-Site", "same-origin", "Cookie", "session=1"}, {"Origin", r.URL}, {"Sec-Fetch-Site", "none"},
		{"Sec-Fetch-Site", "cross-site", "Authorization", "Bearer x"},
	} {
		r.send(t, "ann", "POST", base, strings.Replace(body, "/a", fmt.Sprint("/", i), 1), headers...).want(t, 201)
	}
	r.send(t, "ann", "GET", base, "", "Sec-Fetch-Site", "cross-site").want(t, 200)
}

func TestTheHundredAndFirstSubscriptionIsRefused(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	for i := range DefaultMaxPerUser {
		r.send(t, "ann", "POST", base, fmt.Sprintf(`{"event":"deal.won","target_url":"https://hooks.example/%d"}`, i)).want(t, 201)
	}
	refused := r.send(t, "ann", "POST", base, `{"event":"deal.won",`+good+`}`)
	if p := refused.wantProblem(t, 422, "too-many-subscriptions"); !strings.Contains(p.Detail, "100") {
		t.Errorf("the detail is %q", p.Detail)
	}
	r.subscribe(t, "bob")
}

func TestTheLogHoldsNoSecretsAndTheMetricsNoMethodsOfAClients(t *testing.T) {
	m := NewMetrics(prometheus.NewRegistry())
	r := newRig(t, redistest.Mini(t), func(o *HandlerOptions) { o.Metrics = m })
	var made resource
	r.send(t, "ann", "POST", base, `{"event":"deal.won","target_url":"https://Hooks.example/s3cret/path?token=s3cret"}`).want(t, 201).into(t, &made)
	r.send(t, "ann", "PUT", base+made.ID, `{"event":"deal.won","target_url":"https://hooks.example/s3cret"}`).want(t, 200)
	r.send(t, "ann", "DELETE", base+made.ID, "").want(t, 204)
	r.send(t, "ann", "BREW", base, "").want(t, 405)
	log := r.log.String()
	if strings.Count(log, "\n") != 3 || strings.Count(log, "subscription="+made.ID+" user=ann event=deal.won active=true target_host=hooks.example\n") != 3 {
		t.Errorf("the log is not one line a change:\n%s", log)
	}
	if strings.Contains(log, "s3cret") || strings.Contains(log, made.Secret) {
		t.Errorf("a secret is in the log:\n%s", log)
	}
	for labels, want := range map[[2]string]float64{{"POST", "201"}: 1, {"PUT", "200"}: 1, {"DELETE", "204"}: 1, {"other", "405"}: 1} {
		if got := testutil.ToFloat64(m.requests.WithLabelValues(labels[:]...)); got != want {
			t.Errorf("%v requests are %v, want %v", got, labels, want)
		}
	}
}

func TestABodyThatBreaksOffStoresNothing(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	conn, err := net.Dial("tcp", r.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"event":"deal.won",` + good + `}`
	_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nX-User: ann\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", base, len(body)+1, body)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil {
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body)
		if res.StatusCode < 400 {
			t.Errorf("it was answered %d", res.StatusCode)
		}
	}
	if keys := r.keys(t); len(keys) != 0 {
		t.Errorf("it left %q in Redis", keys)
	}
}

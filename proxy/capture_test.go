package proxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/rules"
)

// created answers like an API that has made a contact.
func created(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, body)
	}
}

// post sends a contact and answers what comes back.
func (s *stand) post(t testing.TB, path string) (*http.Response, string) {
	t.Helper()
	res, err := s.client.Post(s.url+path, "application/json", strings.NewReader(`{"name":"Ann"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestAMatchedWriteIsAnEventWithTheResponseAsPayload(t *testing.T) {
	body := `{"id": 7,  "name":"<Ann & Bob>", "n": 12345678901234567890}`
	s, p := capturing(t, contacts, serve(t, created(body)), nil)
	if res, got := s.post(t, "/contacts/"); res.StatusCode != http.StatusCreated || got != body {
		t.Fatalf("the client got %d %q", res.StatusCode, got)
	}
	e := p.one(t)
	if e.Name != "contact.create" || e.User != "42" || e.Resource != "7" || string(e.Payload) != body || e.ID == "" || e.Time.IsZero() || e.Omitted != "" || e.Parked != "" {
		t.Fatalf("published %+v with %s", e, e.Payload)
	}
	eventually(t, s.proxy.metrics.events.WithLabelValues(resultPublished, ""), 1)
	eventually(t, s.proxy.metrics.matches, 1)
	eventually(t, s.proxy.metrics.budget, 0)
	if log := s.log.String(); !strings.Contains(log, "events=[contact.create] result=published") || strings.Contains(log, "Ann") {
		t.Fatal(log)
	}
}

func TestTheClientHasNothingBeforeTheEventIsSafe(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"with a length": created(`{"id":7}`),
		"chunked": func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, `{"id":7}`)
		},
		"no content": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	} {
		t.Run(name, func(t *testing.T) {
			s, p := capturing(t, named, serve(t, answer), nil)
			p.entered, p.release = make(chan struct{}), make(chan struct{})
			conn := dial(t, s.addr)
			fmt.Fprint(conn, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			first := make(chan error, 1)
			go func() { // ends with the first byte
				_, err := conn.Read(make([]byte, 1))
				first <- err
			}()
			receive(t, p.entered)
			select {
			case <-first:
				t.Fatal("the client has something already")
			default:
			}
			close(p.release)
			if err := receive(t, first); err != nil {
				t.Fatal(err)
			}
			p.one(t)
		})
	}
}

func TestABodyThatIsNotWholeIsLeftOutAndStreamsOn(t *testing.T) {
	big := `{"id":7,"x":"` + strings.Repeat("y", 5000) + `"}`
	limits := func(settings string) string {
		return "capture: {" + settings + "}\n" + named
	}
	chunked := func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		created(big)(w, r)
	}
	for name, c := range map[string]struct {
		rules   string
		answer  http.HandlerFunc
		omitted string
	}{
		"too large":          {limits("max_body: 4096"), created(big), omittedTooLarge},
		"too large, chunked": {limits("max_body: 4096"), chunked, omittedTooLarge},
		"just small enough":  {limits(fmt.Sprintf("max_body: %d", len(big))), created(big), ""},
		"one byte too large": {limits(fmt.Sprintf("max_body: %d", len(big)-1)), chunked, omittedTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			s, p := capturing(t, c.rules, serve(t, c.answer), nil)
			if _, got := s.post(t, "/x"); got != big {
				t.Fatalf("the client got %d bytes of %d", len(got), len(big))
			}
			if e := p.one(t); e.Omitted != c.omitted || (c.omitted == "") != (string(e.Payload) == big) {
				t.Fatalf("published %+v", e)
			}
			eventually(t, s.proxy.metrics.budget, 0)
		})
	}
}

func TestOverTheBudgetResponsesStreamOn(t *testing.T) {
	body := `{"id":7}`
	s, p := capturing(t, contacts, serve(t, created(body)), nil)
	rest := lease{budget: &s.proxy.budget, most: rules.DefaultBudget}
	if !rest.grow(rules.DefaultBudget - 5) {
		t.Fatal("there is no budget at all")
	}
	if _, got := s.post(t, "/contacts"); got != body {
		t.Fatalf("the client got %q", got)
	}
	if e := p.one(t); e.Omitted != omittedBudget || e.Payload != nil || e.Parked != rules.ParkedResourceUnknown {
		t.Fatalf("published %+v", e)
	}
	rest.release()
	if s.post(t, "/contacts"); p.one(t).Omitted != "" {
		t.Fatal("the budget was not given back")
	}
}

func TestASlowClientHoldsTheBudgetOnlyForWhatItHasNotHad(t *testing.T) {
	s, p := capturing(t, "capture: {max_body: 4096}\n"+named, serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, strings.Repeat(" ", 4096))
		}
	}), nil)
	res, err := s.client.Get(s.url + "/x")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() // the download goes on until here
	if _, err := io.ReadFull(res.Body, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	eventually(t, s.proxy.metrics.budget, 0)
	if e := p.one(t); e.Omitted != omittedTooLarge {
		t.Fatalf("published %+v", e)
	}
}

func TestResponsesThatAreNoEventAreNotTouched(t *testing.T) {
	for name, c := range map[string]struct {
		method, contentType string
		status              int
	}{
		"error":     {"POST", "application/json", 422},
		"sse":       {"POST", "text/event-stream; charset=utf-8", 200},
		"grpc":      {"POST", "application/grpc+proto", 200},
		"ndjson":    {"POST", "application/x-ndjson", 200},
		"multipart": {"POST", "Multipart/Mixed; boundary=x", 200},
		"head":      {"HEAD", "application/json", 200},
		"options":   {"OPTIONS", "application/json", 200},
		"unmatched": {"PUT", "application/json", 200},
	} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", c.contentType)
				w.WriteHeader(c.status)
				_ = http.NewResponseController(w).Flush()
				<-release // the client must have the headers by now
			})
			s, p := capturing(t, "rules: [{on: POST /x, emit: x.y}]", upstream, nil)
			r, _ := http.NewRequestWithContext(t.Context(), c.method, s.url+"/x", nil)
			res, err := s.client.Do(r)
			if err != nil || res.StatusCode != c.status {
				t.Fatalf("%v, %v", res, err)
			}
			close(release)
			res.Body.Close()
			p.none(t)
		})
	}
}

func TestHEADAndOPTIONSAreNotEvenLookedUp(t *testing.T) {
	s, _ := capturing(t, contacts, serve(t, created("")), nil)
	s.proxy.ruling.Load().match = func(x *exchange) (matcher, rules.CaptureSettings) {
		t.Error("looked up ", x.inbound.Method)
		return nil, rules.CaptureSettings{}
	}
	for _, method := range []string{http.MethodHead, http.MethodOptions} {
		r, _ := http.NewRequestWithContext(t.Context(), method, s.url+"/contacts", nil)
		res, err := s.client.Do(r)
		if err != nil || res.StatusCode != http.StatusCreated {
			t.Fatalf("%v, %v", res, err)
		}
		res.Body.Close()
	}
}

func TestRulesReadTheRequestBodyWhereItCanBeRead(t *testing.T) {
	const rule = "capture: {max_body: 4096}\nrules: [{on: POST /x, emit: x.y, resource: request.header.X-Id, payload: request.body}]"
	for name, c := range map[string]struct {
		contentType, encoding string
		body                  []byte
		want, omitted         string
	}{
		"json":      {"application/json", "", []byte(`{"a":1}`), `{"a":1}`, ""},
		"gzip":      {"application/json", "gzip", encode(t, "gzip", []byte(`{"a":1}`)), `{"a":1}`, ""},
		"unknown":   {"application/json", "x-own", []byte(`{"a":1}`), "", omittedEncoding},
		"too large": {"application/json", "", bytes.Repeat([]byte(" "), 4097), "", omittedTooLarge},
		"bomb":      {"application/json", "gzip", encode(t, "gzip", make([]byte, 1<<20)), "", omittedTooLarge},
		"multipart": {"multipart/form-data; boundary=x", "", []byte("--x--"), "", rules.OmittedMissing},
	} {
		for _, length := range []bool{true, false} {
			t.Run(fmt.Sprint(name, length), func(t *testing.T) {
				got := make(chan []byte, 1)
				upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					got <- body
					w.WriteHeader(http.StatusCreated)
				})
				s, p := capturing(t, rule, upstream, nil)
				var body io.Reader = bytes.NewReader(c.body)
				if !length {
					body = io.MultiReader(body) // chunked
				}
				r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/x", body)
				r.Header.Set("Content-Type", c.contentType)
				r.Header.Set("Content-Encoding", c.encoding)
				r.Header.Set("X-Id", "7")
				res, err := s.client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				if upstreams := receive(t, got); !bytes.Equal(upstreams, c.body) {
					t.Fatalf("the upstream got %d bytes of %d", len(upstreams), len(c.body))
				}
				if e := p.one(t); string(e.Payload) != c.want || e.Omitted != c.omitted {
					t.Fatalf("published %+v with %s", e, e.Payload)
				}
				eventually(t, s.proxy.metrics.budget, 0)
			})
		}
	}
}

func TestAReplayedRequestIsTheSameEvent(t *testing.T) {
	n := 0
	upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Known") == "" {
			n++
		}
		created(fmt.Sprintf(`{"id":%d}`, n))(w, r)
	})
	s, p := capturing(t, contacts, upstream, nil)
	send := func(key, known string) events.Event {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/contacts", nil)
		if key != "" {
			r.Header.Set("Idempotency-Key", key)
		}
		if known != "" {
			r.Header.Set("X-Known", known)
		}
		res, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return p.one(t)
	}
	first, replay, other, second := send("k", ""), send("k", "yes"), send("l", "yes"), send("k", "")
	if first.ID != replay.ID {
		t.Error("the replay has an id of its own")
	}
	if other.ID == first.ID {
		t.Error("another key has the same id")
	}
	if second.ID == first.ID {
		t.Error("an upstream that ignores the key made a second contact, and its event is taken for the first one's")
	}
	if send("", "").ID == send("", "yes").ID {
		t.Error("two events without a key have the same id")
	}
}

func TestTwoRulesOnOneLineHaveTwoEventsOfAReplayableRequest(t *testing.T) {
	const oneLine = `rules: [{on: POST /contacts, emit: contact.create}, {on: POST /contacts, emit: audit.write}]`
	s, p := capturing(t, oneLine, serve(t, created(`{"id":7}`)), nil)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/contacts", nil)
	r.Header.Set("Idempotency-Key", "k")
	res, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	batch := receive(t, p.batches)
	if len(batch) != 2 || batch[0].ID == batch[1].ID {
		t.Fatalf("published %+v; want two events that dispatch can tell apart", batch)
	}
}

func TestMetricsAndLogTakeNoSecretsFromRequests(t *testing.T) {
	s, p := capturing(t, contacts, serve(t, created(`{"id":1,"secret":"s3cret"}`)), nil)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/contacts?key=s3cret", strings.NewReader(`{"password":"s3cret"}`))
	r.Header.Set("Authorization", "Bearer s3cret")
	res, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if e := p.one(t); !json.Valid(e.Payload) {
		t.Fatalf("published %s", e.Payload)
	}
	eventually(t, s.proxy.metrics.requests.WithLabelValues("201", "POST", kindForwarded), 1)
	if log := s.log.String(); log == "" || strings.Contains(log, "s3cret") {
		t.Fatal(log)
	}
}

package proxy

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/hookproxy/hookproxy/events"
)

// exchangeCase is a request, what the API answers, and what becomes of it.
type exchangeCase struct {
	name    string
	request string // "POST /contacts", and headers a line each
	sent    string // the request's body
	answer  http.HandlerFunc
	want    string // as outcomeOf shows it
}

// answering answers with a status, headers a line each, and a body.
func answering(status int, header, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		setHeader(w.Header(), header)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

const asJSON = "Content-Type: application/json"

// asText answers JSON in a charset.
func asText(charset, body string) http.HandlerFunc {
	return answering(http.StatusOK, asJSON+"; charset="+charset, body)
}

// coded answers JSON under content codings.
func coded(t testing.TB, codings, body string) http.HandlerFunc {
	return answering(http.StatusOK, asJSON+"\nContent-Encoding: "+codings, string(encode(t, codings, []byte(body))))
}

func setHeader(h http.Header, lines string) {
	for line := range strings.Lines(lines) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), ": "); found {
			h.Add(name, value)
		}
	}
}

// do sends a request as exchangeCase writes it, and reads all of the answer. A
// body that breaks off is read as far as it goes.
func (s *stand) do(t testing.TB, request, body string) (*http.Response, string) {
	t.Helper()
	line, header, _ := strings.Cut(request, "\n")
	method, path, _ := strings.Cut(line, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	setHeader(r.Header, header)
	res, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, _ := io.ReadAll(res.Body)
	return res, string(got)
}

// outcomeOf answers what a finished exchange led to: its events, or where there
// are none what was counted instead.
func (s *stand) outcomeOf(t testing.TB, p *publisher) string {
	t.Helper()
	var all []string
	for {
		select {
		case batch := <-p.batches:
			for _, e := range batch {
				all = append(all, showEvent(e))
			}
			continue
		default:
		}
		break
	}
	if all == nil {
		return counted(t, s.proxy.metrics.events)
	}
	return strings.Join(all, "; ")
}

// showEvent answers "name user/resource payload", with what is missing and why.
func showEvent(e events.Event) string {
	s := fmt.Sprintf("%s %s/%s %s", e.Name, e.User, e.Resource, e.Payload)
	if e.Omitted != "" {
		s = strings.TrimSuffix(s, " ") + " omitted:" + e.Omitted
	}
	if e.Parked != "" {
		s = strings.TrimSuffix(s, " ") + " parked:" + e.Parked
	}
	return s
}

// counted answers the label values of every counter that is not zero, sorted:
// "skipped:status".
func counted(t testing.TB, c prometheus.Collector) string {
	t.Helper()
	metrics := make(chan prometheus.Metric, 100)
	c.Collect(metrics)
	close(metrics)
	var all []string
	for metric := range metrics {
		var m dto.Metric
		if err := metric.Write(&m); err != nil {
			t.Fatal(err)
		}
		values := map[string]string{}
		for _, label := range m.GetLabel() {
			values[label.GetName()] = label.GetValue()
		}
		all = append(all, values["result"]+":"+values["reason"])
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// runCases sends each case through a proxy with the rules.
func runCases(t *testing.T, source string, cases []exchangeCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, p := capturing(t, source, serve(t, c.answer), nil)
			s.do(t, c.request, c.sent)
			if got := s.outcomeOf(t, p); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			eventually(t, s.proxy.metrics.budget, 0)
		})
	}
}

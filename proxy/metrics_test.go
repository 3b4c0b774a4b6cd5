package proxy

import (
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestEachRequestIsCountedUnderItsOwnLabels(t *testing.T) {
	m := NewMetrics(prometheus.NewRegistry())
	codes := map[int]string{0: "0", 200: "200", 404: "404", 599: "599", 600: "other", -1: "other"}
	labels := map[string]string{"PURGE": "other", "get": "other"}
	for _, method := range methods {
		labels[method] = method
	}
	want := map[[3]string]float64{}
	for range 3 { // looked up, and remembered
		for _, kind := range []string{kindOwn, kindForwarded} {
			for method, label := range labels {
				for code, text := range codes {
					m.request(&exchange{status: code, kind: kind, inbound: &http.Request{Method: method}}, time.Second)
					want[[3]string{text, label, kind}]++
				}
			}
		}
	}
	for by, n := range want {
		if got := countOf(t, m.requests.WithLabelValues(by[0], by[1], by[2])); got != n {
			t.Errorf("%v: %v, want %v", by, got, n)
		}
	}
}

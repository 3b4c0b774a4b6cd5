package events

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func TestTheMetricsTellWhereEventsAre(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		reg := prometheus.NewRegistry()
		spool := openSpool(t, spoolPath(t), SpoolOptions{})
		p := NewPublisher(Options{Client: newClient(t, s.Addr), Spool: spool, Metrics: NewMetrics(reg)})
		publish(t, p, "a")
		away(p)
		parked := newEvent("c")
		parked.Parked = "user_unknown"
		if err := p.Publish(t.Context(), []Event{newEvent("b"), parked}); err != nil {
			t.Fatal(err)
		}
		spool.queues[0].oldest = time.Now().Add(-time.Hour)
		wantMetrics(t, reg, fmt.Sprintf(`hookproxy_events_published_total{to="redis"} 1
hookproxy_events_published_total{to="spool"} 2
hookproxy_events_parked_total{reason="user_unknown"} 1
hookproxy_events_lost_total 0
hookproxy_spool_events 2
hookproxy_spool_bytes %d
hookproxy_spool_replayed_total 0
hookproxy_publish_seconds_count 2
hookproxy_spool_oldest_seconds 36`, spool.Bytes()))
		run(t, p)
		eventually(t, "the spool is empty", func() bool { return spool.Len() == 0 })
		wantMetrics(t, reg, `hookproxy_spool_events 0
hookproxy_spool_bytes 0
hookproxy_spool_replayed_total 2
hookproxy_spool_refused_total 0
hookproxy_spool_refused_events 0
hookproxy_spool_oldest_seconds 0`)
	})
}

// wantMetrics wants each line at the start of a line of what is gathered.
func wantMetrics(t *testing.T, reg *prometheus.Registry, lines string) {
	t.Helper()
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	gathered := answer.Body.String()
	for line := range strings.Lines(lines) {
		if line = strings.TrimSpace(line); !strings.Contains(gathered, "\n"+line) {
			t.Errorf("the metrics lack %q:\n%s", line, gathered)
		}
	}
}

func TestReasonsBeyondABoundCountAsOther(t *testing.T) {
	m := NewMetrics(prometheus.NewRegistry())
	for i := range maxParkedReasons {
		if reason := fmt.Sprint(i); m.parkedReason(reason) != reason {
			t.Errorf("reason %s is counted as %s", reason, m.parkedReason(reason))
		}
	}
	if got := m.parkedReason("one too many"); got != "other" {
		t.Errorf("one too many is counted as %q; want other", got)
	}
	if got := m.parkedReason("0"); got != "0" {
		t.Errorf("a known reason is counted as %q; want 0", got)
	}
}

func TestLossesAreToldOfRarelyAndNoneIsForgotten(t *testing.T) {
	var l losses
	start := time.UnixMilli(1_700_000_000_000)
	for _, c := range []struct {
		after time.Duration
		lost  int
		told  int
	}{{0, 1, 1}, {time.Second, 2, 0}, {lossLogInterval - 1, 3, 0}, {lossLogInterval, 4, 9}, {lossLogInterval + 1, 1, 0}} {
		if count, due := l.add(c.lost, start.Add(c.after)); count != c.told || due != (c.told > 0) {
			t.Errorf("%s after the first line: told of %d, %v; want %d", c.after, count, due, c.told)
		}
	}
}

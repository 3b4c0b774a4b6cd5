package subscriptions

import (
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

func TestAnOwnerSeesTheLastAttemptAndItsETagStays(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		made := r.subscribe(t, "ann")
		path := base + made.ID + "/"
		before := r.send(t, "ann", "GET", path, "").want(t, 200)
		if !strings.Contains(before.body, `"last_attempt":null`) {
			t.Errorf("without an attempt: %s", before.body)
		}
		s.Client.HSet(t.Context(), lane0().Subscription(made.ID), "last_at", "1795437600123", "last_status", "0", "last_error", "timeout")
		failed := r.send(t, "ann", "GET", path, "").want(t, 200)
		if !strings.Contains(failed.body, `"last_attempt":{"at":"2026-11-23T12:40:00.123Z","status":null,"error":"timeout"}`) {
			t.Errorf("after a timeout: %s", failed.body)
		}
		s.Client.HSet(t.Context(), lane0().Subscription(made.ID), "last_status", "503", "last_error", "http_5xx")
		if got := r.send(t, "ann", "GET", path, "").want(t, 200); !strings.Contains(got.body, `"status":503,"error":"http_5xx"`) {
			t.Errorf("after 503: %s", got.body)
		}
		if failed.header.Get("ETag") != before.header.Get("ETag") {
			t.Error("an attempt has changed the ETag")
		}
		r.send(t, "ann", "PUT", path, failed.body, "If-Match", before.header.Get("ETag")).want(t, 200)
	})
}

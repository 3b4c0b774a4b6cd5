package subscriptions

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

// What somebody gets wrong in the first five minutes is answered with what to do.
func TestARefusalSaysWhatToDo(t *testing.T) {
	s := redistest.Mini(t)
	r := newRig(t, s)
	away := newRig(t, s, func(o *HandlerOptions) {
		o.Identity = upstreamIdentity(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	})
	body := `{"event":"contact.create","target_url":"http://127.0.0.1:9000/"}`
	for name, c := range map[string]struct {
		got    answer
		status int
		advice string
	}{
		"no credentials":         {r.send(t, "", "GET", base, ""), 401, "the credentials that the API itself takes"},
		"no such path at whoami": {away.send(t, "", "GET", base, "", "Authorization", "Bearer x"), 503, "hookproxy's log"},
		"curl -d and no more":    {r.send(t, "ann", "POST", base, body, "Content-Type", "application/x-www-form-urlencoded"), 415, "Content-Type: application/json"},
		"a receiver at home":     {r.send(t, "ann", "POST", base, body), 422, "--allow-networks"},
		"a port of a service's":  {r.send(t, "ann", "POST", base, strings.Replace(body, "127.0.0.1:9000", "8.8.8.8:6379", 1)), 422, "--target-ports"},
	} {
		if c.got.status != c.status || !strings.Contains(c.got.body, c.advice) {
			t.Errorf("%s: %d %s; want %d and a word about %s", name, c.got.status, c.got.body, c.status, c.advice)
		}
	}
}

// Whoever sets identity up finds the reason of a 401 in the log, if they ask for it:
// the caller is not told.
func TestTheLogSaysAtDebugWhyACallerIsNotKnown(t *testing.T) {
	var written lockedBuffer
	r := newRig(t, redistest.Mini(t), func(o *HandlerOptions) {
		o.Log = slog.New(slog.NewTextHandler(&written, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Identity = upstreamIdentity(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	})
	r.send(t, "", "GET", base, "", "Authorization", "Bearer s3cret").wantProblem(t, 401, "unauthenticated")
	if log := written.String(); !strings.Contains(log, "the upstream answered 403") || strings.Contains(log, "s3cret") {
		t.Errorf("the log is %s", log)
	}
}

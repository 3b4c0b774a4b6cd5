package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/internal/har"
)

// What is recorded, and what is reported at the end, goes by the rules in force
// and not by those of the start.
func TestTheRecordingAndTheReportAtTheEndFollowTheRulesInForce(t *testing.T) {
	t.Parallel()
	const known = "identity: [{whoami: {get: /me, user: id}}]\n"
	session := filepath.Join(t.TempDir(), "session.har")
	path := writeRules(t, known+"capture: {max_body: 1KiB}\nresources: {contact: /contacts}\n")
	up := startWith(t, path, "--record", session)
	text := strings.Repeat("a", 2<<10)
	send(t, http.MethodPost, up.front+"/contacts", `{"name":"`+text+`"}`)
	replaceFile(t, path, known+"mode: observe\nresources: {deal: /deals}\n")
	awaitMetrics(t, up, reloaded(1, 0)...)
	send(t, http.MethodPost, up.front+"/contacts", `{"name":"`+text+`"}`)
	if err := up.stop(t); err != nil {
		t.Error(err)
	}
	if log := up.log.String(); !strings.Contains(log, `"route":"POST /contacts","writes":1`) {
		t.Errorf("the log names no route:\n%s", log)
	}
	file, err := os.Open(session)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	recorded, err := har.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range recorded.Entries {
		if e.Request.Method == http.MethodPost {
			got = append(got, e.Request.Omitted+e.Response.Omitted)
			if whole := strings.Contains(string(e.Response.Body), text); whole != (e.Response.Omitted == "") {
				t.Errorf("omitted for %q, and %d bytes recorded", e.Response.Omitted, len(e.Response.Body))
			}
		}
	}
	if len(got) != 2 || got[0] != "too_largetoo_large" || got[1] != "" {
		t.Errorf("two writes were recorded as %q", got)
	}
}

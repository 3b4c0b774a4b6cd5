package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

// A subscriber is never told yes to what the engine does not do.
func TestOptionsThatNothingHonoursAreRefused(t *testing.T) {
	up := start(t, "--upstream", startSample(t), "--redis", "redis://"+redistest.Mini(t).Addr, "--rules", writeRules(t, sampleRules))
	for option, want := range map[string]int{
		`"skinny":true`: http.StatusCreated, `"debounce":"1s"`: http.StatusCreated,
		`"batch":{"max":10,"within":"1s"}`: http.StatusUnprocessableEntity,
		`"ordered":true`:                   http.StatusCreated,
	} {
		name, _, _ := strings.Cut(strings.TrimPrefix(option, `"`), `"`)
		status, body := send(t, "POST", up.front+"/api/v1/subscription/",
			`{"event":"contact.create","target_url":"https://hooks.example.com/`+name+`",`+option+`}`)
		if status != want || !strings.Contains(string(body), name) {
			t.Errorf("%s: %d %s, want %d", option, status, body, want)
		}
	}
}

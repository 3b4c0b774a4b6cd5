package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestProfilesAreThereOnlyWhereAskedFor(t *testing.T) {
	for _, on := range []bool{false, true} {
		args := []string{"--upstream", startSample(t), "--redis", "embedded", "--spool", "none", "--rules", writeRules(t, sampleRules)}
		if on {
			args = append(args, "--pprof")
		}
		up := start(t, args...)
		want := map[bool]int{true: http.StatusOK, false: http.StatusNotFound}[on]
		if status, body := getFrom(t, up.admin+"/debug/pprof/goroutine?debug=1"); status != want || strings.Contains(body, "goroutine profile") != on {
			t.Errorf("with --pprof %t: %d", on, status)
		}
		if status, _ := getFrom(t, up.admin+"/debug/pprof/cmdline"); status != http.StatusNotFound {
			t.Errorf("the command line is shown: %d", status)
		}
		if status, _ := getFrom(t, up.admin+"/healthz"); status != http.StatusOK {
			t.Errorf("healthz: %d", status)
		}
	}
}

func getFrom(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

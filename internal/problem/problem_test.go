package problem

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
)

var (
	errLoud   = errors.New("the reason")
	errQuiet  = errors.New("a secret")
	errAdvice = errors.New("a reason of ours")
)

func TestAnErrorIsTheFirstRefusalThatFits(t *testing.T) {
	refusals := []Refusal{
		Refuse(errLoud, 409, "loud", "Loud"), Refuse(errQuiet, 404, "quiet", "Quiet").Saying(""), Refuse(errAdvice, 503, "advised", "Advised").Saying("try again"),
	}
	for _, c := range []struct {
		err                error
		status             int
		name, title, shown string
	}{
		{fmt.Errorf("outside: %w", errLoud), 409, "loud", "Loud", "outside: the reason"},
		{errors.Join(errQuiet, errLoud), 409, "loud", "Loud", "a secret\nthe reason"},
		{errQuiet, 404, "quiet", "Quiet", ""},
		{errAdvice, 503, "advised", "Advised", "try again"},
		{errors.New("dial tcp 10.0.0.1: refused"), 500, Internal, "Something went wrong here", ""},
	} {
		if p := Of(c.err, refusals); p.Status != c.status || p.Type != Type(c.name) || p.Title != c.title || p.Detail != c.shown {
			t.Errorf("%v is %+v", c.err, p)
		}
	}
	p := Of(fmt.Errorf("read: %w", Wrong("event", "must be given")), refusals)
	if p.Status != 422 || p.Type != Type(Invalid) || len(p.Errors) != 1 || p.Detail != "" {
		t.Errorf("fields are %+v", p)
	}
}

func TestWhatCannotBeWrittenIsAFaultOfOurs(t *testing.T) {
	var log strings.Builder
	w := httptest.NewRecorder()
	Write(w, slog.New(slog.NewTextHandler(&log, nil)), 200, "application/json", func() {})
	if w.Code != 500 || w.Body.Len() != 0 || !strings.Contains(log.String(), "encode an answer") {
		t.Errorf("%d %q, and the log is %s", w.Code, w.Body, log.String())
	}
	w = httptest.NewRecorder()
	w.Header().Set("Cache-Control", "public")
	Write(w, slog.New(slog.DiscardHandler), 200, "application/json", map[string]string{"url": "https://x/?a=1&b=<2>"})
	if got := strings.TrimSpace(w.Body.String()); got != `{"url":"https://x/?a=1&b=<2>"}` || w.Header().Get("Cache-Control") != "public" {
		t.Errorf("written is %s with %v", got, w.Header())
	}
}

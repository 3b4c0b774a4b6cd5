package subscriptions

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

func TestHeadersThatAreNotASubscribersAreRefusedByName(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	for _, name := range []string{
		"Host", "host", "Content-Type", "content-length", "Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding",
		"Upgrade", "Expect", "Proxy-Authorization", "proxy-connection", "webhook-id", "Webhook-Anything", "X-Hook-Signature",
		"x-hook-new", "ce-id", "Cookie", "User-Agent", "Idempotency-Key", "X-Forwarded-For", "Forwarded", "Via", "X-Real-IP",
		"HTTP2-Settings", "", "a b", "a:b", "na\u00efve", "a\\u0000", "x\\r\\ny",
	} {
		p := r.send(t, "ann", "POST", base, `{"event":"deal.won",`+good+`,"headers":{"`+name+`":"v"}}`)
		if field := p.wantProblem(t, 422, "invalid", "headers."+strings.NewReplacer(`\u0000`, "\x00", `\r\n`, "\r\n").Replace(name)); field.Errors[0].Message == "" {
			t.Errorf("%q: nothing is said", name)
		}
	}
	for value, field := range map[string]string{
		`{"X-A":""}`: "headers.X-A", `{"X-A":"***"}`: "headers.X-A", `{"X-A":"a\r\nX-B: b"}`: "headers.X-A", `{"X-A":" a"}`: "headers.X-A",
		`{"X-A":"\u0000"}`: "headers.X-A", `{"X-A":"\u20ac"}`: "headers.X-A", `{"X-A":1}`: "headers", `[]`: "headers", `"X-A: a"`: "headers",
		`{"X-A":"1","x-a":"2"}`: "headers.x-a", `{"X-A":"` + strings.Repeat("a", 4097) + `"}`: "headers",
	} {
		r.send(t, "ann", "POST", base, `{"event":"deal.won",`+good+`,"headers":`+value+`}`).wantProblem(t, 422, "invalid", field)
	}
	if keys := r.keys(t); len(keys) != 0 {
		t.Errorf("bad bodies left %q in Redis", keys)
	}
}

func TestHeadersAreShownByNameAndKeptThroughChanges(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		r.store.secrets = sealerOf(t, 1)
		var made resource
		r.send(t, "ann", "POST", base, `{"event":"deal.won",`+good+`,"headers":{"x-env":"prod","Authorization":"Bearer hush"}}`).want(t, 201).into(t, &made)
		path := base + made.ID + "/"
		wantHeaders := func(shown resource, want map[string]string) {
			t.Helper()
			sub, err := r.store.Get(t.Context(), "ann", made.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, sub.Headers); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(redactHeaders(want), shown.Headers); diff != "" {
				t.Errorf("shown (-want +got):\n%s", diff)
			}
			if kept := hash(t, s.Client, made.ID)["headers"]; len(want) > 0 && !strings.HasPrefix(kept, "sealed:") || len(want) == 0 && kept != "" {
				t.Errorf("Redis has %q", kept)
			}
		}
		change := func(method, body string) (shown resource) {
			t.Helper()
			r.send(t, "ann", method, path, body).want(t, 200).into(t, &shown)
			return shown
		}
		both := map[string]string{"X-Env": "prod", "Authorization": "Bearer hush"}
		wantHeaders(made, both)
		wantHeaders(change("PATCH", `{"description":"x"}`), both)
		got := r.send(t, "ann", "GET", path, "").want(t, 200)
		wantHeaders(change("PUT", got.body), both)
		wantHeaders(change("PATCH", `{"headers":{"X-ENV":"test"}}`), map[string]string{"X-Env": "test", "Authorization": "Bearer hush"})
		wantHeaders(change("PATCH", `{"headers":{"x-env":null}}`), map[string]string{"Authorization": "Bearer hush"})

		// With the key gone nothing of them is lost by a change of something else.
		r.store.secrets = nil
		if shown := change("PATCH", `{"description":"y"}`); len(shown.Headers) != 0 {
			t.Errorf("shown without the key: %v", shown.Headers)
		}
		r.store.secrets = sealerOf(t, 1)
		var shown resource
		r.send(t, "ann", "GET", path, "").want(t, 200).into(t, &shown)
		wantHeaders(shown, map[string]string{"Authorization": "Bearer hush"})
		wantHeaders(change("PATCH", `{"headers":null}`), nil)
		if strings.Contains(r.log.String()+got.body, "hush") {
			t.Error("a header's value was logged or shown")
		}
	})
}

func sealerOf(t *testing.T, b byte) *Sealer {
	t.Helper()
	sealer, err := NewSealer([][]byte{bytes.Repeat([]byte{b}, sealingKeyBytes)})
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}

package proxy

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// encode applies content codings, the first one first.
func encode(t testing.TB, codings string, body []byte) []byte {
	t.Helper()
	for coding := range strings.SplitSeq(codings, ",") {
		var out bytes.Buffer
		w := encoder(t, strings.TrimSpace(coding), &out)
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		body = out.Bytes()
	}
	return body
}

func encoder(t testing.TB, coding string, out io.Writer) io.WriteCloser {
	t.Helper()
	switch coding {
	case "gzip", "x-gzip":
		return gzip.NewWriter(out)
	case "deflate":
		return zlib.NewWriter(out)
	case "raw deflate":
		w, err := flate.NewWriter(out, flate.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		return w
	case "br":
		return brotli.NewWriter(out)
	case "zstd":
		w, err := zstd.NewWriter(out, zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	return struct {
		io.Writer
		io.Closer
	}{out, io.NopCloser(nil)}
}

func TestEventsHoldTheDecodedBodyAndClientsTheEncoded(t *testing.T) {
	plain := []byte(`{"id":7,"text":"` + strings.Repeat("hello ", 200) + `"}`)
	bomb := bytes.Repeat([]byte("0"), 3<<20)
	for name, c := range map[string]struct {
		header  string
		body    []byte
		omitted string
	}{
		"none":                   {"", plain, ""},
		"identity":               {"identity", plain, ""},
		"gzip":                   {"gzip", encode(t, "gzip", plain), ""},
		"x-gzip":                 {"X-Gzip", encode(t, "gzip", plain), ""},
		"deflate":                {"deflate", encode(t, "deflate", plain), ""},
		"raw deflate":            {"deflate", encode(t, "raw deflate", plain), ""},
		"br":                     {"br", encode(t, "br", plain), ""},
		"zstd":                   {"zstd", encode(t, "zstd", plain), ""},
		"two layers":             {"br, gzip", encode(t, "br,gzip", plain), ""},
		"two gzip members":       {"gzip", append(encode(t, "gzip", plain[:10]), encode(t, "gzip", plain[10:])...), ""},
		"three layers":           {"br, gzip, zstd", encode(t, "br,gzip,zstd", plain), omittedEncoding},
		"unknown":                {"compress", plain, omittedEncoding},
		"not what it says":       {"gzip", plain, omittedEncoding},
		"cut gzip":               {"gzip", encode(t, "gzip", plain)[:50], omittedEncoding},
		"cut br":                 {"br", encode(t, "br", plain)[:20], omittedEncoding},
		"cut zstd":               {"zstd", encode(t, "zstd", plain)[:20], omittedEncoding},
		"cut deflate":            {"deflate", encode(t, "deflate", plain)[:1], omittedEncoding},
		"gzip bomb":              {"gzip", encode(t, "gzip", bomb), omittedTooLarge},
		"br bomb":                {"br", encode(t, "br", bomb), omittedTooLarge},
		"zstd bomb":              {"zstd", encode(t, "zstd", bomb), omittedTooLarge},
		"deflate bomb":           {"deflate", encode(t, "raw deflate", bomb), omittedTooLarge},
		"bomb in a bomb":         {"gzip, gzip", encode(t, "gzip,gzip", bytes.Repeat(bomb, 10)), omittedTooLarge},
		"bomb that ends empty":   {"gzip, gzip", encode(t, "gzip", bytes.Repeat(encode(t, "gzip", nil), 100_000)), omittedTooLarge},
		"small after a big step": {"gzip, br", encode(t, "br", append(encode(t, "gzip", plain), bomb...)), omittedEncoding},
	} {
		t.Run(name, func(t *testing.T) {
			upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", c.header)
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write(c.body)
			})
			s, p := capturing(t, named, upstream, nil)
			if _, got := s.post(t, "/x"); got != string(c.body) {
				t.Fatalf("the client got %d bytes of %d", len(got), len(c.body))
			}
			e := p.one(t)
			if e.Omitted != c.omitted || (c.omitted == "") != bytes.Equal(e.Payload, plain) {
				t.Fatalf("omitted %q, payload of %d bytes", e.Omitted, len(e.Payload))
			}
			eventually(t, s.proxy.metrics.budget, 0)
		})
	}
}

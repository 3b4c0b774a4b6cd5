package proxy

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// canned answers every request with one response, as an upstream would.
type canned struct {
	header  http.Header
	body    []byte
	chunked bool
}

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
	res := &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: c.header.Clone(), Request: r,
		Body: io.NopCloser(bytes.NewReader(c.body)), ContentLength: int64(len(c.body)),
	}
	if c.chunked {
		res.ContentLength = -1
	} else {
		res.Header.Set("Content-Length", strconv.Itoa(len(c.body)))
	}
	return res, nil
}

// FuzzTheClientsBytesAreTheUpstreams sends hostile bodies both ways through a
// capture. Whatever becomes of the event, nobody's bytes change, nothing
// panics, and the budget comes back.
func FuzzTheClientsBytesAreTheUpstreams(f *testing.F) {
	plain := []byte(`{"id":7,"x":[1,2,{"y":"z"}]}`)
	for _, codings := range []string{"gzip", "br", "zstd", "deflate", "raw deflate", "br,gzip", "none"} {
		f.Add(encode(f, codings, plain), codings, "application/json", true)
		f.Add(encode(f, codings, bytes.Repeat(plain, 10_000)), codings, "", false)
	}
	f.Add([]byte{}, "gzip, , identity,X", "multipart/form-data", true)
	file := rulesOf(f, "capture: {max_body: 65536}\n"+`rules: [{on: "POST /{id}", emit: x.y, payload: request.body}, {on: "POST /{id}", emit: x.z}]`)
	f.Fuzz(func(t *testing.T, body []byte, codings, contentType string, chunked bool) {
		h := http.Header{"Content-Encoding": {codings}, "Content-Type": {contentType}}
		sink := newPublisher()
		p, err := New(Options{Upstream: parse(t, "http://upstream"), Transport: canned{h, body, chunked}, Ruling: Ruling{Rules: file}, Publisher: sink})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/7", bytes.NewReader(body))
		r.Header.Set("Content-Encoding", codings)
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if got := w.Body.Bytes(); !bytes.Equal(got, body) {
			t.Fatalf("the client got %d bytes of %d", len(got), len(body))
		}
		if held := p.budget.used.Load(); held != 0 {
			t.Fatalf("%d bytes of the budget are gone", held)
		}
		for _, where := range []string{"match", "derive"} {
			if countOf(t, p.metrics.panics.WithLabelValues(where)) != 0 {
				t.Fatal("panic in ", where)
			}
		}
		checkPayloads(t, sink)
	})
}

// checkPayloads: an event has a payload or says why not, never a part of one.
func checkPayloads(t *testing.T, sink *publisher) {
	select {
	case batch := <-sink.batches:
		for _, e := range batch {
			if (e.Payload == nil) == (e.Omitted == "") || len(e.Payload) > 65536 {
				t.Fatalf("published %+v", e)
			}
		}
	default:
	}
}

// FuzzReadWhole holds the bounded reader against io.ReadAll.
func FuzzReadWhole(f *testing.F) {
	f.Add([]byte("abc"), int64(2), true)
	f.Add(bytes.Repeat([]byte("x"), 9000), int64(9000), false)
	f.Fuzz(func(t *testing.T, body []byte, limit int64, known bool) {
		limit = min(max(limit, 1), 1<<20)
		size := int64(-1)
		if known && int64(len(body)) <= limit {
			size = int64(len(body))
		}
		l := lease{budget: &budget{gauge: prometheus.NewGauge(prometheus.GaugeOpts{})}, most: limit + 1}
		data, omitted, err := readWhole(bytes.NewReader(body), size, limit, &l)
		if want := len(body) > int(limit); err != nil || want != (omitted == omittedTooLarge) || !bytes.HasPrefix(body, data) {
			t.Fatalf("%d bytes of %d, limit %d: %q, %v", len(data), len(body), limit, omitted, err)
		}
		if omitted == "" && len(data) != len(body) {
			t.Fatalf("%d bytes of %d, and nothing omitted", len(data), len(body))
		}
		if l.held < int64(cap(data)) {
			t.Fatalf("%d bytes are paid for, %d used", l.held, cap(data))
		}
	})
}

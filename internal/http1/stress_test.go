package http1

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

// echo answers with what it was sent, in one of many ways.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.Header().Set("X-Id", r.Header.Get("X-Id"))
	switch r.Header.Get("X-How") {
	case "chunks":
		w.Header().Set("Trailer", "X-Sum")
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		_, _ = w.Write(body[len(body)/2:])
		w.Header().Set("X-Sum", r.Header.Get("X-Id"))
	case "early":
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = w.Write(body)
	case "close":
		w.Header().Set("Connection", "close")
		_, _ = w.Write(body)
	case "abort":
		panic(http.ErrAbortHandler)
	default:
		_, _ = w.Write(body)
	}
}

// TestNobodyGetsAnothersBytesUnderLoad has many callers at once, some of whom
// leave, close early or are let down, on connections that are shared by turns.
func TestNobodyGetsAnothersBytesUnderLoad(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(echo))
	defer upstream.Close()
	upstream.Config.ErrorLog = nil
	transport := newTransport(t)
	defer transport.CloseIdleConnections()
	var callers sync.WaitGroup
	for caller := range 16 {
		callers.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(caller)))
			for i := range 60 {
				id := fmt.Sprintf("%d-%d", caller, i)
				if err := call(t, transport, upstream.URL, id, random); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	callers.Wait()
}

func call(t *testing.T, transport *Transport, url, id string, random *rand.Rand) error {
	body := strings.Repeat(id+" ", random.IntN(4)*random.IntN(9000))
	how := []string{"", "chunks", "early", "close", "abort"}[random.IntN(5)]
	leaves, closes := random.IntN(10) == 0, random.IntN(10) == 0
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var reader io.Reader = strings.NewReader(body)
	if random.IntN(2) == 0 {
		reader = iotest.HalfReader(unsized(body))
	}
	r, err := http.NewRequestWithContext(ctx, "POST", url, reader)
	if err != nil {
		return err
	}
	if body != "" && random.IntN(2) == 0 {
		r.ContentLength = int64(len(body)) // which a HalfReader gives in parts
	}
	r.Header.Set("X-Id", id)
	r.Header.Set("X-How", how)
	if leaves {
		time.AfterFunc(time.Duration(random.IntN(500))*time.Microsecond, cancel)
	}
	res, err := transport.RoundTrip(r)
	if err != nil {
		if how == "abort" || leaves {
			return nil
		}
		return fmt.Errorf("%s %s: %w", id, how, err)
	}
	defer res.Body.Close()
	if closes {
		return nil
	}
	got, err := io.ReadAll(res.Body)
	if err != nil && leaves {
		return nil
	}
	if err != nil || !bytes.Equal(got, []byte(body)) || res.Header.Get("X-Id") != id || how == "chunks" && res.Trailer.Get("X-Sum") != id {
		return fmt.Errorf("%s %s: %d bytes of %d, for %s, %v, %w", id, how, len(got), len(body), res.Header.Get("X-Id"), res.Trailer, err)
	}
	return nil
}

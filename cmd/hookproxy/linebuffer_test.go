package main

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// writes keeps what reaches it, and in how many writes.
type writes struct {
	mu    sync.Mutex
	text  bytes.Buffer
	calls int
}

func (w *writes) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	return w.text.Write(b)
}

func (w *writes) so(t *testing.T, calls, lines int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := strings.Count(w.text.String(), "\n"); got != lines || w.calls != calls {
		t.Errorf("%d lines in %d writes; want %d in %d", got, w.calls, lines, calls)
	}
}

func TestABusyLogIsWrittenTogetherAndNoLineWaitsLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out writes
		buffer := &lineBuffer{to: &out}
		log := slog.New(flushing{slog.NewTextHandler(buffer, nil), buffer}).With("a", 1)
		later := func() { time.Sleep(logDelay); synctest.Wait() }
		log.Info("alone: at once")
		out.so(t, 1, 1)
		for range 100 {
			log.Info("behind it: together")
		}
		out.so(t, 1, 1)
		later()
		out.so(t, 2, 101)
		log.Info("behind those")
		log.WithGroup("b").Warn("cannot wait, nor can what is before it")
		out.so(t, 3, 103)
		later()
		log.Info("alone again")
		out.so(t, 4, 104)
		log.Info(strings.Repeat("x", logBytes))
		out.so(t, 5, 105)
		later()
		out.so(t, 5, 105)
	})
}

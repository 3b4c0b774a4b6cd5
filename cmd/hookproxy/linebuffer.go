package main

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// logDelay is how long a line may wait for those behind it.
	logDelay = 50 * time.Millisecond
	// logBytes is how much may wait.
	logBytes = 64 << 10
)

// lineBuffer writes the lines of a busy log together: a system call for each line
// costs a proxied request more than all the rest of it. A line that comes alone
// is written at once; those that come soon after it wait for logDelay at most.
type lineBuffer struct {
	to io.Writer

	mu      sync.Mutex
	waiting []byte
	written time.Time // when it last wrote
	due     bool      // a flush is coming
}

// Write takes one line, or several. What goes wrong when they are written later
// is not told: there is no other place to tell it.
func (b *lineBuffer) Write(lines []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, lines...)
	switch {
	case len(b.waiting) >= logBytes, !b.due && time.Since(b.written) >= logDelay:
		b.write()
	case !b.due:
		b.due = true
		time.AfterFunc(logDelay, b.flush)
	}
	return len(lines), nil
}

// flush writes what waits.
func (b *lineBuffer) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.due = false
	b.write()
}

func (b *lineBuffer) write() {
	if len(b.waiting) > 0 {
		_, _ = b.to.Write(b.waiting)
		b.waiting, b.written = b.waiting[:0], time.Now()
	}
}

// flushing has what is more than information written at once.
type flushing struct {
	slog.Handler
	buffer *lineBuffer
}

// Handle implements slog.Handler.
func (f flushing) Handle(ctx context.Context, r slog.Record) error {
	err := f.Handler.Handle(ctx, r)
	if r.Level > slog.LevelInfo {
		f.buffer.flush()
	}
	return err
}

// WithAttrs implements slog.Handler.
func (f flushing) WithAttrs(attrs []slog.Attr) slog.Handler {
	return flushing{f.Handler.WithAttrs(attrs), f.buffer}
}

// WithGroup implements slog.Handler.
func (f flushing) WithGroup(name string) slog.Handler {
	return flushing{f.Handler.WithGroup(name), f.buffer}
}

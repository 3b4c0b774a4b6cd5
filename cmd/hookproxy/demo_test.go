package main

import (
	"bufio"
	"context"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestTheDemosLinesDoWhatTheySay runs the lines that the demo prints to subscribe
// to deals and to win one, as its reader does.
func TestTheDemosLinesDoWhatTheySay(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl on PATH")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	read, write := io.Pipe()
	ended := make(chan int, 1)
	go func() { // ends with ctx
		status := run(ctx, []string{"demo"}, streams{write, io.Discard})
		_ = write.Close()
		ended <- status
	}()
	lines := bufio.NewScanner(read)
	lines.Buffer(nil, 1<<20)
	var printed strings.Builder
	won, verified := false, false
	for !verified && lines.Scan() {
		line := lines.Text()
		printed.WriteString(line + "\n")
		won = won || strings.Contains(line, "x-hook-event: deal.won")
		verified = won && strings.Contains(line, "the signature is right")
		if strings.Contains(line, `-d '{"event":"deal.won"`) || strings.Contains(line, "-X PATCH") {
			curl(t, ctx, strings.TrimSpace(line))
		}
	}
	if !verified {
		t.Errorf("no verified deal.won; printed was\n%s", printed.String())
	}
	cancel()
	go func() { _, _ = io.Copy(io.Discard, read) }() // ends when the demo closes its side
	select {
	case status := <-ended:
		if status != exitOK {
			t.Errorf("the demo ended with %d", status)
		}
	case <-time.After(patience):
		t.Error("the demo did not end")
	}
}

// curl runs one printed line; of one that was broken in two, the second half.
func curl(t *testing.T, ctx context.Context, line string) {
	t.Helper()
	if !strings.HasPrefix(line, "curl") {
		line = "curl -H 'Authorization: Bearer alice-token' -H 'Content-Type: application/json' " + line
	}
	if out, err := exec.CommandContext(ctx, "sh", "-c", strings.Replace(line, "curl", "curl -sS -f", 1)).CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s", line, err, out)
	}
}

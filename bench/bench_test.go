package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func serveBody(t *testing.T, answer []byte) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer) }))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestALoadCountsRightAnswers(t *testing.T) {
	l := load{addr: serveBody(t, body(512)), call: get(512), connections: 2, rate: 200}
	o, err := l.run(t.Context(), 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if o.requests == 0 || o.requests > 20 {
		t.Errorf("%d requests in 100 ms, at 200 a second", o.requests)
	}
	if o.quantile(0.5) <= 0 || o.quantile(0.5) > o.quantile(1) {
		t.Errorf("median %s, longest %s", o.quantile(0.5), o.quantile(1))
	}
}

func TestALoadFailsWithTheFirstWrongAnswer(t *testing.T) {
	for name, answer := range map[string][]byte{"another body": body(511), "one byte differs": append(body(511), ' ')} {
		l := load{addr: serveBody(t, answer), call: get(512), connections: 1}
		if _, err := l.run(t.Context(), time.Second); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestUsageCountsChildren(t *testing.T) {
	if os.Getenv("BENCH_CHILD") == "1" {
		burn()
		fmt.Println("burnt")
		_, _ = os.Stdin.Read(make([]byte, 1)) // until the test is done
		return
	}
	shell := exec.Command("sh", "-c", "BENCH_CHILD=1 "+os.Args[0]+" -test.run=TestUsageCountsChildren; true")
	stdin, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	used, err := usageOf(&process{cmd: shell})
	_ = stdin.Close()
	_ = shell.Wait()
	if err != nil || used.cpu < 50*time.Millisecond || used.rss == 0 || used.peak < used.rss {
		t.Errorf("a shell whose child was busy for 100 ms: %+v, %v", used, err)
	}
}

// burn uses 100 ms of CPU time or more.
func burn() {
	pid := &process{cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}
	for used, err := usageOf(pid); err == nil && used.cpu < 100*time.Millisecond; used, err = usageOf(pid) {
	}
}

func TestAMarkIsJudgedByMedians(t *testing.T) {
	table := newTable("", []string{"b"}, cpuColumn)
	for _, cpu := range []float64{1, 100, 2} {
		table.add("a", measurement{cpu: cpu})
		table.add("b", measurement{cpu: 4})
	}
	table.mark("half", "a", "b", 0.5)
	table.mark("less", "a", "b", 0.4)
	table.mark("absent", "a", "c", 1)
	want := "half: **holds** (0.50)|less: **does not hold** (0.50)|absent: not measured"
	if got := strings.Join(table.marks, "|"); got != want {
		t.Errorf("marks %s, want %s", got, want)
	}
	if !strings.Contains(table.text(), "| a | 2.0 | 0.50 |") {
		t.Error(table.text())
	}
}

func TestTheSummaryGoesBetweenItsLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "README.md")
	r := newReport(runCommand{})
	table := r.table("A GET", "nginx")
	table.add("nginx", measurement{cpu: 10})
	table.add("direct", measurement{cpu: 1})
	table.add("hookproxy", measurement{cpu: 15})
	table.mark("", "hookproxy", "nginx", 2)
	if err := os.WriteFile(path, []byte("before\n"+readmeBegin+"\nold\n"+readmeEnd+"\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time as the first
		if err := r.putSummary(path); err != nil {
			t.Fatal(err)
		}
		got, _ := os.ReadFile(path)
		for _, want := range []string{"before\n" + readmeBegin, "| A GET | CPU: 1.50 × nginx |\n", readmeEnd + "\nafter\n"} {
			if !strings.Contains(string(got), want) {
				t.Errorf("no %q in:\n%s", want, got)
			}
		}
		if strings.Contains(string(got), "old") || strings.Contains(string(got), "direct") {
			t.Errorf("it holds what it should not:\n%s", got)
		}
	}
	if err := os.WriteFile(path, []byte("without them"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r.putSummary(path) == nil {
		t.Error("no error for a file without the lines")
	}
}

func TestAReceiverTellsForgedAndRepeatedFromNew(t *testing.T) {
	addr, err := freeAddr()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- receiverCommand{Listen: addr}.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	for conn, err := net.Dial("tcp", addr); ; conn, err = net.Dial("tcp", addr) {
		if err == nil {
			_ = conn.Close()
			break
		}
	}
	p := newPoster("http://" + addr + "/hook")
	defer p.client.CloseIdleConnections()
	for _, id := range []string{"1", "2", "2"} {
		if err := p.post(ctx, id, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	res, err := p.client.Post("http://"+addr+"/hook", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	s := &stage{receiver: &process{addr: addr}}
	got, err := s.tally(ctx)
	if err != nil || got.Distinct != 2 || got.Duplicates != 1 || got.Forged != 1 {
		t.Errorf("tally %+v, %v; want 2 distinct, 1 duplicate, 1 forged", got, err)
	}
	http.DefaultClient.CloseIdleConnections()
}

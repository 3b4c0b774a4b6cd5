package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// tick is what /proc counts CPU time in: USER_HZ, 100 on every Linux.
	tick = 10 * time.Millisecond
	// startTimeout bounds how long a program may take to listen.
	startTimeout = 20 * time.Second
	// stopTimeout is how long one may take to stop before it is killed.
	stopTimeout = 5 * time.Second
)

// process is a program under measurement.
type process struct {
	name string
	addr string // where it listens; empty where it does not
	cmd  *exec.Cmd
	out  bytes.Buffer
	done chan struct{} // closed when it has ended
}

// start runs a program, which ends with us at the latest.
func start(name, path string, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() { // ends with the process
		_ = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// startServer runs a program and returns once it listens on addr.
func startServer(ctx context.Context, name, addr, path string, args ...string) (*process, error) {
	p, err := start(name, path, args...)
	if err != nil {
		return nil, err
	}
	p.addr = addr
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			_ = conn.Close()
			return p, nil
		}
		select {
		case <-p.done:
			return nil, fmt.Errorf("%s ended instead of listening on %s:\n%s", name, addr, p.out.String())
		case <-ctx.Done():
			p.stop()
			return nil, fmt.Errorf("%s does not listen on %s:\n%s", name, addr, p.out.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends the process, in order if it can be had.
func (p *process) stop() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// usage is what processes have used up so far, and hold now.
type usage struct {
	cpu  time.Duration // user and system
	rss  int64         // bytes
	peak int64         // bytes, at the most since the start
}

func (u usage) minus(before usage) usage { return usage{u.cpu - before.cpu, u.rss, u.peak} }

// usageOf adds up processes and all that they have started. CPU time of children
// that have ended counts with their parent.
func usageOf(processes ...*process) (usage, error) {
	var sum usage
	wanted := map[int]bool{}
	for _, p := range processes {
		wanted[p.cmd.Process.Pid] = true
	}
	stats, err := readStats()
	if err != nil {
		return usage{}, err
	}
	for grown := true; grown; {
		grown = false
		for pid, s := range stats {
			if !wanted[pid] && wanted[s.parent] {
				wanted[pid], grown = true, true
			}
		}
	}
	for pid := range wanted {
		s, ok := stats[pid]
		if !ok {
			return usage{}, fmt.Errorf("process %d is gone", pid)
		}
		sum.cpu += s.cpu
		sum.rss += s.rss
		sum.peak += max(s.rss, peakOf(pid))
	}
	return sum, nil
}

// peakOf answers VmHWM of /proc/<pid>/status, in bytes; 0 for a process that has
// ended meanwhile.
func peakOf(pid int) int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, line, _ := strings.Cut(string(status), "\nVmHWM:")
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.ParseInt(fields[0], 10, 64) // the kernel's own digits
	return kib << 10
}

type stat struct {
	parent int
	cpu    time.Duration
	rss    int64
}

// readStats answers every process there is.
func readStats() (map[int]stat, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	stats := map[int]stat{}
	for _, path := range paths {
		pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
		line, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		if stats[pid], err = parseStat(string(line)); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return stats, nil
}

// parseStat reads a line of /proc/<pid>/stat (proc(5)). The second field is a name
// in parentheses that may hold anything; fields are counted from behind it.
func parseStat(line string) (stat, error) {
	fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(fields) < 22 {
		return stat{}, errors.New("too few fields")
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(fields[i-3], 10, 64) // the kernel's own digits
		return n
	}
	ticks := number(14) + number(15) + number(16) + number(17)
	return stat{
		parent: int(number(4)),
		cpu:    time.Duration(ticks) * tick,
		rss:    number(24) * int64(os.Getpagesize()),
	}, nil
}

// freeAddr answers a loopback address that nobody listened on a moment ago.
func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

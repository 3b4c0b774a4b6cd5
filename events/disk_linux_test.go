package events

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sys/unix"
)

// failWrites has every write to the spool's file fail, from here on until the
// answer is called: the descriptor that bbolt writes to leads elsewhere. What the
// kernel answers is what a failing file system answers.
func failWrites(t *testing.T, s *Spool, elsewhere string, flag int) (heal func()) {
	t.Helper()
	own, err := unix.Dup(int(s.file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.OpenFile(elsewhere, flag, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	redirect := func(to int) {
		if err := unix.Dup3(to, int(s.file.Fd()), unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
	}
	redirect(int(other.Fd()))
	healed := false
	heal = func() {
		if !healed {
			healed = true
			redirect(own)
			_ = unix.Close(own)
		}
	}
	t.Cleanup(heal)
	return heal
}

func TestADiskThatFailsInUseIsToldAndMended(t *testing.T) {
	for name, c := range map[string]struct {
		elsewhere func(*Spool) string
		flag      int
		want      error
	}{
		"full":      {func(*Spool) string { return "/dev/full" }, os.O_WRONLY, syscall.ENOSPC},
		"read-only": {func(s *Spool) string { return s.path }, os.O_RDONLY, syscall.EBADF},
	} {
		t.Run(name, func(t *testing.T) {
			redistest.Run(t, func(t *testing.T, r *redistest.Server) {
				log, told := newLog()
				s := openSpool(t, spoolPath(t), SpoolOptions{Log: log})
				s.mendEvery = time.Millisecond
				p := NewPublisher(Options{Client: newClient(t, r.Addr), Spool: s})
				away(p)
				publish(t, p, "before")
				heal := failWrites(t, s, c.elsewhere(s), c.flag)
				err := p.Publish(t.Context(), []Event{newEvent("lost")})
				if !errors.Is(err, ErrNowhere) || !errors.Is(err, c.want) {
					t.Errorf("Publish answers %v; want ErrNowhere and %v", err, c.want)
				}
				if err := s.Err(); !errors.Is(err, c.want) {
					t.Errorf("Err answers %v; want %v", err, c.want)
				}
				if n := testutil.ToFloat64(p.metrics.lost); n != 1 {
					t.Errorf("%v are counted as lost; want 1", n)
				}
				run(t, p) // Redis is well: nothing is lost any more, though the spool fails
				eventually(t, "Redis takes events", func() bool {
					return p.Publish(t.Context(), []Event{newEvent("direct")}) == nil
				})
				if s.Err() == nil {
					t.Error("the spool is told as well while its disk fails")
				}
				heal()
				eventually(t, "the spool is well", func() bool { return s.Err() == nil && s.Len() == 0 })
				got := once(ids(t, r.Client, lane0.Events()))
				slices.Sort(got)
				if !slices.Equal(got, []string{"before", "direct"}) {
					t.Errorf("the list has %v; want before and direct", got)
				}
				lines := strings.Join(told.lines(), "")
				if !strings.Contains(lines, "level=ERROR msg=\"the spool takes no events") || !strings.Contains(lines, "the spool takes events again") {
					t.Errorf("the log says\n%s", lines)
				}
			})
		})
	}
}

// A real file system with no room left, where this process may mount one.
func TestARealFullDiskFailsOpenAndRecovers(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Skipf("NOT TESTED: a real full disk, because no tmpfs can be mounted: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	s := openSpool(t, filepath.Join(dir, "spool"), SpoolOptions{})
	q := s.queues[0]
	kept := 0
	for ; kept < 1000; kept++ {
		if err := q.put(elements(fmt.Sprintf("%04d", kept) + strings.Repeat("x", 4096))); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("put answers %v; want ENOSPC", err)
			}
			break
		}
	}
	if kept == 0 || kept == 1000 || !errors.Is(s.Err(), syscall.ENOSPC) {
		t.Fatalf("%d were kept, Err is %v", kept, s.Err())
	}
	// What was taken is still there, can be dropped, and makes room.
	batch, err := q.read(nil, 10_000, 1<<30)
	if err != nil || len(batch) != kept || s.Len() != kept {
		t.Fatalf("%d of %d are there, %v", len(batch), kept, err)
	}
	if err := q.drop(batch[:kept/2]); err != nil {
		t.Fatalf("dropping on a full disk: %v", err)
	}
	put(t, q, "after")
	if s.Err() != nil {
		t.Errorf("Err is %v; want nil", s.Err())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := openSpool(t, s.path, SpoolOptions{}).Len(); n != kept-kept/2+1 {
		t.Errorf("opened again it has %d; want %d", n, kept-kept/2+1)
	}
}

func TestTheProcessThatHoldsTheSpoolIsNamed(t *testing.T) {
	path := spoolPath(t)
	openSpool(t, path, SpoolOptions{})
	_, err := OpenSpool(path, SpoolOptions{})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("(process %d, ", os.Getpid())) {
		t.Errorf("OpenSpool answers %v; want this process' id", err)
	}
	if err := ReadSpool(path, nil); !errors.Is(err, ErrSpoolLocked) {
		t.Errorf("ReadSpool answers %v; want ErrSpoolLocked", err)
	}
}

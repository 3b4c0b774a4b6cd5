package events

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/layout"
	bolt "go.etcd.io/bbolt"
)

func elements(ids ...string) []element {
	var all []element
	for _, id := range ids {
		all = append(all, element{bytes: []byte(id)})
	}
	return all
}

func put(t testing.TB, q *queue, ids ...string) {
	t.Helper()
	if err := q.put(elements(ids...)); err != nil {
		t.Fatal(err)
	}
}

func held(t testing.TB, q *queue) []string {
	t.Helper()
	batch, err := q.read(nil, 1<<20, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, e := range batch {
		ids = append(ids, string(e.bytes))
	}
	return ids
}

func TestTheSpoolKeepsOrderKindAndCountAcrossReopening(t *testing.T) {
	path := spoolPath(t)
	s := openSpool(t, path, SpoolOptions{})
	put(t, s.queues[0], numbered(1, 300)...)
	if err := s.queues[0].put([]element{{bytes: []byte("parked"), parked: true}}); err != nil {
		t.Fatal(err)
	}
	size, oldest := s.Bytes(), s.queues[0].since().UnixMilli()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openSpool(t, path, SpoolOptions{})
	if s.Len() != 301 || s.Bytes() != size || s.queues[0].since().UnixMilli() != oldest {
		t.Errorf("%d events, %d bytes, since %d; want 301, %d, %d",
			s.Len(), s.Bytes(), s.queues[0].since().UnixMilli(), size, oldest)
	}
	if got := held(t, s.queues[0]); !slices.Equal(got, append(numbered(1, 300), "parked")) {
		t.Errorf("the spool has %v", got)
	}
	batch, err := s.queues[0].read(nil, 1000, 1<<20)
	if err != nil || !batch[300].parked || batch[299].parked {
		t.Errorf("which of the last two is parked: %+v, %v", batch[299:], err)
	}
}

func TestOnlyTheOwnerMayReadTheSpool(t *testing.T) {
	path := spoolPath(t)
	for range 2 {
		s := openSpool(t, path, SpoolOptions{})
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("the file's mode is %o; want 600", mode)
		}
		if err := errors.Join(s.Close(), os.Chmod(path, 0o666)); err != nil { // a copy that was put back, say
			t.Fatal(err)
		}
	}
}

func TestReadingIsBoundedByCountAndBytes(t *testing.T) {
	s := openSpool(t, spoolPath(t), SpoolOptions{})
	q := s.queues[0]
	put(t, q, strings.Repeat("x", 10_000), "b", "c", "d")
	for _, c := range []struct{ n, size, want int }{{2, 1 << 20, 2}, {9, 1 << 20, 4}, {9, 1, 1}, {9, 10_000 + recordHeader + 20, 2}} {
		if batch, err := q.read(nil, c.n, c.size); err != nil || len(batch) != c.want {
			t.Errorf("read(%d, %d) answers %d elements, %v; want %d", c.n, c.size, len(batch), err, c.want)
		}
	}
}

func TestDroppingTakesWhatItWasGivenAndOnlyOnce(t *testing.T) {
	s := openSpool(t, spoolPath(t), SpoolOptions{})
	q := s.queues[0]
	put(t, q, "a", "b", "c")
	batch, err := q.read(nil, 2, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := q.drop(batch); err != nil {
			t.Fatal(err)
		}
		if got := held(t, q); !slices.Equal(got, []string{"c"}) || s.Len() != 1 {
			t.Errorf("the spool has %v and counts %d; want c", got, s.Len())
		}
	}
	put(t, q, "d")
	if got := held(t, q); !slices.Equal(got, []string{"c", "d"}) {
		t.Errorf("the spool has %v; want c, d", got)
	}
}

func TestAFullSpoolTakesNothingUntilThereIsRoom(t *testing.T) {
	path := spoolPath(t)
	s := openSpool(t, path, SpoolOptions{MaxBytes: 110})
	q := s.queues[0]
	put(t, q, strings.Repeat("a", 60))
	if err := q.put(elements(strings.Repeat("b", 60))); !errors.Is(err, ErrSpoolFull) {
		t.Fatalf("put answers %v; want ErrSpoolFull", err)
	}
	batch, err := q.read(nil, 1, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.setAside(batch[0]); err != nil {
		t.Fatal(err)
	}
	if err := q.put(elements(strings.Repeat("b", 60))); !errors.Is(err, ErrSpoolFull) {
		t.Errorf("what was set aside takes no room: put answers %v; want ErrSpoolFull", err)
	}
	put(t, q, "c")
	if s.Len() != 1 || s.Refused() != 1 || s.Bytes() != 2*(recordHeader+8)+61 {
		t.Errorf("%d events, %d refused, %d bytes", s.Len(), s.Refused(), s.Bytes())
	}
	size := s.Bytes()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s = openSpool(t, path, SpoolOptions{MaxBytes: 110}); s.Bytes() != size || s.Refused() != 1 {
		t.Errorf("opened again: %d bytes and %d refused; want %d and 1", s.Bytes(), s.Refused(), size)
	}
}

func TestTheAgeIsThatOfTheOldestAndNeverNegative(t *testing.T) {
	s := openSpool(t, spoolPath(t), SpoolOptions{Layout: layout.Layout{Lanes: 2}})
	if age := s.Age(time.Now()); age != 0 {
		t.Errorf("an empty spool is %s old", age)
	}
	put(t, s.queues[1], "a")
	put(t, s.queues[0], "b")
	s.queues[1].oldest = time.UnixMilli(1_000_000)
	s.queues[0].oldest = time.UnixMilli(2_000_000)
	if age := s.Age(time.UnixMilli(3_000_000)); age != 2000*time.Second {
		t.Errorf("the spool is %s old; want 2000 s", age)
	}
	if age := s.Age(time.UnixMilli(1000)); age != 0 {
		t.Errorf("after the clock was set back the spool is %s old; want 0", age)
	}
}

// block keeps the spool from writing until the answer is called.
func block(t *testing.T, s *Spool) (release func()) {
	t.Helper()
	tx, err := s.db.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() { _ = tx.Rollback() }) // of a transaction without changes
	t.Cleanup(release)
	return release
}

// transactions answers the number of the last one.
func transactions(t *testing.T, s *Spool) (last int) {
	t.Helper()
	if err := s.db.View(func(tx *bolt.Tx) error { last = tx.ID(); return nil }); err != nil {
		t.Fatal(err)
	}
	return last
}

func TestConcurrentWritesShareATransaction(t *testing.T) {
	s := openSpool(t, spoolPath(t), SpoolOptions{Layout: layout.Layout{Lanes: 4}, Patience: time.Minute})
	before := transactions(t, s)
	release := block(t, s)
	waiting := func(n int) func() bool {
		return func() bool {
			s.changes.mu.Lock()
			defer s.changes.mu.Unlock()
			return s.changes.running != nil && len(s.changes.waiting) == n
		}
	}
	var writers sync.WaitGroup
	writers.Go(func() { put(t, s.queues[0], "first") })
	eventually(t, "the first is under way", waiting(0))
	for i := range 39 {
		writers.Go(func() { put(t, s.queues[i%4], fmt.Sprint(i)) })
	}
	eventually(t, "the others wait", waiting(39))
	release()
	writers.Wait()
	if n := transactions(t, s) - before; n != 2 || s.Len() != 40 {
		t.Errorf("%d concurrent writes took %d transactions; want 40 in 2", s.Len(), n)
	}
}

func TestAHangingDiskHoldsNobody(t *testing.T) {
	s := openSpool(t, spoolPath(t), SpoolOptions{Patience: time.Millisecond})
	q := s.queues[0]
	release := block(t, s)
	if err := q.put(elements("late")); !errors.Is(err, ErrSpoolStalled) {
		t.Errorf("put answers %v; want ErrSpoolStalled", err)
	}
	if err := q.put(elements("refused")); !errors.Is(err, ErrSpoolStalled) {
		t.Errorf("the next put answers %v; want ErrSpoolStalled", err)
	}
	release()
	s.changes.settle()
	s.patience = time.Minute
	put(t, q, "after")
	if got := held(t, q); !slices.Equal(got, []string{"late", "after"}) || s.Len() != 2 {
		t.Errorf("the spool has %v and counts %d; want late, after", got, s.Len())
	}
}

func TestClosingDoesNotWaitForAHangingDisk(t *testing.T) {
	s := openSpool(t, spoolPath(t), SpoolOptions{Patience: time.Millisecond})
	release := block(t, s)
	if err := s.queues[0].put(elements("late")); !errors.Is(err, ErrSpoolStalled) {
		t.Errorf("put answers %v; want ErrSpoolStalled", err)
	}
	if err := s.Close(); !errors.Is(err, ErrSpoolStalled) {
		t.Errorf("Close answers %v; want ErrSpoolStalled", err)
	}
	release()
	s.changes.settle()
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAClosedSpoolTakesNothing(t *testing.T) {
	s := openSpool(t, spoolPath(t), SpoolOptions{})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.queues[0].put(elements("a")); err == nil {
		t.Error("a closed spool took an event")
	}
}

func TestADamageFoundInUseEndsInAnErrorAndNotThePanic(t *testing.T) {
	s := openSpool(t, spoolPath(t), SpoolOptions{})
	q := s.queues[0]
	put(t, q, numbered(1, 5000)...)
	if err := os.Truncate(s.path, 8192); err != nil {
		t.Fatal(err)
	}
	// The file's end is still mapped, but no longer there.
	if _, err := q.read(nil, 5000, 1<<30); !errors.Is(err, ErrSpoolBroken) {
		t.Errorf("read answers %v; want ErrSpoolBroken", err)
	}
	if err := q.put(elements("a")); !errors.Is(err, ErrSpoolBroken) || !strings.Contains(err.Error(), s.path) {
		t.Errorf("put answers %v; want ErrSpoolBroken with the path", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close answers %v", err)
	}
}

package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Why a spool does not take an event.
var (
	// ErrSpoolFull says that the spool holds MaxBytes already.
	ErrSpoolFull = errors.New("the spool is full")
	// ErrSpoolStalled says that the disk has not answered within Patience. What
	// was to be written may still be written, and is then replayed.
	ErrSpoolStalled = errors.New("the disk under the spool does not answer")
	// ErrSpoolBroken says that the file turned out to be damaged while in use.
	// The process writes no more to it.
	ErrSpoolBroken = errors.New("the spool is damaged")

	errNoSpool = errors.New("there is no spool")
)

// Spool keeps events on the local disk while Redis does not take them: one file,
// per lane a queue in the order of publishing, and a place for what Redis will
// never take. What it has taken survives the death of the process and of the
// machine, as far as the disk keeps what it has confirmed.
//
//	Publish ──► queue of the lane ──replay──► Redis
//	                  └──(refused by Redis, unreadable)──► refused
//
// It is safe for concurrent use. Concurrent writes share a transaction and its
// fsync.
type Spool struct {
	path     string
	max      int64
	patience time.Duration
	db       *bolt.DB
	file     *os.File // db's; closed in its stead where db cannot be trusted
	queues   []*queue
	changes  group[*change]

	broken  atomic.Pointer[error]
	stalled atomic.Pointer[change]
	failing atomic.Pointer[error] // how the last write ended; nil: well
	trial   atomic.Int64          // bytes to find out with whether it would end well now
	ailing  chan struct{}         // has a token while mend may have something to do
	// mendEvery is the constant, but in tests.
	mendEvery time.Duration
	log       *slog.Logger
	bytes     atomic.Int64
	refused   atomic.Int64
	closing   sync.Once
}

// change is one write to the spool.
type change struct {
	// grows is by how many bytes at most; 0 is never refused for lack of room.
	grows int64
	// size is what it writes, where that is not grows.
	size int64
	// apply makes the change. It runs in a transaction shared with other
	// changes, so an error from it fails all of them.
	apply func(tx *bolt.Tx) error
	// after runs once the change is on the disk, before done is closed.
	after func()
	done  chan struct{}
	err   error // set when done is closed
}

// Len answers how many events wait for Redis.
func (s *Spool) Len() int {
	n := 0
	for _, q := range s.queues {
		n += q.len()
	}
	return n
}

// Bytes answers how much of MaxBytes is in use: by the events that wait and by
// those set aside.
func (s *Spool) Bytes() int64 { return s.bytes.Load() }

// Refused answers how many events have been set aside, because Redis refuses
// them for ever or because they cannot be read.
func (s *Spool) Refused() int { return int(s.refused.Load()) }

// Age answers how long the oldest waiting event has been in the spool; zero
// where none waits. It compares wall clocks, because it has to hold across
// restarts; where the clock was set back meanwhile the answer is zero.
func (s *Spool) Age(now time.Time) time.Duration {
	var age time.Duration
	for _, q := range s.queues {
		if oldest := q.since(); !oldest.IsZero() {
			age = max(age, now.Sub(oldest))
		}
	}
	return age
}

// Close gives the file back. It comes after the Publisher's Run has returned
// and no Publish is under way any more; one that comes later finds no spool. It
// answers ErrSpoolStalled where a write hangs: the file is then let go of by the
// process' end. Closing again does nothing.
func (s *Spool) Close() error {
	var err error
	s.closing.Do(func() { err = s.close() })
	if err != nil {
		return fmt.Errorf("close spool %s: %w", s.path, err)
	}
	return nil
}

func (s *Spool) close() error {
	if s.hangs() {
		return ErrSpoolStalled
	}
	s.changes.settle()
	if s.broken.Load() != nil {
		// The database may hold its locks for ever; the file's lock is what counts.
		return s.file.Close()
	}
	return s.db.Close()
}

// write makes a change and returns when it is on the disk. It waits for at most
// patience: where the disk hangs, the requests that wait for their events to be
// safe must not hang with it. While a change hangs, others are refused at once.
func (s *Spool) write(c *change) error {
	if broken := s.broken.Load(); broken != nil {
		return *broken
	}
	if s.hangs() {
		return ErrSpoolStalled
	}
	c.done = make(chan struct{})
	s.changes.add(c)
	ctx, cancel := context.WithTimeout(context.Background(), s.patience)
	defer cancel()
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		s.stalled.Store(c)
		s.note(ErrSpoolStalled, c.grows+c.size)
		return ErrSpoolStalled
	}
}

func (s *Spool) hangs() bool {
	c := s.stalled.Load()
	if c == nil {
		return false
	}
	select {
	case <-c.done:
		s.stalled.CompareAndSwap(c, nil)
		return false
	default:
		return true
	}
}

// commit puts changes on the disk in one transaction. Only the group calls it,
// so no other change alters the size meanwhile.
func (s *Spool) commit(changes []*change) {
	size, written := s.Bytes(), int64(0)
	var fit []*change
	full := false
	for _, c := range changes {
		if c.grows > 0 && size+c.grows > s.max {
			c.err, full = ErrSpoolFull, true
			close(c.done)
			continue
		}
		size += c.grows
		written += c.grows + c.size
		fit = append(fit, c)
	}
	if full {
		s.note(ErrSpoolFull, 0)
	}
	if len(fit) == 0 {
		return
	}
	err := s.guard(func() error { return s.db.Update(applyAll(fit)) })
	if err != nil || !full {
		s.note(err, written)
	}
	for _, c := range fit {
		if err == nil {
			c.after()
		}
		c.err = err
		close(c.done)
	}
}

func applyAll(changes []*change) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		for _, c := range changes {
			if err := c.apply(tx); err != nil {
				return err
			}
		}
		return nil
	}
}

// guard runs work on the database. bbolt panics where the file contradicts
// itself, and reading a page that a truncated file or a failing disk does not
// have is a fault; neither may end the process. After either the database can
// hold its locks, so it is not used again.
func (s *Spool) guard(work func() error) (err error) {
	if broken := s.broken.Load(); broken != nil {
		return *broken
	}
	err = guarded(work)
	if errors.Is(err, ErrSpoolBroken) {
		err = fmt.Errorf("spool %s: %w", s.path, err)
		s.broken.Store(&err)
	}
	return err
}

// guarded turns a panic or a memory fault in work into ErrSpoolBroken.
func guarded(work func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%w: %v", ErrSpoolBroken, fault)
		}
	}()
	return work()
}

package events

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/hookproxy/hookproxy/internal/layout"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Why a spool cannot be opened.
var (
	// ErrSpoolLocked says that another process has the file open.
	ErrSpoolLocked = errors.New("another process holds the spool; give each process a file of its own")
	// ErrSpoolCorrupt says that the file is damaged, or no spool at all.
	ErrSpoolCorrupt = errors.New("the spool cannot be read; move the file away to start with an empty one, and keep it: it may hold events that were never delivered")
	// ErrSpoolVersion says that a newer version of hookproxy wrote the file.
	ErrSpoolVersion = errors.New("a newer version of hookproxy wrote the spool; run that version, or move the file away")
	// ErrSpoolLanes says that the file holds events of a layout with another
	// number of lanes. Replayed into this one, their order would be lost.
	ErrSpoolLanes = errors.New("the spool holds events for another number of lanes; run once with that number to empty it")
)

// Defaults of SpoolOptions.
const (
	DefaultSpoolBytes    = 1 << 30
	DefaultSpoolPatience = 2 * time.Second
)

const (
	// spoolFormat grows when an older program could not read what a newer one
	// has written.
	spoolFormat = 1
	// spoolLockTimeout is how long the process that goes may still hold the
	// file when the one that replaces it starts.
	spoolLockTimeout = time.Second
	spoolMode        = 0o600 // payloads are nobody else's business
)

var (
	metaBucket    = []byte("spool")
	refusedBucket = []byte("refused")
	formatKey     = []byte("format")
	lanesKey      = []byte("lanes")
)

// SpoolOptions are a Spool's settings.
type SpoolOptions struct {
	// Layout must be the Publisher's: the spool has a queue per lane.
	Layout layout.Layout
	// MaxBytes caps the events in the spool; zero means DefaultSpoolBytes. The
	// file is somewhat larger, and keeps its size when they have gone.
	MaxBytes int64
	// Patience is how long a write may take before it counts as failed, so that
	// a hanging disk does not hold requests; zero means DefaultSpoolPatience.
	Patience time.Duration
	// Log is where a disk that fails in use is told, and its recovery. Nil: nowhere.
	Log *slog.Logger
}

// OpenSpool opens the spool in a file, or creates it there, readable for the
// process' user only. It answers ErrSpoolLocked, ErrSpoolCorrupt, ErrSpoolVersion
// or ErrSpoolLanes, or the file system's error, each with the path.
func OpenSpool(path string, o SpoolOptions) (*Spool, error) {
	s := &Spool{path: path, max: o.MaxBytes, patience: o.Patience, log: o.Log, mendEvery: mendEvery, ailing: make(chan struct{}, 1)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.max <= 0 {
		s.max = DefaultSpoolBytes
	}
	if s.patience <= 0 {
		s.patience = DefaultSpoolPatience
	}
	for _, lane := range o.Layout.All() {
		s.queues = append(s.queues, &queue{spool: s, bucket: laneBucket(lane.Number)})
	}
	s.changes.commit = s.commit
	s.changes.take = func(waiting []*change) int { return len(waiting) }
	if err := guarded(s.open); err != nil {
		s.abandon(err)
		return nil, fmt.Errorf("open spool %s: %w", path, openError(path, err))
	}
	return s, nil
}

// abandon lets go of a file that could not be opened as a spool. What goes
// wrong here is not worth reporting beside why it could not.
func (s *Spool) abandon(why error) {
	switch {
	case s.db != nil && !errors.Is(why, ErrSpoolBroken):
		_ = s.db.Close()
	case s.file != nil:
		_ = s.file.Close() // after a panic the database may hold its own locks
	}
}

func (s *Spool) open() error {
	_, err := os.Stat(s.path)
	fresh := errors.Is(err, fs.ErrNotExist)
	s.db, err = bolt.Open(s.path, spoolMode, &bolt.Options{
		Timeout:      spoolLockTimeout,
		FreelistType: bolt.FreelistMapType,
		OpenFile:     s.openFile,
	})
	if err != nil {
		return err
	}
	// A file that was there may be open to others. Where it is not ours to
	// close, whoever made it so meant it.
	_ = s.file.Chmod(spoolMode)
	if fresh {
		if err := syncDirectory(filepath.Dir(s.path)); err != nil {
			return err
		}
	}
	if err := s.db.View(s.verify); err != nil {
		return err
	}
	return s.db.Update(s.prepare)
}

func (s *Spool) openFile(name string, flag int, mode os.FileMode) (file *os.File, err error) {
	s.file, err = os.OpenFile(name, flag, mode)
	return s.file, err
}

// syncDirectory has a new file's name survive a power cut, as its content does.
func syncDirectory(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// openError puts a name to why the file at path cannot be opened.
func openError(path string, err error) error {
	var failed *fs.PathError
	var errno syscall.Errno
	switch {
	case errors.Is(err, ErrSpoolVersion), errors.Is(err, ErrSpoolLanes), errors.Is(err, ErrSpoolCorrupt):
		return err
	case errors.Is(err, bolterrors.ErrTimeout):
		if holder := lockHolder(path); holder != "" {
			return fmt.Errorf("%w (%s)", ErrSpoolLocked, holder)
		}
		return ErrSpoolLocked
	case errors.As(err, &failed), errors.As(err, &errno):
		return err
	}
	return fmt.Errorf("%w (%w)", ErrSpoolCorrupt, err)
}

// verify refuses a file that verifyFile does, and one with events for another
// number of lanes.
func (s *Spool) verify(tx *bolt.Tx) error {
	lanes, err := s.verifyFile(tx)
	if err != nil || lanes == len(s.queues) {
		return err
	}
	return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
		if first, _ := b.Cursor().First(); first != nil && string(name) != string(metaBucket) && string(name) != string(refusedBucket) {
			return fmt.Errorf("%w (%d there, %d here)", ErrSpoolLanes, lanes, len(s.queues))
		}
		return nil
	})
}

// verifyFile refuses a file that lacks its end, is another program's, or newer.
// It answers how many lanes it was written with; none where it is empty.
func (s *Spool) verifyFile(tx *bolt.Tx) (lanes int, err error) {
	info, err := s.file.Stat()
	if err != nil {
		return 0, err
	}
	if info.Size() < tx.Size() {
		return 0, fmt.Errorf("%w (it has %d bytes of %d)", ErrSpoolCorrupt, info.Size(), tx.Size())
	}
	meta := tx.Bucket(metaBucket)
	if meta == nil {
		if first, _ := tx.Cursor().First(); first != nil {
			return 0, fmt.Errorf("%w (it is the database of something else)", ErrSpoolCorrupt)
		}
		return 0, nil
	}
	format, err := strconv.Atoi(string(meta.Get(formatKey)))
	if err != nil {
		return 0, fmt.Errorf("%w (format: %w)", ErrSpoolCorrupt, err)
	}
	if format > spoolFormat {
		return 0, fmt.Errorf("%w (format %d, known is %d)", ErrSpoolVersion, format, spoolFormat)
	}
	if lanes, err = strconv.Atoi(string(meta.Get(lanesKey))); err != nil {
		return 0, fmt.Errorf("%w (lanes: %w)", ErrSpoolCorrupt, err)
	}
	return lanes, nil
}

// prepare makes the buckets where there are none and counts what is in them.
func (s *Spool) prepare(tx *bolt.Tx) error {
	meta, err := tx.CreateBucketIfNotExists(metaBucket)
	if err != nil {
		return err
	}
	if err := errors.Join(
		meta.Put(formatKey, strconv.AppendInt(nil, spoolFormat, 10)),
		meta.Put(lanesKey, strconv.AppendInt(nil, int64(len(s.queues)), 10))); err != nil {
		return err
	}
	refused, err := tx.CreateBucketIfNotExists(refusedBucket)
	if err != nil {
		return err
	}
	n, size, _ := measure(refused)
	s.refused.Store(int64(n))
	s.bytes.Store(size)
	for _, q := range s.queues {
		b, err := tx.CreateBucketIfNotExists(q.bucket)
		if err != nil {
			return err
		}
		q.events, size, q.oldest = measure(b)
		s.bytes.Add(size)
	}
	return nil
}

// measure counts a bucket's records, their bytes, and when the first was spooled.
func measure(b *bolt.Bucket) (n int, size int64, oldest time.Time) {
	c := b.Cursor()
	for key, record := c.First(); key != nil; key, record = c.Next() {
		if n == 0 {
			oldest = recordTime(record)
		}
		n++
		size += int64(len(key) + len(record))
	}
	return n, size, oldest
}

// sequenceKey makes the keys of a bucket sort as they were given out.
func sequenceKey(sequence uint64) []byte { return binary.BigEndian.AppendUint64(nil, sequence) }

package events

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/hookproxy/hookproxy/internal/layout"
	bolt "go.etcd.io/bbolt"
)

// Spooled is one event in a spool, as who looks into the file finds it.
type Spooled struct {
	// Refused says that it has been set aside; it then has no Lane.
	Refused bool
	Lane    int
	// Time is when it was spooled.
	Time time.Time
	// Record is what stands in the file.
	Record []byte
	// Event is what it is, unless Err says why it cannot be read.
	Event Event
	Err   error
}

// ReadSpool hands every event in a file to visit: those that wait, lane by lane
// in the order of publishing, then those set aside. It changes nothing, and works
// on a read-only disk. It answers ErrSpoolLocked while a process has the file
// open, the other errors of OpenSpool, or that of visit, which ends it. What
// visit gets is gone when it returns.
func ReadSpool(path string, visit func(Spooled) error) error {
	return viewSpool(path, func(tx *bolt.Tx, lanes int) error {
		for lane := range lanes {
			if err := visitAll(tx.Bucket(laneBucket(lane)), Spooled{Lane: lane}, visit); err != nil {
				return err
			}
		}
		return visitAll(tx.Bucket(refusedBucket), Spooled{Refused: true}, visit)
	})
}

func visitAll(b *bolt.Bucket, each Spooled, visit func(Spooled) error) error {
	if b == nil {
		return nil
	}
	return b.ForEach(func(_, record []byte) error {
		one := each
		one.Record, one.Time = record, recordTime(record)
		var e element
		if e, one.Err = decodeRecord(record); one.Err == nil {
			one.Event, one.Err = Decode(e.bytes)
		}
		return visit(one)
	})
}

// SpoolLanes answers the number of lanes that a file was written with, and the
// errors of ReadSpool.
func SpoolLanes(path string) (lanes int, err error) {
	err = viewSpool(path, func(_ *bolt.Tx, found int) error { lanes = found; return nil })
	return lanes, err
}

// viewSpool opens a file for reading alone.
func viewSpool(path string, view func(tx *bolt.Tx, lanes int) error) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return err // bbolt would wait for a lock on nothing
	}
	s := &Spool{path: path}
	defer func() { s.abandon(nil) }()
	var own error // visit's, which is no damage of the file
	err := guarded(func() (err error) {
		if s.db, err = bolt.Open(path, spoolMode, &bolt.Options{ReadOnly: true, Timeout: spoolLockTimeout, OpenFile: s.openFile}); err != nil {
			return err
		}
		return s.db.View(func(tx *bolt.Tx) error {
			lanes, err := s.verifyFile(tx)
			if err == nil {
				own = view(tx, lanes)
			}
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("read spool %s: %w", path, openError(path, err))
	}
	return own
}

func laneBucket(lane int) []byte { return []byte("lane " + strconv.Itoa(lane)) }

// readmitChunk is how many events set aside come back in one transaction.
const readmitChunk = 256

// Readmit puts the events that had been set aside at the end of their lanes'
// queues, so that they are tried once more, and answers how many. Those that
// cannot be read stay. An error is the disk's; what came before it is done.
func (s *Spool) Readmit(l layout.Layout) (readmitted int, err error) {
	var after []byte
	for {
		moved, last, err := s.readmitSome(l, after)
		readmitted += moved
		if err != nil || last == nil {
			return readmitted, err
		}
		after = last
	}
}

func (s *Spool) readmitSome(l layout.Layout, after []byte) (moved int, last []byte, err error) {
	perLane := map[int]int{}
	apply := func(tx *bolt.Tx) error {
		refused := tx.Bucket(refusedBucket)
		for _, one := range readAfter(refused, after, readmitChunk, maxReplayBytes) {
			last = one.key
			if one.err != nil {
				continue
			}
			e, err := Decode(one.bytes)
			if err != nil {
				continue
			}
			lane := l.Of(e.User).Number
			err = errors.Join(
				appendAll(tx.Bucket(laneBucket(lane)), [][]byte{encodeRecord(one.element, time.Now())}),
				refused.Delete(one.key))
			if err != nil {
				return err
			}
			perLane[lane]++
			moved++
		}
		return nil
	}
	err = s.write(&change{apply: apply, after: func() {
		s.refused.Add(-int64(moved))
		for lane, n := range perLane {
			s.queues[lane].added(n, time.Now())
		}
	}})
	if err != nil {
		return 0, nil, err // nothing of it is on the disk
	}
	return moved, last, nil
}

package events

import (
	"bytes"
	"slices"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
)

// queue is one lane's part of the spool: elements in the order of publishing.
// A nil queue is that of a Publisher without a spool: empty, and takes nothing.
type queue struct {
	spool  *Spool
	bucket []byte
	filled func() // called when elements have been added; nil: nobody replays

	mu     sync.Mutex // guards what follows, which is what the disk has
	events int
	oldest time.Time // when the first was spooled; zero if there is none
}

// spooled is an element in the spool.
type spooled struct {
	key []byte
	element
	err error // why the element cannot be read; nil if it can
}

func (q *queue) len() int {
	if q == nil {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.events
}

func (q *queue) since() time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.oldest
}

// put appends elements: all of them or, on an error, none. It answers
// ErrSpoolFull, ErrSpoolStalled, ErrSpoolBroken or the disk's error.
func (q *queue) put(elements []element) error {
	if q == nil {
		return errNoSpool
	}
	at, size := time.Now(), int64(0)
	records := make([][]byte, len(elements))
	for i, e := range elements {
		records[i] = encodeRecord(e, at)
		size += int64(len(records[i])) + 8 // the key
	}
	return q.spool.write(&change{
		grows: size,
		apply: func(tx *bolt.Tx) error { return appendAll(tx.Bucket(q.bucket), records) },
		after: func() {
			q.spool.bytes.Add(size)
			q.added(len(records), at)
		},
	})
}

// added counts elements that the disk has from now on.
func (q *queue) added(n int, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.events == 0 {
		q.oldest = at
	}
	q.events += n
	if q.filled != nil {
		q.filled()
	}
}

func appendAll(b *bolt.Bucket, records [][]byte) error {
	b.FillPercent = 0.9 // keys only grow, so pages need no room for more in between
	for _, record := range records {
		sequence, err := b.NextSequence()
		if err != nil {
			return err
		}
		if err := b.Put(sequenceKey(sequence), record); err != nil {
			return err
		}
	}
	return nil
}

// read answers the oldest elements behind the one with the key after, or of all
// where that is nil: at most n of them and, but for the first, at most size bytes.
func (q *queue) read(after []byte, n, size int) (batch []spooled, err error) {
	err = q.spool.guard(func() error {
		return q.spool.db.View(func(tx *bolt.Tx) error {
			batch = readAfter(tx.Bucket(q.bucket), after, n, size)
			return nil
		})
	})
	return batch, err
}

func readAfter(b *bolt.Bucket, after []byte, n, size int) (batch []spooled) {
	c := b.Cursor()
	key, record := c.Seek(after)
	if after != nil && bytes.Equal(key, after) {
		key, record = c.Next()
	}
	for ; key != nil && len(batch) < n; key, record = c.Next() {
		if size -= len(record); size < 0 && len(batch) > 0 {
			break
		}
		// The transaction's memory is the file's, and gone with it.
		e, err := decodeRecord(slices.Clone(record))
		batch = append(batch, spooled{key: slices.Clone(key), element: e, err: err})
	}
	return batch
}

// drop removes elements that Redis has. Dropping one again does nothing.
func (q *queue) drop(batch []spooled) error {
	return q.remove(batch, nil)
}

// dropThrough removes the oldest elements up to the one with the key last, n of
// them at most, and answers whether there are more of them.
func (q *queue) dropThrough(last []byte, n int) (more bool, err error) {
	batch, err := q.read(nil, n, maxReplayBytes)
	if err != nil {
		return false, err
	}
	end := slices.IndexFunc(batch, func(e spooled) bool { return bytes.Compare(e.key, last) > 0 })
	if end < 0 {
		end, more = len(batch), len(batch) > 0
	}
	if end == 0 {
		return false, nil
	}
	return more, q.drop(batch[:end])
}

// setAside moves an element to those refused.
func (q *queue) setAside(e spooled) error {
	return q.remove([]spooled{e}, func(tx *bolt.Tx, record []byte) error {
		return appendAll(tx.Bucket(refusedBucket), [][]byte{slices.Clone(record)})
	})
}

// remove takes elements out of the queue, and hands the record of each that
// still was there to keep, if that is not nil.
func (q *queue) remove(batch []spooled, keep func(tx *bolt.Tx, record []byte) error) error {
	var removed int
	var size int64
	var oldest time.Time
	apply := func(tx *bolt.Tx) error {
		b := tx.Bucket(q.bucket)
		for _, e := range batch {
			record := b.Get(e.key)
			if record == nil {
				continue
			}
			if keep != nil {
				if err := keep(tx, record); err != nil {
					return err
				}
			}
			if err := b.Delete(e.key); err != nil {
				return err
			}
			removed++
			size += int64(len(e.key) + len(record))
		}
		if first, record := b.Cursor().First(); first != nil {
			oldest = recordTime(record)
		}
		return nil
	}
	return q.spool.write(&change{apply: apply, after: func() {
		if keep != nil {
			q.spool.refused.Add(int64(removed))
		} else {
			q.spool.bytes.Add(-size)
		}
		q.mu.Lock()
		defer q.mu.Unlock()
		q.events -= removed
		q.oldest = oldest
	}})
}

package events

import (
	"context"
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/hookproxy/hookproxy/internal/pause"
)

const (
	// mendEvery is between two looks at a spool whose disk has failed.
	mendEvery = 5 * time.Second
	// maxTrial bounds what such a look writes.
	maxTrial = 1 << 20
)

var trialKey = []byte("trial")

// Err answers why the spool takes nothing at present: ErrSpoolFull,
// ErrSpoolStalled, ErrSpoolBroken or the disk's error, from the last write. Nil
// says that the last write was well, and promises nothing of the next.
func (s *Spool) Err() error {
	if broken := s.broken.Load(); broken != nil {
		return *broken
	}
	if s.hangs() {
		return ErrSpoolStalled
	}
	if failing := s.failing.Load(); failing != nil {
		return *failing
	}
	return nil
}

// note keeps how the last write ended, and tells what has changed. size is what
// it would have added.
func (s *Spool) note(err error, size int64) {
	if err == nil {
		if s.failing.Swap(nil) != nil {
			s.log.Info("the spool takes events again", "path", s.path)
		}
		return
	}
	s.trial.Store(min(size, maxTrial))
	if before := s.failing.Swap(&err); before == nil || (*before).Error() != err.Error() {
		s.log.Error("the spool takes no events: what Redis does not take either is lost", "path", s.path, "error", err)
	}
	select {
	case s.ailing <- struct{}{}:
	default: // the token is there
	}
}

// mend finds out when a disk that failed is well again, until ctx is done. While
// Redis is well nobody else writes to the spool, and it would be told as failed
// for as long.
func (s *Spool) mend(ctx context.Context) {
	for {
		select {
		case <-s.ailing:
		case <-ctx.Done():
			return
		}
		for s.Err() != nil && s.broken.Load() == nil {
			pause.For(ctx, s.mendEvery)
			if ctx.Err() != nil {
				return
			}
			s.try()
		}
	}
}

// try writes as much as could not be written, and removes it again. A spool that
// holds all it may is only waiting for Redis.
func (s *Spool) try() {
	if errors.Is(s.Err(), ErrSpoolFull) {
		return
	}
	size := s.trial.Load()
	put := func(tx *bolt.Tx) error { return tx.Bucket(metaBucket).Put(trialKey, make([]byte, size)) }
	if s.write(&change{size: size, apply: put, after: func() {}}) == nil {
		remove := func(tx *bolt.Tx) error { return tx.Bucket(metaBucket).Delete(trialKey) }
		_ = s.write(&change{apply: remove, after: func() {}}) // noted, and tried again then
	}
}

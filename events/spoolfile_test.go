package events

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/internal/layout"
	bolt "go.etcd.io/bbolt"
)

// wantOpenError wants a spool refused with an error that names the file.
func wantOpenError(t *testing.T, path string, o SpoolOptions, want error) {
	t.Helper()
	s, err := OpenSpool(path, o)
	if err == nil {
		_ = s.Close()
	}
	if !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
		t.Errorf("OpenSpool answers %v; want %q with the path", err, want)
	}
}

// filled answers the path of a closed spool with events in it.
func filled(t *testing.T, o SpoolOptions) string {
	t.Helper()
	path := spoolPath(t)
	s := openSpool(t, path, o)
	for _, q := range s.queues {
		put(t, q, numbered(1, 2000)...)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestASpoolInUseIsNotOpenedASecondTime(t *testing.T) {
	path := spoolPath(t)
	s := openSpool(t, path, SpoolOptions{})
	wantOpenError(t, path, SpoolOptions{}, ErrSpoolLocked)
	put(t, s.queues[0], "a") // the first one goes on
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openSpool(t, path, SpoolOptions{})
}

func TestASpoolOfANewerVersionIsRefused(t *testing.T) {
	path := filled(t, SpoolOptions{})
	alter(t, path, func(tx *bolt.Tx) error { return tx.Bucket(metaBucket).Put(formatKey, []byte("2")) })
	wantOpenError(t, path, SpoolOptions{}, ErrSpoolVersion)
	alter(t, path, func(tx *bolt.Tx) error { return tx.Bucket(metaBucket).Put(formatKey, []byte("one")) })
	wantOpenError(t, path, SpoolOptions{}, ErrSpoolCorrupt)
}

func TestASpoolWithEventsKeepsItsNumberOfLanes(t *testing.T) {
	two := SpoolOptions{Layout: layout.Layout{Lanes: 2}}
	path := filled(t, two)
	wantOpenError(t, path, SpoolOptions{}, ErrSpoolLanes)
	s := openSpool(t, path, two)
	for _, q := range s.queues {
		batch, err := q.read(nil, 2000, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if err := q.drop(batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openSpool(t, path, SpoolOptions{}) // an empty one may change it
}

// alter changes a closed spool.
func alter(t *testing.T, path string, change func(*bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Update(change); err != nil {
		t.Fatal(err)
	}
}

func TestAnotherProgramsDatabaseIsNoSpool(t *testing.T) {
	path := spoolPath(t)
	alter(t, path, func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket([]byte("somebody else's"))
		return err
	})
	wantOpenError(t, path, SpoolOptions{}, ErrSpoolCorrupt)
}

func TestADamagedFileIsRefusedWithoutAPanic(t *testing.T) {
	whole, err := os.ReadFile(filled(t, SpoolOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	cases := map[string][]byte{
		"text":                   []byte("this is no spool"),
		"a page of text":         bytes.Repeat([]byte("text"), page),
		"both heads zeroed":      append(make([]byte, 2*page), whole[2*page:]...),
		"all but heads zeroed":   append(bytes.Clone(whole[:2*page]), make([]byte, len(whole)-2*page)...),
		"all but heads scribble": append(bytes.Clone(whole[:2*page]), bytes.Repeat([]byte{0xff}, len(whole)-2*page)...),
	}
	for _, length := range []int{1, page, 2 * page, 3 * page, 5*page + 7, len(whole) / 2} {
		cases[fmt.Sprintf("cut after %d bytes", length)] = whole[:length]
	}
	for name, content := range cases {
		t.Run(name, func(t *testing.T) {
			path := spoolPath(t)
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			wantOpenError(t, path, SpoolOptions{}, ErrSpoolCorrupt)
			if left, err := os.ReadFile(path); err != nil || !bytes.Equal(left, content) {
				t.Errorf("the refused file was altered, %v", err)
			}
			// It is not held locked either.
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			openSpool(t, path, SpoolOptions{})
		})
	}
}

func TestATornLastWriteLosesOnlyItself(t *testing.T) {
	// A transaction ends by writing one of two heads in turn; the other one then
	// still leads to what was there before.
	last, before := filled(t, SpoolOptions{}), filled(t, SpoolOptions{})
	for path, c := range map[string]struct{ head, want int }{before: {0, 2000}, last: {1, 0}} {
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt(make([]byte, 512), int64(c.head*os.Getpagesize())); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		if n := openSpool(t, path, SpoolOptions{}).Len(); n != c.want {
			t.Errorf("without head %d there are %d events; want %d", c.head, n, c.want)
		}
	}
}

func TestAPathThatCannotBeWrittenIsNamed(t *testing.T) {
	wantOpenError(t, filepath.Join(t.TempDir(), "missing", "spool"), SpoolOptions{}, fs.ErrNotExist)
	if os.Geteuid() != 0 { // root may write anywhere
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		wantOpenError(t, filepath.Join(dir, "spool"), SpoolOptions{}, fs.ErrPermission)
	}
}

package events

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"testing"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
	bolt "go.etcd.io/bbolt"
)

// spoolOf answers the path of a closed spool with events of several users.
func spoolOf(t *testing.T, l layout.Layout, ids ...string) string {
	t.Helper()
	path := spoolPath(t)
	s := openSpool(t, path, SpoolOptions{Layout: l})
	p := NewPublisher(Options{Client: newClient(t, "127.0.0.1:1"), Layout: l, Spool: s})
	for i, id := range ids {
		e := newEvent(id)
		e.User = "user" + string(rune('0'+i%4))
		if err := p.Publish(t.Context(), []Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestASpoolIsReadWithoutBeingChanged(t *testing.T) {
	l := layout.Layout{Lanes: 4}
	path := spoolOf(t, l, numbered(1, 20)...)
	alter(t, path, func(tx *bolt.Tx) error {
		return tx.Bucket(refusedBucket).Put(sequenceKey(1), []byte("no record"))
	})
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = ReadSpool(path, func(one Spooled) error {
		switch {
		case one.Refused && errors.Is(one.Err, errRecord):
			got = append(got, "unreadable")
		case one.Lane != l.Of(one.Event.User).Number || one.Time.IsZero():
			t.Errorf("%s of %s is in lane %d since %s", one.Event.ID, one.Event.User, one.Lane, one.Time)
		default:
			got = append(got, one.Event.ID)
		}
		return nil
	})
	slices.Sort(got)
	if err != nil || !slices.Equal(got, append(numbered(1, 20), "unreadable")) {
		t.Errorf("read %v, %v", got, err)
	}
	if lanes, err := SpoolLanes(path); err != nil || lanes != 4 {
		t.Errorf("%d lanes, %v; want 4", lanes, err)
	}
	if after, err := os.ReadFile(path); err != nil || !slices.Equal(before, after) {
		t.Errorf("the file was changed, %v", err)
	}
	stop := errors.New("enough")
	if err := ReadSpool(path, func(Spooled) error { return stop }); err != stop {
		t.Errorf("ReadSpool answers %v; want visit's own error", err)
	}
	if err := ReadSpool(spoolPath(t), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no file: %v", err)
	}
}

func TestADrainBringsEverythingToRedisInOrderAndWhatWasRefusedToo(t *testing.T) {
	redistest.Run(t, func(t *testing.T, r *redistest.Server) {
		path := spoolOf(t, layout.Layout{}, numbered(1, 1500)...)
		s := openSpool(t, path, SpoolOptions{})
		batch, err := s.queues[0].read(nil, 500, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range batch {
			if err := s.queues[0].setAside(one); err != nil {
				t.Fatal(err)
			}
		}
		alter := &change{apply: func(tx *bolt.Tx) error {
			return tx.Bucket(refusedBucket).Put(sequenceKey(1<<40), []byte("no record"))
		}, after: func() { s.refused.Add(1) }}
		if err := s.write(alter); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Readmit(layout.Layout{}); err != nil || n != 500 || s.Refused() != 1 || s.Len() != 1500 {
			t.Fatalf("readmitted %d, %v; %d refused, %d waiting", n, err, s.Refused(), s.Len())
		}
		p := NewPublisher(Options{Client: newClient(t, r.Addr), Spool: s})
		if n, err := p.Drain(t.Context()); err != nil || n != 1500 || s.Len() != 0 {
			t.Errorf("drained %d, %v; %d are left", n, err, s.Len())
		}
		want := append(numbered(501, 1500), numbered(1, 500)...)
		if got := once(ids(t, r.Client, lane0.Events())); !slices.Equal(got, want) {
			t.Errorf("the list has %d events, or out of order", len(got))
		}
	})
}

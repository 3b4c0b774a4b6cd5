package events

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
)

func TestAnEventIsSafeOnceAReplicaHasIt(t *testing.T) {
	master := redistest.Real(t)
	replica := redistest.Replica(t, master)
	p := NewPublisher(Options{Client: newClient(t, master.Addr), Replicas: 1, Deadline: time.Second})
	publish(t, p, numbered(1, 600)...)
	if got := ids(t, replica.Client, lane0.Events()); !slices.Equal(got, numbered(1, 600)) {
		t.Errorf("when Publish returns the replica has %d events; want 600 in order", len(got))
	}
	if err := master.Client.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	publish(t, p, "after the flush")
	replica.Stop(t)
	// Without a spool there is nowhere else: the event is on the master's list,
	// and does not count as safe.
	for _, id := range []string{"alone", "alone too"} {
		if err := p.Publish(t.Context(), []Event{newEvent(id)}); !errors.Is(err, ErrNowhere) || !errors.Is(err, ErrTooFewReplicas) {
			t.Errorf("without the replica Publish answers %v; want ErrNowhere with ErrTooFewReplicas", err)
		}
	}
	if n := master.Client.LLen(t.Context(), lane0.Events()).Val(); n != 603 {
		t.Errorf("the master has %d events; want 603", n)
	}
}

func TestTheSpoolKeepsACopyUntilReplicasHaveTheEvent(t *testing.T) {
	master := redistest.Real(t)
	replica := redistest.Replica(t, master)
	spool := openSpool(t, spoolPath(t), SpoolOptions{})
	p := NewPublisher(Options{Client: newClient(t, master.Addr), Replicas: 1, Spool: spool})
	run(t, p)
	publish(t, p, "before")
	replica.Stop(t)
	want := numbered(1, 1500)
	for chunk := range slices.Chunk(want, 100) {
		publish(t, p, chunk...)
	}
	// The master has them all, for delivery, and so has the spool.
	eventually(t, "the master has all", func() bool {
		return slices.Equal(once(ids(t, master.Client, lane0.Events())), append([]string{"before"}, want...))
	})
	if n := spool.Len(); n != 1500 {
		t.Errorf("the spool has %d events; want 1500", n)
	}
	again := master.Client.LLen(t.Context(), lane0.Events()).Val()
	replica.Start(t)
	eventually(t, "the spool is empty", func() bool { return spool.Len() == 0 })
	if n := master.Client.LLen(t.Context(), lane0.Events()).Val(); n != again {
		t.Errorf("%d events were sent again, though the master never went", n-again)
	}
	// The outage ends a moment after the spool is empty; until then it takes what comes.
	direct := func() float64 { return testutil.ToFloat64(p.metrics.published[toRedis]) }
	before, n := direct(), 0
	eventually(t, "events go to Redis directly again", func() bool {
		n++
		publish(t, p, fmt.Sprint("after ", n))
		return direct() > before
	})
}

func TestWhatALostMasterAloneHadIsSentAgain(t *testing.T) {
	master := redistest.Real(t, "--appendonly", "no") // a restart forgets everything
	replica := redistest.Replica(t, master)
	spool := openSpool(t, spoolPath(t), SpoolOptions{})
	p := NewPublisher(Options{Client: newClient(t, master.Addr), Replicas: 1, Spool: spool})
	run(t, p)
	replica.Stop(t)
	want := numbered(1, 300)
	publish(t, p, want...)
	eventually(t, "the master has all", func() bool { return len(once(ids(t, master.Client, lane0.Events()))) == 300 })
	master.Kill(t)
	master.Start(t)
	replica.Start(t)
	eventually(t, "the spool is empty", func() bool { return spool.Len() == 0 })
	if got := once(ids(t, replica.Client, lane0.Events())); !slices.Equal(got, want) {
		t.Errorf("the replica has %d events; want 300 in order", len(got))
	}
}

func TestOnAClusterEachLaneWaitsForItsOwnMastersReplica(t *testing.T) {
	nodes := redistest.Cluster(t)
	l := layout.Layout{Lanes: 16}
	o := &redis.UniversalOptions{Addrs: nodes.Addrs}
	PublishOptions(o)
	client := redis.NewUniversalClient(o)
	t.Cleanup(func() { _ = client.Close() })
	spool := openSpool(t, spoolPath(t), SpoolOptions{Layout: l})
	p := NewPublisher(Options{Client: client, Layout: l, Replicas: 1, Spool: spool})
	run(t, p)
	send := func(first, last int) {
		for _, id := range numbered(first, last) {
			e := newEvent(id)
			e.User = fmt.Sprint("user ", id)
			if err := p.Publish(t.Context(), []Event{e}); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(1, 200)
	lost := nodes.MasterOf(t, l.Lane(3).Prefix)
	lost.Kill(t)
	send(201, 600)
	// Back before that it would be the master again, without what its append-only
	// file had not yet: docs/durability.md.
	nodes.MasterOf(t, l.Lane(3).Prefix)
	nodes.MoveSlot(t, l.Lane(5).Prefix, other(t, nodes, l.Lane(5).Prefix, lost))
	send(601, 800)
	// Its replica has been promoted and has none of its own: the spool keeps what
	// is published there until the old master is back as a replica.
	lost.Start(t)
	eventually(t, "the spool is empty", func() bool { return spool.Len() == 0 })
	var got []string
	for _, lane := range l.All() {
		got = append(got, once(ids(t, nodes.Client, lane.Events()))...)
	}
	slices.Sort(got)
	if !slices.Equal(got, numbered(1, 800)) {
		t.Errorf("%d events are on the lists; want 800", len(got))
	}
}

// other answers a master that neither has the key's slot nor was lost.
func other(t *testing.T, nodes *redistest.Nodes, key string, lost *redistest.Server) *redistest.Server {
	t.Helper()
	has := nodes.MasterOf(t, key)
	for _, s := range nodes.Servers[:3] {
		if s != has && s != lost {
			return s
		}
	}
	t.Fatal("no other master")
	return nil
}

package events

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
)

func TestWithoutRedisEventsGoToTheSpoolAndNoCallIsSlow(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		spool := openSpool(t, spoolPath(t), SpoolOptions{})
		p := NewPublisher(Options{Client: newClient(t, s.Addr), Spool: spool})
		publish(t, p, "before")
		s.Stop(t)
		for _, id := range numbered(1, 50) {
			start := time.Now()
			publish(t, p, id)
			if took := time.Since(start); took > time.Second {
				t.Errorf("publishing took %s; a second is promised", took)
			}
		}
		if n := spool.Len(); n != 50 {
			t.Errorf("%d events in the spool; want 50", n)
		}
	})
}

func TestWhatWasSpooledIsReplayedInOrderWhenRedisIsBack(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		spool := openSpool(t, spoolPath(t), SpoolOptions{})
		p := NewPublisher(Options{Client: newClient(t, s.Addr), Spool: spool})
		run(t, p)
		want := numbered(1, 700)
		publish(t, p, want[:10]...)
		s.Stop(t)
		publish(t, p, want[10:20]...)
		publish(t, p, want[20:690]...)
		s.Start(t)
		eventually(t, "the spool is empty", func() bool { return spool.Len() == 0 })
		publish(t, p, want[690:]...)
		if got := once(ids(t, s.Client, lane0.Events())); !slices.Equal(got, want) {
			t.Errorf("the list has %v", got)
		}
		if spool.Bytes() != 0 || spool.Age(time.Now()) != 0 {
			t.Errorf("the empty spool has %d bytes and is %s old", spool.Bytes(), spool.Age(time.Now()))
		}
	})
}

func TestAKilledProcessLosesNothingThatWasSpooled(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		path := spoolPath(t)
		s.Stop(t)
		spool := openSpool(t, path, SpoolOptions{})
		publish(t, NewPublisher(Options{Client: newClient(t, s.Addr), Spool: spool}), numbered(1, 1000)...)
		if err := spool.Close(); err != nil { // as the kernel does for a dead process
			t.Fatal(err)
		}
		s.Start(t)
		spool = openSpool(t, path, SpoolOptions{})
		if n := spool.Len(); n != 1000 {
			t.Fatalf("%d events in the spool opened again; want 1000", n)
		}
		p := NewPublisher(Options{Client: newClient(t, s.Addr), Spool: spool})
		publish(t, p, numbered(1001, 1001)...) // queues behind what is there
		run(t, p)
		eventually(t, "the spool is empty", func() bool { return spool.Len() == 0 })
		if got := once(ids(t, s.Client, lane0.Events())); !slices.Equal(got, numbered(1, 1001)) {
			t.Errorf("%d events on the list, or out of order; want 1001 in order", len(got))
		}
	})
}

func TestABlackHoledRedisIsTriedOnceAndNotByTheNextOnes(t *testing.T) {
	addr, dialled := blackHole(t)
	spool := openSpool(t, spoolPath(t), SpoolOptions{})
	p := NewPublisher(Options{Client: newClient(t, addr), Spool: spool})
	start := time.Now()
	publish(t, p, "first")
	if took := time.Since(start); took < DefaultDeadline || took > time.Second {
		t.Errorf("the first publish took %s; the deadline is %s", took, DefaultDeadline)
	}
	if n := dialled.Load(); n != 1 {
		t.Fatalf("Redis was dialled %d times for one publish; want 1", n)
	}
	for _, id := range numbered(1, 20) {
		publish(t, p, id)
	}
	if n := dialled.Load(); n != 1 {
		t.Errorf("Redis was dialled %d times; the breaker keeps all but the first from it", n)
	}
	if n := spool.Len(); n != 21 {
		t.Errorf("%d events in the spool; want 21", n)
	}
}

func TestRunEndsThoughRedisIsABlackHole(t *testing.T) {
	addr, dialled := blackHole(t)
	spool := openSpool(t, spoolPath(t), SpoolOptions{})
	p := NewPublisher(Options{Client: newClient(t, addr), Spool: spool, Deadline: 20 * time.Millisecond})
	publish(t, p, "first")
	stop := run(t, p)
	eventually(t, "replay probes", func() bool { return dialled.Load() > 1 })
	stop()
	if n := spool.Len(); n != 1 {
		t.Errorf("%d events in the spool after the end; want 1", n)
	}
}

func TestWithNeitherRedisNorSpoolTheEventIsNowhere(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		log, told := newLog()
		p := NewPublisher(Options{Client: newClient(t, s.Addr), Log: log})
		run(t, p)
		s.Stop(t)
		for range 2 {
			if err := p.Publish(t.Context(), []Event{newEvent("a"), newEvent("b")}); !errors.Is(err, ErrNowhere) {
				t.Errorf("Publish answers %v; want ErrNowhere", err)
			}
		}
		if n := testutil.ToFloat64(p.metrics.lost); n != 4 {
			t.Errorf("%v events counted as lost; want 4", n)
		}
		loud := slices.DeleteFunc(told.lines(), func(line string) bool { return !strings.Contains(line, "EVENTS LOST") })
		if len(loud) != 1 || !strings.Contains(loud[0], "level=ERROR") || !strings.Contains(loud[0], "count=2") {
			t.Errorf("the log about losses is %q; want one line at once", loud)
		}
		s.Start(t)
		eventually(t, "Redis takes events again", func() bool {
			return p.Publish(t.Context(), []Event{newEvent("c")}) == nil
		})
	})
}

func TestAReplyThatSaysNoSpoolsTheEvent(t *testing.T) {
	for _, reply := range []string{"OOM command not allowed when used memory > 'maxmemory'.", "READONLY You can't write against a read only replica.",
		"LOADING Redis is loading the dataset in memory", "NOAUTH Authentication required.", "MISCONF Redis is configured to save RDB snapshots",
		"CLUSTERDOWN The cluster is down", "ERR something that nobody has heard of"} {
		t.Run(reply, func(t *testing.T) {
			s := miniredis.RunT(t)
			client := newClient(t, s.Addr())
			if err := client.Ping(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			spool := openSpool(t, spoolPath(t), SpoolOptions{})
			p := NewPublisher(Options{Client: client, Spool: spool})
			s.SetError(reply)
			publish(t, p, "a", "b")
			if n := spool.Len(); n != 2 {
				t.Fatalf("%d events in the spool; want 2", n)
			}
			run(t, p)
			s.SetError("")
			eventually(t, "the spool is empty", func() bool { return spool.Len() == 0 })
			if got := once(ids(t, client, lane0.Events())); !slices.Equal(got, []string{"a", "b"}) || spool.Refused() != 0 {
				t.Errorf("the list has %v, and %d are refused", got, spool.Refused())
			}
		})
	}
}

func TestAFullRedisKeepsEventsInTheSpoolUntilThereIsRoom(t *testing.T) {
	s := redistest.Real(t)
	spool := openSpool(t, spoolPath(t), SpoolOptions{})
	p := NewPublisher(Options{Client: newClient(t, s.Addr), Spool: spool})
	setMaxMemory := func(value string) {
		if err := s.Client.ConfigSet(t.Context(), "maxmemory", value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	setMaxMemory("1")
	run(t, p)
	publish(t, p, "a")
	eventually(t, "replay has tried", func() bool { return p.lanes[0].outage.Load() != nil && spool.Len() == 1 })
	setMaxMemory("0")
	eventually(t, "the spool is empty", func() bool { return spool.Len() == 0 })
	if got := once(ids(t, s.Client, lane0.Events())); !slices.Equal(got, []string{"a"}) || spool.Refused() != 0 {
		t.Errorf("the list has %v, and %d are refused", got, spool.Refused())
	}
}

func TestAClientMadeOtherwiseIsWarnedOf(t *testing.T) {
	log, told := newLog()
	NewPublisher(Options{Client: newClient(t, "127.0.0.1:1"), Log: log})
	if lines := told.lines(); len(lines) != 0 {
		t.Errorf("a client made with PublishOptions is warned of: %v", lines)
	}
	NewPublisher(Options{Client: redistest.NewClient(t, "127.0.0.1:1"), Log: log})
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}})
	t.Cleanup(func() { _ = cluster.Close() })
	NewPublisher(Options{Client: cluster, Log: log})
	if lines := told.lines(); len(lines) != 2 {
		t.Errorf("warnings of two clients with go-redis' defaults: %v", lines)
	}
}

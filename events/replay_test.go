package events

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	bolt "go.etcd.io/bbolt"
)

func TestOrderHoldsPerCallerAcrossAnOutageUnderLoad(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		spool := openSpool(t, spoolPath(t), SpoolOptions{})
		p := NewPublisher(Options{Client: newClient(t, s.Addr), Spool: spool})
		run(t, p)
		stop := make(chan struct{})
		var callers sync.WaitGroup
		var sent [4]int
		for c := range sent {
			callers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						publish(t, p, fmt.Sprintf("%d %06d", c, sent[c]))
						sent[c]++
					}
				}
			})
		}
		published := func(to string) float64 { return testutil.ToFloat64(p.metrics.published[to]) }
		eventually(t, "events go to Redis", func() bool { return published(toRedis) > 50 })
		s.Stop(t)
		eventually(t, "events go to the spool", func() bool { return published(toSpool) > 500 })
		s.Start(t)
		// The load goes on: this waits for the spool to become empty all the same.
		direct := published(toRedis)
		eventually(t, "events go to Redis again", func() bool { return published(toRedis) > direct+50 })
		close(stop)
		callers.Wait()
		eventually(t, "the spool is empty", func() bool { return spool.Len() == 0 })
		all := once(ids(t, s.Client, lane0.Events()))
		if want := sent[0] + sent[1] + sent[2] + sent[3]; len(all) != want {
			t.Errorf("%d events on the list; want %d", len(all), want)
		}
		assertOrderPerCaller(t, all)
	})
}

// pushes calls a function before each push of events.
type pushes struct {
	trips
	before func()
}

func (h *pushes) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if len(cmd.Args()) > 5 { // EVALSHA, hash, 1, lane, count, elements …
			h.before()
		}
		return next(ctx, cmd)
	}
}

func TestABusyAPIDoesNotKeepTheSpoolFromBecomingEmpty(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		client := newClient(t, s.Addr)
		spool := openSpool(t, spoolPath(t), SpoolOptions{})
		p := NewPublisher(Options{Client: client, Spool: spool})
		away(p)
		publish(t, p, numbered(1, 10)...)
		// During each replay one more event is published, so that without a pause
		// for the last of them there would always be one left.
		next := 11
		handedOver := make(chan struct{})
		var waiting sync.WaitGroup
		client.AddHook(&pushes{before: func() {
			switch l := p.lanes[0]; {
			case next > 1000 || isClosed(handedOver):
			case l.turn.TryLock():
				l.turn.Unlock()
				publish(t, p, numbered(next, next)...)
				l.waiting.settle() // so that the turn is free but for a handover
				next++
			default:
				close(handedOver)
				waiting.Go(func() { publish(t, p, numbered(next, next)...) })
			}
		}})
		run(t, p)
		eventually(t, "the spool is empty", func() bool { return spool.Len() == 0 && isClosed(handedOver) })
		waiting.Wait()
		if got := ids(t, s.Client, lane0.Events()); !slices.Equal(got, numbered(1, next)) {
			t.Errorf("the list has %v; want 1 to %d", got, next)
		}
		if n := testutil.ToFloat64(p.metrics.published[toRedis]); n != 1 {
			t.Errorf("%v events went to Redis directly; want the last one", n)
		}
	})
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// away makes a lane believe that Redis is, so that what is published is spooled.
func away(p *Publisher) {
	for _, l := range p.lanes {
		l.outage.Store(new(errors.New("away, for the test")))
	}
}

func TestSpooledEventsReachTheListTheyBelongOn(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		l := layout.Layout{Lanes: 3}
		spool := openSpool(t, spoolPath(t), SpoolOptions{Layout: l})
		p := NewPublisher(Options{Client: newClient(t, s.Addr), Layout: l, Spool: spool})
		away(p)
		want := map[string][]string{}
		for i, id := range numbered(1, 60) {
			e := newEvent(id)
			e.User = fmt.Sprint(i % 7)
			list := l.Of(e.User).Events()
			if i%5 == 0 {
				e.Parked, list = "user_unknown", l.Of(e.User).Parked()
			}
			want[list] = append(want[list], id)
			if err := p.Publish(t.Context(), []Event{e}); err != nil {
				t.Fatal(err)
			}
		}
		if spool.Len() != 60 {
			t.Fatalf("%d events in the spool; want 60", spool.Len())
		}
		run(t, p)
		eventually(t, "the spool is empty", func() bool { return spool.Len() == 0 })
		for list, events := range want {
			if got := ids(t, s.Client, list); !slices.Equal(got, events) {
				t.Errorf("%s has %v; want %v", list, got, events)
			}
		}
	})
}

func TestWhatASpoolHasNoRoomForGoesToARedisThatIsWell(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		spool := openSpool(t, spoolPath(t), SpoolOptions{MaxBytes: 200})
		p := NewPublisher(Options{Client: newClient(t, s.Addr), Spool: spool})
		away(p)
		publish(t, p, "in the spool")
		if err := p.Publish(t.Context(), []Event{newEvent("nowhere")}); !errors.Is(err, ErrNowhere) || !errors.Is(err, ErrSpoolFull) {
			t.Errorf("Publish answers %v; want ErrNowhere and ErrSpoolFull", err)
		}
		p.lanes[0].endOutage()
		publish(t, p, "in Redis")
		if got := ids(t, s.Client, lane0.Events()); !slices.Equal(got, []string{"in Redis"}) || spool.Len() != 1 {
			t.Errorf("the list has %v, the spool %d events", got, spool.Len())
		}
	})
}

func TestABrokenSpoolDoesNotKeepEventsFromRedis(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		spool := openSpool(t, spoolPath(t), SpoolOptions{})
		p := NewPublisher(Options{Client: newClient(t, s.Addr), Spool: spool})
		away(p)
		publish(t, p, "in the spool")
		if err := spool.guard(func() error { panic("the disk is gone") }); !errors.Is(err, ErrSpoolBroken) {
			t.Fatalf("guard answers %v; want ErrSpoolBroken", err)
		}
		if err := p.Publish(t.Context(), []Event{newEvent("nowhere")}); !errors.Is(err, ErrSpoolBroken) {
			t.Errorf("Publish answers %v; want ErrSpoolBroken", err)
		}
		run(t, p)
		eventually(t, "the outage is over", func() bool { return p.lanes[0].outage.Load() == nil })
		publish(t, p, "in Redis")
		if got := ids(t, s.Client, lane0.Events()); !slices.Equal(got, []string{"in Redis"}) {
			t.Errorf("the list has %v; want what was published last", got)
		}
	})
}

func TestWhatRedisHasIsNotSentAgainWhileTheDiskFails(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		spool := openSpool(t, spoolPath(t), SpoolOptions{Patience: time.Millisecond})
		p := NewPublisher(Options{Client: newClient(t, s.Addr), Spool: spool})
		spool.patience = time.Minute
		put(t, spool.queues[0], encoded(t, "a"), encoded(t, "b"))
		spool.patience = time.Millisecond
		release := block(t, spool)
		for range 3 {
			if err := p.lanes[0].round(t.Context()); !errors.Is(err, ErrSpoolStalled) {
				t.Errorf("a replay that cannot be noted answers %v; want ErrSpoolStalled", err)
			}
		}
		if got := ids(t, s.Client, lane0.Events()); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("the list has %v; want a, b once", got)
		}
		release()
		spool.changes.settle()
		spool.patience = time.Minute
		if err := p.lanes[0].round(t.Context()); err != nil || spool.Len() != 0 {
			t.Errorf("the round after answers %v and leaves %d events", err, spool.Len())
		}
		if n := s.Client.LLen(t.Context(), lane0.Events()).Val(); n != 2 {
			t.Errorf("%d events on the list; want 2", n)
		}
	})
}

func encoded(t testing.TB, id string) string {
	t.Helper()
	element, err := newEvent(id).Encode()
	if err != nil {
		t.Fatal(err)
	}
	return string(element)
}

func TestOneElementThatRedisNeverTakesDoesNotKeepTheOthers(t *testing.T) {
	s := redistest.Real(t)
	if err := s.Client.ConfigSet(t.Context(), "proto-max-bulk-len", "1mb").Err(); err != nil {
		t.Fatal(err)
	}
	path := spoolPath(t)
	spool := openSpool(t, path, SpoolOptions{})
	log, told := newLog()
	p := NewPublisher(Options{Client: newClient(t, s.Addr), Spool: spool, Log: log})
	away(p)
	publish(t, p, numbered(1, 20)...)
	large := newEvent("large")
	large.Payload = bytes.Repeat([]byte("x"), 2<<20)
	if err := p.Publish(t.Context(), []Event{large}); err != nil {
		t.Fatal(err)
	}
	publish(t, p, numbered(21, 40)...)
	run(t, p)
	eventually(t, "the spool is empty", func() bool { return spool.Len() == 0 })
	if got := once(ids(t, s.Client, lane0.Events())); !slices.Equal(got, numbered(1, 40)) {
		t.Errorf("the list has %v; want all but the large one", got)
	}
	if n := testutil.ToFloat64(p.metrics.refused); n != 1 || spool.Refused() != 1 || spool.Bytes() < 2<<20 {
		t.Errorf("%v counted, %d kept as refused in %d bytes; want 1", n, spool.Refused(), spool.Bytes())
	}
	if lines := strings.Join(told.lines(), ""); !strings.Contains(lines, "id=large") || len(lines) > 10_000 {
		t.Errorf("the log does not name the event, or has its payload:\n%.2000s", lines)
	}
}

func TestAnUnreadableRecordIsSetAside(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		spool := openSpool(t, spoolPath(t), SpoolOptions{})
		q := spool.queues[0]
		put(t, q, encoded(t, "a"), encoded(t, "b"), encoded(t, "c"), encoded(t, "d"))
		err := spool.db.Update(func(tx *bolt.Tx) error {
			b := tx.Bucket(q.bucket)
			scratched := slices.Clone(b.Get(sequenceKey(1)))
			scratched[recordHeader+3] ^= 1
			newer := slices.Clone(b.Get(sequenceKey(3)))
			newer[0]++
			return errors.Join(b.Put(sequenceKey(1), scratched), b.Put(sequenceKey(3), newer))
		})
		if err != nil {
			t.Fatal(err)
		}
		run(t, NewPublisher(Options{Client: newClient(t, s.Addr), Spool: spool}))
		eventually(t, "the spool is empty", func() bool { return spool.Len() == 0 })
		if got := ids(t, s.Client, lane0.Events()); !slices.Equal(got, []string{"b", "d"}) || spool.Refused() != 2 {
			t.Errorf("the list has %v and %d are set aside; want b, d and 2", got, spool.Refused())
		}
	})
}

func TestARedisThatRefusesEverythingIsWaitedFor(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		spool := openSpool(t, spoolPath(t), SpoolOptions{})
		p := NewPublisher(Options{Client: newClient(t, s.Addr), Spool: spool})
		// Somebody has put another type where the list belongs.
		if err := s.Client.Set(t.Context(), lane0.Events(), "in the way", 0).Err(); err != nil {
			t.Fatal(err)
		}
		publish(t, p, "a")
		for range 2 * maxStrikes {
			if err := p.lanes[0].round(t.Context()); err == nil {
				t.Error("a round that brought nothing to Redis answers nil")
			}
		}
		if spool.Len() != 1 || spool.Refused() != 0 {
			t.Errorf("%d events wait and %d are refused; want 1 and 0", spool.Len(), spool.Refused())
		}
		if err := s.Client.Del(t.Context(), lane0.Events()).Err(); err != nil {
			t.Fatal(err)
		}
		run(t, p)
		eventually(t, "the spool is empty", func() bool { return spool.Len() == 0 })
	})
}

func TestWhichErrorsCanMeanForEver(t *testing.T) {
	reply := func(text string) error { return redis.NewCmdResult(nil, redisError(text)).Err() }
	for err, want := range map[error]bool{
		reply("ERR Protocol error: invalid bulk length"):                                 true,
		reply("ERR string exceeds maximum allowed size"):                                 true,
		reply("OOM command not allowed when used memory > 'maxmemory'."):                 false,
		reply("ERR Error running script (call to f_1): @user_script:9: -OOM command no"): false,
		reply("READONLY You can't write against a read only replica."):                   false,
		reply("ERR max number of clients reached"):                                       false,
		reply("OOMPH is no code of Redis"):                                               true,
		errors.New("dial tcp: i/o timeout"):                                              false,
	} {
		if got := refusal(fmt.Errorf("wrapped: %w", err)); got != want {
			t.Errorf("refusal(%v) is %v; want %v", err, got, want)
		}
	}
}

// redisError is an error reply.
type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}

func TestPausesDoubleUpToALimitLessAShare(t *testing.T) {
	for failures, want := range []time.Duration{100, 200, 400, 800, 1600, 3200, 5000, 5000} {
		if got := backOff(failures, maxPause, 0); got != want*time.Millisecond {
			t.Errorf("after %d failures the pause is %s; want %s", failures, got, want*time.Millisecond)
		}
	}
	if got := backOff(1_000_000, maxPause, 0); got != maxPause {
		t.Errorf("after a million failures the pause is %s; want %s", got, maxPause)
	}
	if got := backOff(2, maxPause, 0.5); got != 300*time.Millisecond {
		t.Errorf("with half of the share taken off the pause is %s; want 300ms", got)
	}
	if got := backOff(9, maxPauseWithoutSpool, 0); got != maxPauseWithoutSpool {
		t.Errorf("without a spool the pause is %s; want %s", got, maxPauseWithoutSpool)
	}
}

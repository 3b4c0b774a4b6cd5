package events

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/layout"
	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
)

func TestEventsStandOnTheListOldestAtTheRight(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		p := NewPublisher(Options{Client: newClient(t, s.Addr)})
		publish(t, p, "a", "b", "c")
		publish(t, p, "d")
		if got, want := ids(t, s.Client, lane0.Events()), []string{"a", "b", "c", "d"}; !slices.Equal(got, want) {
			t.Errorf("oldest first the list has %v; want %v", got, want)
		}
		element, err := s.Client.RPop(t.Context(), lane0.Events()).Result()
		if err != nil {
			t.Fatal(err)
		}
		if want, _ := newEvent("a").Encode(); element != string(want) {
			t.Errorf("the element is %q; want %q", element, want)
		}
	})
}

func TestAnEventLeavesTheWakeTokenOnce(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		p := NewPublisher(Options{Client: newClient(t, s.Addr)})
		for range 3 {
			publish(t, p, NewID())
		}
		if tokens, err := s.Client.LRange(t.Context(), lane0.Wake(), 0, -1).Result(); err != nil || len(tokens) != 1 {
			t.Errorf("there are the tokens %v, %v; want one", tokens, err)
		}
	})
}

func TestAParkedEventIsKeptApartCountedAndTold(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		log, told := newLog()
		p := NewPublisher(Options{Client: newClient(t, s.Addr), Log: log})
		parked := newEvent("a")
		parked.User, parked.Parked, parked.Payload = "", "user_unknown", []byte(`"the payload"`)
		if err := p.Publish(t.Context(), []Event{parked}); err != nil {
			t.Fatal(err)
		}
		if n := s.Client.Exists(t.Context(), lane0.Events(), lane0.Wake()).Val(); n != 0 {
			t.Error("a parked event woke a worker or stands among those to dispatch")
		}
		if got := ids(t, s.Client, lane0.Parked()); !slices.Equal(got, []string{"a"}) {
			t.Errorf("parked are %v; want a", got)
		}
		lines := strings.Join(told.lines(), "")
		for _, word := range []string{"event=contact.create", "reason=user_unknown", "id=a"} {
			if !strings.Contains(lines, word) {
				t.Errorf("the log lacks %s:\n%s", word, lines)
			}
		}
		if strings.Contains(lines, "the payload") {
			t.Errorf("the log has the payload:\n%s", lines)
		}
	})
}

func TestABatchMayMixEventsAndParkedOnes(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		p := NewPublisher(Options{Client: newClient(t, s.Addr)})
		var batch []Event
		for i, id := range numbered(0, 599) { // more than one round trip takes
			e := newEvent(id)
			if i%3 == 0 {
				e.Parked = "user_unknown"
			}
			batch = append(batch, e)
		}
		if err := p.Publish(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		events, parked := ids(t, s.Client, lane0.Events()), ids(t, s.Client, lane0.Parked())
		if len(events) != 400 || len(parked) != 200 {
			t.Errorf("%d events and %d parked; want 400 and 200", len(events), len(parked))
		}
		if !slices.IsSorted(events) || !slices.IsSorted(parked) {
			t.Error("the order of the batch is lost")
		}
	})
}

func TestAnEventGoesToItsUsersLane(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		l := layout.Layout{Namespace: "other", Lanes: 4}
		p := NewPublisher(Options{Client: newClient(t, s.Addr), Layout: l})
		want := map[string][]string{}
		var batch []Event
		for i, id := range numbered(0, 99) {
			e := newEvent(id)
			e.User = fmt.Sprint("user", i%10)
			batch = append(batch, e)
			want[l.Of(e.User).Events()] = append(want[l.Of(e.User).Events()], id)
		}
		if err := p.Publish(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		if len(want) < 2 {
			t.Fatal("the users share one lane, and the test shows nothing")
		}
		for list, events := range want {
			if got := ids(t, s.Client, list); !slices.Equal(got, events) {
				t.Errorf("%s has %v; want %v", list, got, events)
			}
		}
	})
}

func TestAClientThatHangsUpDoesNotLoseTheEvent(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		p := NewPublisher(Options{Client: newClient(t, s.Addr)})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.Publish(ctx, []Event{newEvent("a")}); err != nil {
			t.Fatal(err)
		}
		if got := ids(t, s.Client, lane0.Events()); !slices.Equal(got, []string{"a"}) {
			t.Errorf("the list has %v; want a", got)
		}
	})
}

func TestPublishingNothingAsksNobody(t *testing.T) {
	p := NewPublisher(Options{Client: newClient(t, "127.0.0.1:1")})
	if err := p.Publish(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// trips counts the commands a client sends, and can hold the first one back.
type trips struct {
	sent atomic.Int64
	hold chan struct{} // the first command waits for its end
	held chan struct{} // closed when the first command waits
	once sync.Once
}

func (c *trips) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (c *trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.sent.Add(1)
		if c.hold != nil {
			c.once.Do(func() {
				close(c.held)
				<-c.hold
			})
		}
		return next(ctx, cmd)
	}
}

func TestConcurrentPublishesShareARoundTrip(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		client := newClient(t, s.Addr)
		p := NewPublisher(Options{Client: client})
		publish(t, p, "loads the script")
		count := &trips{hold: make(chan struct{}), held: make(chan struct{})}
		client.AddHook(count)
		var calls sync.WaitGroup
		calls.Go(func() { publish(t, p, "first") })
		<-count.held
		for i := range 100 {
			calls.Go(func() { publish(t, p, fmt.Sprint(i)) })
		}
		eventually(t, "100 publishes wait", func() bool {
			p.lanes[0].waiting.mu.Lock()
			defer p.lanes[0].waiting.mu.Unlock()
			return len(p.lanes[0].waiting.waiting) == 100
		})
		close(count.hold)
		calls.Wait()
		if n := count.sent.Load(); n != 2 {
			t.Errorf("101 publishes took %d round trips; want 2", n)
		}
		if n := s.Client.LLen(t.Context(), lane0.Events()).Val(); n != 102 {
			t.Errorf("%d events on the list; want 102", n)
		}
	})
}

func TestEachCallersOrderHoldsUnderConcurrency(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		p := NewPublisher(Options{Client: newClient(t, s.Addr)})
		var callers sync.WaitGroup
		for c := range 8 {
			callers.Go(func() {
				for i := range 50 {
					publish(t, p, fmt.Sprintf("%d %03d a", c, i), fmt.Sprintf("%d %03d b", c, i))
				}
			})
		}
		callers.Wait()
		all := ids(t, s.Client, lane0.Events())
		if len(all) != 800 {
			t.Errorf("%d events on the list; want 800", len(all))
		}
		assertOrderPerCaller(t, all)
	})
}

// assertOrderPerCaller wants ids that begin with "<caller> " sorted per caller.
func assertOrderPerCaller(t *testing.T, all []string) {
	t.Helper()
	last := map[string]string{}
	for _, id := range all {
		caller, _, _ := strings.Cut(id, " ")
		if id <= last[caller] {
			t.Fatalf("%q stands behind %q", id, last[caller])
		}
		last[caller] = id
	}
}

func TestOneLaneInAnOutageDoesNotHoldTheOthers(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		l := layout.Layout{Lanes: 2}
		spool := openSpool(t, spoolPath(t), SpoolOptions{Layout: l})
		p := NewPublisher(Options{Client: newClient(t, s.Addr), Layout: l, Spool: spool})
		one, other := newEvent("one"), newEvent("other")
		for one.User = "a"; l.Of(one.User) == l.Of(other.User); one.User += "a" {
		}
		away(p)
		p.lanes[l.Of(other.User).Number].endOutage()
		if err := p.Publish(t.Context(), []Event{one, other}); err != nil {
			t.Fatal(err)
		}
		if got := ids(t, s.Client, l.Of(other.User).Events()); !slices.Equal(got, []string{"other"}) || spool.Len() != 1 {
			t.Errorf("the list has %v and the spool %d events; want other, 1", got, spool.Len())
		}
	})
}

func TestAPublisherThatCannotWorkIsNotMade(t *testing.T) {
	spool := openSpool(t, spoolPath(t), SpoolOptions{})
	for name, o := range map[string]Options{
		"no client":      {},
		"another layout": {Client: newClient(t, "127.0.0.1:1"), Layout: layout.Layout{Lanes: 2}, Spool: spool},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: NewPublisher does not panic", name)
				}
			}()
			NewPublisher(o)
		}()
	}
}

func TestParkedEventsAreBoundedAndTheirLossIsTold(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		log, told := newLog()
		p := NewPublisher(Options{Client: newClient(t, s.Addr), Log: log, Deadline: time.Minute})
		const limit, over = 10_000, 7
		batch := make([]Event, limit+over)
		for i := range batch {
			batch[i] = newEvent(strconv.Itoa(i))
			batch[i].User, batch[i].Parked = "", "user_unknown"
		}
		for chunk := range slices.Chunk(batch, 1000) {
			if err := p.Publish(t.Context(), chunk); err != nil {
				t.Fatal(err)
			}
		}
		kept := ids(t, s.Client, lane0.Parked())
		if len(kept) != limit || kept[0] != strconv.Itoa(over) {
			t.Errorf("%d are kept, the oldest is %s; want %d and %d", len(kept), kept[0], limit, over)
		}
		if got := testutil.ToFloat64(p.metrics.dropped); got != over {
			t.Errorf("%v are counted as dropped; want %d", got, over)
		}
		if !strings.Contains(strings.Join(told.lines(), ""), "too many events are parked") {
			t.Error("the log does not tell of it")
		}
	})
}

// A worker is woken whenever the list may be one that nobody looks at.
func TestManyEventsAtOnceWakeAWorkerToo(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		p := NewPublisher(Options{Client: newClient(t, s.Addr)})
		woken := func() bool { return s.Client.Del(t.Context(), lane0.Wake()).Val() == 1 }
		publish(t, p, numbered(1, 10)...)
		if !woken() {
			t.Error("nobody was woken for an empty list")
		}
		publish(t, p, numbered(11, 20)...)
		if woken() {
			t.Error("somebody was woken for a list that is not empty")
		}
		if publish(t, p, "20.5"); woken() {
			t.Error("somebody was woken for one event behind others")
		}
		if n := s.Client.Del(t.Context(), lane0.Events()).Val(); n != 1 {
			t.Fatal("there was no list")
		}
		publish(t, p, numbered(21, 30)...)
		if !woken() {
			t.Error("nobody was woken for a list that had become empty")
		}
		p.lanes[0].unsure.Store(true) // as after a timeout
		publish(t, p, numbered(31, 40)...)
		if !woken() {
			t.Error("nobody was woken though nobody may have been before")
		}
		if got := ids(t, s.Client, lane0.Events()); !slices.Equal(got, numbered(21, 40)) {
			t.Errorf("the list has %v", got)
		}
		s.Client.Del(t.Context(), lane0.Events())
		if publish(t, p, "41"); !woken() {
			t.Error("nobody was woken for one event on a list that had become empty")
		}
	})
}

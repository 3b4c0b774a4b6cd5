package delivery

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// watch tells of every command that a client sends.
type watch struct{ sent chan time.Time }

func (w watch) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (w watch) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		w.sent <- time.Now()
		return next(ctx, cmd)
	}
}

func (w watch) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for range cmds {
			w.sent <- time.Now()
		}
		return next(ctx, cmds)
	}
}

func (r *rig) watchCommands() chan time.Time {
	w := watch{make(chan time.Time, 10_000)}
	r.client.AddHook(w)
	return w.sent
}

// unwatched answers a rig on the same Redis whose commands nobody counts.
func (r *rig) unwatched() *rig {
	client := redis.NewClient(r.client.(*redis.Client).Options())
	r.Cleanup(func() { _ = client.Close() })
	quiet := *r.queue
	quiet.client = client
	return &rig{TB: r.TB, queue: &quiet, server: r.server}
}

func TestAnIdleEngineSendsOneCommandAWait(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, status(200))
		r.subscribe("a", "contact.create", url)
		r.push(event(1)) // loads the scripts
		e := r.engine(nil)
		e.idle = time.Second
		r.run(e)
		r.arrive(got, 1)
		r.eventually("settled", func() bool { return r.stored() == 0 })
		sent := r.watchCommands()
		last := <-sent // the look at the end of a wait
		for range 2 {
			next := <-sent
			// A BLPOP and a look a wait: with 5 s of waiting, 0.4 commands a second.
			if gap := next.Sub(last); gap < e.idle*9/10 {
				r.Errorf("looked again after %s, want one look in %s", gap, e.idle)
			}
			last = next
		}
	})
}

func TestOneEventDoesNotWakeEveryIdleProcess(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, status(200))
		r.subscribe("a", "contact.create", url)
		const processes = 8
		idle := func() {
			e := r.engine(nil)
			e.idle = time.Minute
			r.run(e)
		}
		idle()
		r.push(event(1)) // loads the scripts
		r.arrive(got, 1)
		r.eventually("settled", func() bool { return r.stored() == 0 })
		sent := r.watchCommands()
		for range processes - 1 {
			idle()
			<-sent // dispatch
			<-sent // and claim: then it waits
		}
		const pushed = 10
		unwatched := r.unwatched()
		for i := range pushed {
			r.push(event(100 + i))
			r.arrive(got, 1)
			// The end of one delivery beside the next event is news of its own.
			r.eventually("settled", func() bool { return unwatched.stored() == 0 })
		}
		// A push and its wake, dispatch, claim, finish; a herd would be 2 * processes.
		if n := len(sent); n > pushed*processes {
			r.Errorf("%d commands for %d events: the processes wake each other", n, pushed)
		}
	})
}

func TestARetrySoonerThanTheWaitIsOnTime(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, statuses(500, 200))
		r.subscribe("a", "contact.create", url)
		e := r.engine(nil)
		e.idle = time.Hour // nothing but the token can be in time
		r.run(e)
		r.push(event(1))
		if n := r.arrive(got, 2)[1].header.Get("X-Hook-Attempt"); n != "2" {
			r.Errorf("attempt %s", n)
		}
	})
}

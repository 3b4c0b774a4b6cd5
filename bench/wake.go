package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/hookproxy/hookproxy/events"
)

const (
	// wakeSamples is how often each way to wake an idle engine is tried.
	wakeSamples = 50
	// idleFor is for how long idle engines are watched: longer than they ever block.
	idleFor = 11 * time.Second
	// newEvent is what the mark is about.
	newEvent = "a new event"
	// firstPost is how soon the first POST of a new event may start, by the median.
	firstPost = 5 * time.Millisecond
)

// sleeper is a subscription that an idle engine delivers to.
type sleeper struct {
	*stage
	id, api string
}

// woken measures how soon an idle engine's first POST comes, and what two idle ones
// send to Redis.
func woken(ctx context.Context, b *bench) error {
	s, err := b.newStage(ctx, 0)
	if err != nil {
		return err
	}
	defer s.close()
	front, err := s.startHookproxy(ctx, s.receiver.addr, s.redis.addr, unmatchedRules(1))
	if err != nil {
		return err
	}
	defer front.stop() // a second time does nothing
	z := &sleeper{stage: s, api: "http://" + front.addr + "/api/v1/subscription/"}
	if err := z.subscribe(ctx); err != nil {
		return err
	}
	engines := make([]*process, 2)
	for i := range engines {
		if engines[i], err = s.startEngine(); err != nil {
			return err
		}
		defer engines[i].stop()
	}
	t := b.report.keep(newTable("From what wakes an idle engine to the first POST, of two engines", nil, p50Column, p99Column))
	for _, w := range []struct {
		name string
		wake func(context.Context, int) (time.Time, error)
	}{
		{newEvent, z.newEvent}, {"a subscription made active", z.resume}, {"a redelivery asked for", z.redeliver}, {"the end of the one before, in order", z.inOrder},
	} {
		if err := z.measure(ctx, t, w.name, w.wake); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	t.judge("a new event within 5 ms", float64(t.p50(newEvent)), float64(firstPost), func(r float64) bool { return r <= 1 })
	front.stop()
	return z.idle(ctx, t)
}

func (z *sleeper) subscribe(ctx context.Context) error {
	wish := map[string]string{"event": eventNames(1)[0], "target_url": z.target(), "secret": secret, "format": "raw"}
	var made struct{ ID string }
	err := z.ask(ctx, http.MethodPost, z.api, wish, &made)
	z.id = made.ID
	return err
}

// ask sends JSON and reads the JSON of an answer that must be a success, unless
// hear is nil.
func (z *sleeper) ask(ctx context.Context, method, url string, say, hear any) error {
	body, err := json.Marshal(say)
	if err != nil {
		return err
	}
	res, err := z.send(ctx, method, url, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s answered %s", method, url, res.Status)
	}
	if hear == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(hear)
}

// measure wakes the engines again and again, and adds how long each took.
func (z *sleeper) measure(ctx context.Context, t *table, name string, wake func(context.Context, int) (time.Time, error)) error {
	var took []time.Duration
	for i := range wakeSamples + 1 {
		if err := z.post(ctx, "http://"+z.receiver.addr+"/reset", nil, http.StatusOK); err != nil {
			return err
		}
		began, err := wake(ctx, i)
		if err != nil {
			return err
		}
		came, err := z.last(ctx)
		if err != nil {
			return err
		}
		if i > 0 { // the first one connects
			took = append(took, came.Sub(began))
		}
	}
	slices.Sort(took)
	t.add(name, measurement{p50: took[len(took)/2], p99: took[len(took)*99/100]})
	return nil
}

// last answers when the receiver got its latest event, and waits until the engines
// have settled.
func (z *sleeper) last(ctx context.Context) (time.Time, error) {
	got, err := z.await(ctx, 1)
	if err != nil {
		return time.Time{}, err
	}
	err = z.until(ctx, "no delivery is under way", func() (bool, error) {
		left, err := z.client.Exists(ctx, "hookproxy:{0}:leases").Result()
		return left == 0, err
	})
	return got.Last, err
}

// await waits until the receiver has so many events.
func (z *sleeper) await(ctx context.Context, events int) (got tally, err error) {
	err = z.until(ctx, fmt.Sprintf("%d events arrive", events), func() (bool, error) {
		got, err = z.tally(ctx)
		return got.Distinct >= events, err
	})
	return got, err
}

// until asks again and again, for as long as a delivery may take.
func (z *sleeper) until(ctx context.Context, what string, yes func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, deliveryTimeout)
	defer cancel()
	for {
		switch done, err := yes(); {
		case err != nil:
			return err
		case done:
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// give puts an event onto the list and leaves a token, as a publisher does.
func (z *sleeper) give(ctx context.Context, number int) error {
	e := events.Event{ID: events.NewID(), Name: eventNames(1)[0], User: "bench", Resource: fmt.Sprint(number), Time: time.Now(), Payload: body(payloadSize)}
	element, err := e.Encode()
	if err != nil {
		return err
	}
	pipe := z.client.TxPipeline()
	pipe.LPush(ctx, hookproxyEvents, element)
	pipe.LPush(ctx, "hookproxy:{0}:wake", "1")
	_, err = pipe.Exec(ctx)
	return err
}

func (z *sleeper) newEvent(ctx context.Context, number int) (time.Time, error) {
	began := time.Now()
	return began, z.give(ctx, number)
}

// resume has an event wait for its inactive subscription, and makes that active.
func (z *sleeper) resume(ctx context.Context, number int) (time.Time, error) {
	if err := z.change(ctx, "active", false); err != nil {
		return time.Time{}, err
	}
	if err := z.give(ctx, number); err != nil {
		return time.Time{}, err
	}
	err := z.until(ctx, "the event is dispatched", func() (bool, error) {
		waiting, err := z.client.Exists(ctx, hookproxyEvents).Result()
		return waiting == 0, err
	})
	if err != nil {
		return time.Time{}, err
	}
	began := time.Now()
	return began, z.change(ctx, "active", true)
}

// redeliver has an event given up, and asks for it again. It subscribes anew each
// time, because only so many redeliveries of a subscription are remembered.
func (z *sleeper) redeliver(ctx context.Context, number int) (time.Time, error) {
	if err := z.ask(ctx, http.MethodDelete, z.api+z.id, nil, nil); err != nil {
		return time.Time{}, err
	}
	if err := z.subscribe(ctx); err != nil {
		return time.Time{}, err
	}
	if err := z.change(ctx, "target_url", "http://"+z.receiver.addr+"/moved"); err != nil {
		return time.Time{}, err
	}
	if err := z.give(ctx, number); err != nil {
		return time.Time{}, err
	}
	err := z.until(ctx, "the event is given up", func() (bool, error) {
		var page []struct{ State string }
		err := z.ask(ctx, http.MethodGet, z.api+z.id+"/missed?data=false", nil, &page)
		return len(page) == 1 && page[0].State == "dead", err
	})
	if err != nil {
		return time.Time{}, err
	}
	if err := z.change(ctx, "target_url", z.target()); err != nil {
		return time.Time{}, err
	}
	began := time.Now()
	return began, z.ask(ctx, http.MethodPost, z.api+z.id+"/redeliver", map[string]bool{"missed": true}, nil)
}

// inOrder answers when the first of two events was done, behind which the
// second had to wait.
func (z *sleeper) inOrder(ctx context.Context, number int) (time.Time, error) {
	if err := z.change(ctx, "ordered", true); err != nil {
		return time.Time{}, err
	}
	for range 2 {
		if err := z.give(ctx, number); err != nil {
			return time.Time{}, err
		}
	}
	got, err := z.await(ctx, 2)
	return got.First, err
}

func (z *sleeper) change(ctx context.Context, field string, to any) error {
	return z.ask(ctx, http.MethodPatch, z.api+z.id, map[string]any{field: to}, nil)
}

// idle counts what two idle processes that deliver send.
func (z *sleeper) idle(ctx context.Context, t *table) error {
	before, err := z.sent(ctx)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(idleFor):
	}
	after, err := z.sent(ctx)
	if err != nil {
		return err
	}
	rate := float64(after-before-1) / idleFor.Seconds() // but for our own question
	t.judge("fewer than 1 command a second of two idle processes, the looks at whether Redis is there included", rate, 1, func(r float64) bool { return r < 1 })
	return nil
}

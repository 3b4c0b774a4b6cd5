package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hookproxy/hookproxy/events"
)

const (
	// payloadSize is that of an event's payload, in bytes.
	payloadSize = 512
	// subscribers is how many subscriptions the events go to, one each.
	subscribers = 100
	// pollEvery is how often the receiver is asked whether it has everything.
	pollEvery = 50 * time.Millisecond
	// deliveryTimeout is how long a worker may take for its events.
	deliveryTimeout = 2 * time.Minute
)

// stage is what a delivery section works with: a Redis, a receiver, and hookproxy's
// subscriptions.
type stage struct {
	*bench
	redis, receiver *process
	client          *redis.Client
}

func (b *bench) newStage(ctx context.Context, after time.Duration) (s *stage, err error) {
	s = &stage{bench: b}
	if s.redis, err = b.startRedis(ctx); err != nil {
		return nil, err
	}
	s.client = redis.NewClient(&redis.Options{Addr: s.redis.addr})
	s.receiver, err = b.listening(ctx, "receiver", func(addr string) []string {
		return []string{b.binaries.self, "receiver", "--listen", addr, "--after", after.String()}
	})
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stage) close() {
	s.receiver.stop()
	_ = s.client.Close()
	s.redis.stop()
}

func (s *stage) target() string { return "http://" + s.receiver.addr + "/hook" }

// eventNames are those that n subscriptions have one of each.
func eventNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("kind%d.note", i)
	}
	return names
}

// subscribe makes n subscriptions through hookproxy's own endpoints.
func (s *stage) subscribe(ctx context.Context, n int) error {
	rules := unmatchedRules(n) + fmt.Sprintf("subscriptions: {max_per_user: %d}\n", n+1)
	front, err := s.startHookproxy(ctx, s.receiver.addr, s.redis.addr, rules)
	if err != nil {
		return err
	}
	defer front.stop()
	for _, name := range eventNames(n) {
		wish, err := json.Marshal(map[string]string{"event": name, "target_url": s.target(), "secret": secret, "format": "raw"})
		if err != nil {
			return err
		}
		if err := s.post(ctx, "http://"+front.addr+"/api/v1/subscription/", wish, http.StatusCreated); err != nil {
			return err
		}
	}
	return nil
}

// send sends JSON. Whoever gets the answer closes its body.
func (s *stage) send(ctx context.Context, method, url string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return http.DefaultClient.Do(req)
}

func (s *stage) post(ctx context.Context, url string, body []byte, status int) error {
	res, err := s.send(ctx, http.MethodPost, url, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != status {
		var text bytes.Buffer
		_, _ = text.ReadFrom(res.Body) // only to say it
		return fmt.Errorf("POST %s answered %s: %s", url, res.Status, text.String())
	}
	return nil
}

// push puts n events onto hookproxy's list, for its subscriptions in turn.
func (s *stage) push(ctx context.Context, n int, names []string) error {
	payload := body(payloadSize)
	for first := 0; first < n; first += 1000 {
		var elements []any
		for i := first; i < min(first+1000, n); i++ {
			e := events.Event{ID: events.NewID(), Name: names[i%len(names)], User: "bench", Time: time.Now(), Payload: payload}
			element, err := e.Encode()
			if err != nil {
				return err
			}
			elements = append(elements, element)
		}
		if err := s.client.LPush(ctx, hookproxyEvents, elements...).Err(); err != nil {
			return err
		}
	}
	return nil
}

// worker is one of those that deliver. prepare fills its queue, start sets it to work.
type worker struct {
	name    string
	prepare func(ctx context.Context, s *stage, n int) error
	start   func(s *stage, n int) (*process, error)
}

var workers = []worker{
	{
		"bare http.Client loop", func(context.Context, *stage, int) error { return nil },
		func(s *stage, n int) (*process, error) {
			return start("loop", s.binaries.self, "loop", "--target", s.target(), "--events", fmt.Sprint(n))
		},
	},
	{
		"asynq", func(ctx context.Context, s *stage, n int) error {
			queue, err := start("asynq queue", s.binaries.self, "asynq-queue", "--redis", s.redis.addr, "--events", fmt.Sprint(n))
			if err == nil {
				<-queue.done
			}
			return err
		},
		func(s *stage, _ int) (*process, error) {
			return start("asynq", s.binaries.self, "asynq-work", "--redis", s.redis.addr, "--target", s.target())
		},
	},
	{
		"hookproxy", func(ctx context.Context, s *stage, n int) error { return s.push(ctx, n, eventNames(subscribers)) },
		func(s *stage, _ int) (*process, error) { return s.startEngine() },
	},
}

func (s *stage) startEngine() (*process, error) {
	return start("hookproxy", s.binaries.hookproxy, "serve", "--role", "deliver", "--redis", "redis://"+s.redis.addr, "--admin", "none",
		"--allow-networks", "127.0.0.0/8", "--workers", fmt.Sprint(concurrency), "--log-level", "error")
}

// delivered measures workers that post the same events to the same receiver.
func delivered(ctx context.Context, b *bench) error {
	for _, after := range []time.Duration{0, 10 * time.Millisecond} {
		s, err := b.newStage(ctx, after)
		if err != nil {
			return err
		}
		err = s.deliverInTurn(ctx, after)
		s.close()
		if err != nil {
			return err
		}
	}
	return woken(ctx, b)
}

func (s *stage) deliverInTurn(ctx context.Context, after time.Duration) error {
	if err := s.subscribe(ctx, subscribers); err != nil {
		return err
	}
	t := s.report.deliveries(fmt.Sprintf("Delivery: %d events, %d at once, a receiver that answers after %s; Redis' CPU included", s.Events, concurrency, after))
	for range s.Rounds {
		for _, w := range workers {
			m, trips, err := s.deliver(ctx, w, s.Events)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			t.addDelivery(w.name, m, trips)
		}
	}
	t.markRate("at least 0.8 × the rate of the bare loop", "hookproxy", "bare http.Client loop", 0.8)
	t.markRate("ahead of asynq", "hookproxy", "asynq", 1)
	t.judge("fewer than 0.5 round trips to Redis a delivery", median(t.trips["hookproxy"]), 1, func(r float64) bool { return r < 0.5 })
	return nil
}

// deliver has a worker deliver n events, and answers what that took and how many
// round trips to Redis were made for each.
func (s *stage) deliver(ctx context.Context, w worker, n int) (m measurement, trips float64, err error) {
	if err := s.post(ctx, "http://"+s.receiver.addr+"/reset", nil, http.StatusOK); err != nil {
		return m, 0, err
	}
	if err := w.prepare(ctx, s, n); err != nil {
		return m, 0, err
	}
	sent, err := s.sent(ctx)
	if err != nil {
		return m, 0, err
	}
	before, err := usageOf(s.redis)
	if err != nil {
		return m, 0, err
	}
	p, err := w.start(s, n)
	if err != nil {
		return m, 0, err
	}
	defer p.stop()
	got, err := s.await(ctx, p, n)
	if err != nil {
		return m, 0, err
	}
	after, err := usageOf(s.redis, p)
	if err != nil {
		return m, 0, err
	}
	sentNow, err := s.sent(ctx)
	used := after.minus(before)
	return measurement{
		cpu:  float64(used.cpu.Microseconds()) / float64(n),
		rate: float64(got.Distinct-1) / got.Last.Sub(got.First).Seconds(),
		rss:  float64(used.rss) / (1 << 20),
	}, float64(sentNow-sent) / float64(n), err
}

// await returns when the receiver has n events, none of them forged or twice.
func (s *stage) await(ctx context.Context, p *process, n int) (got tally, err error) {
	ctx, cancel := context.WithTimeout(ctx, deliveryTimeout)
	defer cancel()
	for got.Distinct < n {
		select {
		case <-ctx.Done():
			return got, fmt.Errorf("%d of %d events arrived:\n%s", got.Distinct, n, p.out.String())
		case <-p.done:
			return got, fmt.Errorf("it ended after %d of %d events:\n%s", got.Distinct, n, p.out.String())
		case <-time.After(pollEvery):
		}
		if got, err = s.tally(ctx); err != nil {
			return got, err
		}
	}
	if got.Forged > 0 || got.Duplicates > 0 || got.Distinct > n {
		return got, fmt.Errorf("the receiver counted %+v, not %d events once each", got, n)
	}
	return got, nil
}

func (s *stage) tally(ctx context.Context) (t tally, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.receiver.addr+"/tally", nil)
	if err != nil {
		return t, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return t, err
	}
	return t, errors.Join(json.NewDecoder(res.Body).Decode(&t), res.Body.Close())
}

// sent counts how often Redis has read something from a client: round trips, of
// whatever command, a pipeline being one.
func (s *stage) sent(ctx context.Context) (int64, error) {
	info, err := s.client.Info(ctx, "stats").Result()
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(info) {
		var reads int64
		if read, _ := fmt.Sscanf(line, "total_reads_processed:%d", &reads); read == 1 {
			return reads, nil
		}
	}
	return 0, errors.New("redis does not tell total_reads_processed; want version 6 or later")
}

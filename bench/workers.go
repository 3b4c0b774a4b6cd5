package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
)

// concurrency is the same for all who deliver: hookproxy's default.
const concurrency = 64

// poster sends one event as hookproxy does: signed, and with its id.
type poster struct {
	client *http.Client
	target string
}

func newPoster(target string) poster {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, concurrency
	return poster{&http.Client{Transport: transport, Timeout: 15 * time.Second}, target}
}

func (p poster) post(ctx context.Context, id string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Hook-Id", id)
	req.Header.Set("X-Hook-Signature", sign(body))
	res, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("answered %s", res.Status)
	}
	return err
}

// inTurn does something for each number from 1 to n, as many at once as deliveries,
// and answers the first error.
func inTurn(n int, do func(int64) error) error {
	next, errs := new(atomic.Int64), make(chan error, concurrency)
	var wg sync.WaitGroup
	for range concurrency {
		wg.Go(func() { // ends when all is done
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := do(i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// loopCommand is the least that could do the same: a client in a loop, which reads
// its events from nowhere and retries nothing.
type loopCommand struct {
	Target string
	Events int
}

// Run implements the command. It stays when it is done, so that what it used can
// be read.
func (c loopCommand) Run(ctx context.Context) error {
	p, payload := newPoster(c.Target), body(payloadSize)
	err := inTurn(c.Events, func(n int64) error { return p.post(ctx, fmt.Sprint(n), payload) })
	if err == nil {
		<-ctx.Done()
	}
	return err
}

// asynqQueueCommand puts tasks into Redis, each an event.
type asynqQueueCommand struct {
	Redis  string
	Events int
}

// Run implements the command.
func (c asynqQueueCommand) Run() error {
	client := asynq.NewClient(asynq.RedisClientOpt{Addr: c.Redis, PoolSize: concurrency})
	defer client.Close()
	payload := body(payloadSize)
	return inTurn(c.Events, func(n int64) error {
		_, err := client.Enqueue(asynq.NewTask("hook", payload), asynq.TaskID(fmt.Sprint("e", n)))
		return err
	})
}

// asynqWorkCommand is an asynq worker whose task is the same POST.
type asynqWorkCommand struct {
	Redis, Target string
}

// Run implements the command.
func (c asynqWorkCommand) Run(ctx context.Context) error {
	p := newPoster(c.Target)
	server := asynq.NewServer(asynq.RedisClientOpt{Addr: c.Redis}, asynq.Config{Concurrency: concurrency, LogLevel: asynq.ErrorLevel})
	err := server.Start(asynq.HandlerFunc(func(ctx context.Context, task *asynq.Task) error {
		id, _ := asynq.GetTaskID(ctx)
		return p.post(ctx, id, task.Payload())
	}))
	if err != nil {
		return err
	}
	<-ctx.Done()
	server.Shutdown()
	return nil
}

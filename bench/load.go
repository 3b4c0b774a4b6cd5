package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// call is one request, and what must come back.
type call struct {
	method, path string
	body         []byte
	status       int
	want         []byte
}

// bytes answers the request as it goes over the wire.
func (c call) bytes(host string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: application/json\r\nAuthorization: Bearer 0123456789abcdef\r\n", c.method, c.path, host)
	if c.method == http.MethodPost {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(c.body))
	}
	b.WriteString("\r\n")
	b.Write(c.body)
	return b.Bytes()
}

// load is a number of connections, each with one request after the other.
type load struct {
	addr        string
	call        call
	connections int
	// rate is requests a second over all connections; zero: as many as go through.
	// A request that is late for its turn is timed from its turn, so that a stall
	// is not hidden by the requests that it holds up.
	rate int
}

// outcome is what a load brought about.
type outcome struct {
	requests int
	took     time.Duration
	times    []time.Duration // sorted
}

func (o outcome) perSecond() float64 { return float64(o.requests) / o.took.Seconds() }

// quantile answers the time within which a share of the requests were answered.
func (o outcome) quantile(share float64) time.Duration {
	if len(o.times) == 0 {
		return 0
	}
	return o.times[min(int(share*float64(len(o.times))), len(o.times)-1)]
}

// run loads addr for a while. It fails with the first answer that is not the one
// wanted.
func (l load) run(ctx context.Context, duration time.Duration) (outcome, error) {
	began := time.Now()
	until := began.Add(duration)
	times := make([][]time.Duration, l.connections)
	errs := make([]error, l.connections)
	var wg sync.WaitGroup
	for i := range l.connections {
		wg.Go(func() { times[i], errs[i] = l.connection(ctx, i, began, until) }) // ends at until
	}
	wg.Wait()
	o := outcome{took: time.Since(began), times: slices.Concat(times...)}
	o.requests = len(o.times)
	slices.Sort(o.times)
	for _, err := range errs {
		if err != nil {
			return o, err // one says it all
		}
	}
	return o, nil
}

func (l load) connection(ctx context.Context, number int, began, until time.Time) ([]time.Duration, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", l.addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(until.Add(10 * time.Second)); err != nil {
		return nil, err
	}
	request, reader := l.call.bytes(l.addr), bufio.NewReaderSize(conn, 64<<10)
	times, got := make([]time.Duration, 0, 1<<14), make([]byte, 0, len(l.call.want)+1)
	for turn := number; ; turn += l.connections {
		sent := time.Now()
		if l.rate > 0 {
			due := began.Add(time.Duration(turn) * time.Second / time.Duration(l.rate))
			time.Sleep(time.Until(due))
			sent = due
		}
		if !sent.Before(until) || ctx.Err() != nil {
			return times, ctx.Err()
		}
		if _, err := conn.Write(request); err != nil {
			return nil, err
		}
		if err := l.check(reader, got); err != nil {
			return nil, err
		}
		times = append(times, time.Since(sent))
	}
}

// check reads one answer.
func (l load) check(reader *bufio.Reader, got []byte) error {
	res, err := http.ReadResponse(reader, nil)
	if err != nil {
		return err
	}
	if res.StatusCode != l.call.status {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 500)) // only to say it
		return fmt.Errorf("%s %s answered %s: %s", l.call.method, l.call.path, res.Status, text)
	}
	if res.ContentLength != int64(len(l.call.want)) {
		buffer := bytes.NewBuffer(got)
		_, err = io.Copy(buffer, res.Body)
		got = buffer.Bytes()
	} else {
		got = got[:len(l.call.want)]
		_, err = io.ReadFull(res.Body, got)
	}
	if err == nil && !bytes.Equal(got, l.call.want) {
		err = fmt.Errorf("%s %s answered another body, of %d bytes", l.call.method, l.call.path, len(got))
	}
	return err
}

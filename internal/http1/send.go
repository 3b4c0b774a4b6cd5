package http1

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// send writes the head, and the body or what there is of it. The rest of a body
// goes out beside the reading of the response.
func (x *turn) send() error {
	if x.c.asks(x.o) {
		x.startClock()
		x.c.asking = x
		return nil
	}
	n, err := x.c.Conn.Write(x.o.message.bytes)
	x.c.wrote = n > 0
	if err != nil {
		return unsent(err)
	}
	x.wroteHeaders()
	if !x.o.streams {
		x.startClock()
		return nil
	}
	if x.o.waits && x.t.ExpectContinueTimeout > 0 {
		x.proceed = make(chan bool, 1)
	}
	x.o.sent = true
	x.directions.Add(1)
	go x.sendBody(x.o.length - x.o.ahead) // ends with the body, the connection, or the context that cuts it
	return nil
}

func unsent(err error) error { return fmt.Errorf("http1: write request: %w", err) }

// ask sends a request along with the first read of its response, unless the
// connection turns out to be unfit for one.
func (x *turn) ask(b []byte) (int, error) {
	c := x.c
	n, sent, err := c.asker.Ask(x.o.message.bytes, b)
	c.wrote = sent
	switch {
	case !sent && err == nil:
		c.spoke = true
		return 0, errSpoke
	case err != nil && x.failedToSend(err):
	case sent:
		x.wroteHeaders()
	}
	return n, err
}

// failedToSend reports whether an error is of writing, and remembers it if so.
func (x *turn) failedToSend(err error) bool {
	var operation *net.OpError
	if !errors.As(err, &operation) || operation.Op != "write" {
		return false
	}
	err = unsent(err)
	x.unsent.Store(&err)
	return true
}

// sendBody sends what there is of the body beyond what went out with the head:
// left bytes, or as many as come where its length is unknown.
func (x *turn) sendBody(left int64) {
	if !x.mayGoOn() {
		closeBody(x.o.r)
		x.spoilt.Store(true) // the upstream may still wait for what its head announced
		x.ended(true)        // and the response goes on
		return
	}
	err := x.copyBody(left)
	closeBody(x.o.r)
	if err == nil {
		x.startClock()
		x.ended(true)
		return
	}
	var broken *writeError
	if errors.As(err, &broken) {
		// The upstream reads no more; maybe it has said why. If it has not,
		// reading fails as well.
		x.spoilt.Store(true)
		x.ended(true)
		return
	}
	x.unsent.CompareAndSwap(nil, &err)
	x.ended(false)
}

// mayGoOn waits for the upstream's leave to send the body, where it is asked.
func (x *turn) mayGoOn() bool {
	if x.proceed == nil {
		return true
	}
	timer := time.NewTimer(x.t.ExpectContinueTimeout)
	defer timer.Stop()
	select {
	case yes := <-x.proceed:
		return yes
	case <-timer.C:
		return true
	}
}

// writeError is the upstream's, in distinction from the body's own.
type writeError struct{ error }

func (e *writeError) Unwrap() error { return e.error }

func (x *turn) write(b []byte) error {
	if _, err := x.c.Conn.Write(b); err != nil {
		return &writeError{err}
	}
	return nil
}

const (
	copySize    = 32 << 10
	chunkPrefix = 8 // room for a chunk's size and its line end
	chunkSuffix = 2
)

var copyBuffers = sync.Pool{New: func() any { return new([copySize]byte) }}

func (x *turn) copyBody(left int64) error {
	buffer := copyBuffers.Get().(*[copySize]byte)
	defer copyBuffers.Put(buffer)
	if x.o.length == unknown {
		return x.copyChunks(buffer[:])
	}
	for left > 0 {
		n, err := x.o.r.Body.Read(buffer[:min(left, copySize)])
		left -= int64(n)
		if n > 0 {
			if err := x.write(buffer[:n]); err != nil {
				return err
			}
		}
		if err != nil && left > 0 {
			return bodyError(err)
		}
	}
	return nil
}

// copyChunks sends each Read's bytes as a chunk, in one write.
func (x *turn) copyChunks(buffer []byte) error {
	for {
		n, err := x.o.r.Body.Read(buffer[chunkPrefix : copySize-chunkSuffix])
		if n > 0 {
			if err := x.write(chunk(buffer, n)); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return x.write(lastChunk(x.o.r.Trailer))
		}
		if err != nil {
			return err
		}
	}
}

// chunk frames the n bytes behind the prefix, in place.
func chunk(buffer []byte, n int) []byte {
	var digits [chunkPrefix]byte
	size := append(strconv.AppendInt(digits[:0], int64(n), 16), '\r', '\n')
	start := chunkPrefix - len(size)
	copy(buffer[start:], size)
	end := chunkPrefix + n
	buffer[end], buffer[end+1] = '\r', '\n'
	return buffer[start : end+2]
}

// lastChunk is read when the body has ended: a client's trailers are known then.
func lastChunk(trailer http.Header) []byte {
	b := []byte("0\r\n")
	for _, name := range trailerNames(trailer) {
		for _, value := range trailer[name] {
			if IsFieldValue(value) {
				b = append(append(append(b, name...), ": "...), Trim(value)...)
				b = append(b, "\r\n"...)
			}
		}
	}
	return append(b, "\r\n"...)
}

package proxy

import (
	"io"
	"sync"
	"time"

	"github.com/hookproxy/hookproxy/internal/buffer"
)

// reading is a response's body being read for a capture, on a goroutine of its
// own unless all of it is there: a body that comes to a halt must not be held for
// longer than patience, and nothing but a second goroutine can wait for less than a
// Read takes. Its first four fields say what to read; the lease pays for the memory.
//
// Once it is let go of, the Read under way is its last.
type reading struct {
	body  io.Reader
	size  int64 // the Content-Length, or -1
	limit int64
	lease *lease

	ended chan struct{} // closed after the last Read; then the fields below rest; nil: they do

	mu      sync.Mutex
	data    []byte
	memory  *buffer.Buffer // of data
	omitted string         // why data is not whole; "" if it is
	err     error          // how the body ended; nil where there is more of it
	letGo   bool
}

// readWhole reads up to limit bytes. Where omitted is empty, data is everything
// there was; else data is what has been read so far, and for omittedTruncated
// err is what the reader answered.
func readWhole(body io.Reader, size, limit int64, l *lease) (data []byte, omitted string, err error) {
	r := reading{body: body, size: size, limit: limit, lease: l}
	r.run()
	if r.err == io.EOF {
		return r.data, r.omitted, nil
	}
	return r.data, r.omitted, r.err
}

// start has run read on a goroutine, which ends with the body, or with the first
// Read after it was let go of.
func (r *reading) start() {
	r.ended = make(chan struct{})
	go func() {
		defer close(r.ended)
		r.run()
	}()
}

// join returns after the last Read.
func (r *reading) join() {
	if r.ended != nil {
		<-r.ended
	}
}

// run reads until the body's end or the limit, or until it was let go of.
func (r *reading) run() {
	for {
		space := r.space()
		if space == nil {
			return
		}
		n, err := r.body.Read(space)
		if r.took(n, err) {
			return
		}
	}
}

// space answers where the next bytes go, or nil where no more are wanted.
func (r *reading) space() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.letGo {
		return nil
	}
	if len(r.data) == cap(r.data) {
		want := int64(firstRead)
		if r.size >= 0 {
			want = r.size + 1 // one more, so that the end is seen without growing
		}
		want = min(max(want, 2*int64(cap(r.data))), r.limit+1)
		if !r.lease.grow(want - int64(cap(r.data))) {
			r.omitted = omittedBudget
			return nil
		}
		grown := buffer.Get(int(want))
		r.data = append(grown.Bytes, r.data...)
		r.memory.Release()
		r.memory = grown
	}
	return r.data[len(r.data):cap(r.data)]
}

// took notes what was read, and answers whether that was all.
func (r *reading) took(n int, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data = r.data[:len(r.data)+n]
	switch {
	case err != nil && err != io.EOF:
		r.err = err
		r.reason(omittedTruncated)
	case int64(len(r.data)) > r.limit:
		r.reason(omittedTooLarge)
	case err == nil:
		return r.letGo
	default:
		r.err = io.EOF
	}
	return true
}

// reason keeps the first reason: a body let go of stays slow however it ends.
func (r *reading) reason(why string) {
	if r.omitted == "" {
		r.omitted = why
	}
}

// wait returns when reading has ended, or when patience has, and then lets go of
// the body. What it answers is the client's to have now; more may be there once
// ended is closed.
func (r *reading) wait(p holdFor) (data []byte, omitted string) {
	if r.ended == nil {
		return r.data, r.omitted
	}
	until := time.Now().Add(p.whole)
	look := time.NewTimer(min(p.stall, p.whole))
	defer look.Stop()
	for seen := 0; ; {
		select {
		case <-r.ended:
			return r.data, r.omitted
		case <-look.C:
		}
		now, left := r.progress(), time.Until(until)
		if now == seen || left <= 0 {
			return r.leave()
		}
		seen = now
		look.Reset(min(p.stall, left))
	}
}

// release gives data's memory to others. It waits for the last Read, and nothing
// may look at data any more.
func (r *reading) release() {
	r.join()
	r.memory.Release()
	r.data, r.memory = nil, nil
}

func (r *reading) progress() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.data)
}

// leave lets go of a body that has not ended in the meantime.
func (r *reading) leave() ([]byte, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.omitted == "" && r.err == nil {
		r.letGo = true
		r.omitted = omittedSlow
	}
	return r.data, r.omitted
}

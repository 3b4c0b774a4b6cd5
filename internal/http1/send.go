package http1

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// send writes the head, and the body or what there is of it. The rest of a body
// goes out beside the reading of the response.
func (x *turn) send() error {
	x.c.writeHead(x.o)
	_, _ = x.c.w.Write(x.o.first) // Flush answers the same error
	if err := x.c.w.Flush(); err != nil {
		return fmt.Errorf("http1: write request: %w", err)
	}
	x.wroteHeaders()
	left := x.o.length - int64(len(x.o.first))
	x.o.written() // nothing that has gone out is sent again
	if !x.o.streams {
		x.startClock()
		return nil
	}
	if x.o.waits && x.t.ExpectContinueTimeout > 0 {
		x.proceed = make(chan bool, 1)
	}
	x.o.sent = true
	x.directions.Add(1)
	go x.sendBody(left) // ends with the body, the connection, or the context that cuts it
	return nil
}

// writeHead writes the request's head in the order of its names, so that the
// same request looks the same each time.
func (c *conn) writeHead(o *outgoing) {
	w, r := c.w, o.r
	writeLine(w, r)
	writeField(w, "Host", hostOf(r))
	names := c.names[:0]
	for name := range r.Header {
		if !framing(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range r.Header[name] {
			if name != "User-Agent" || value != "" { // which is how net/http's callers say that there is none
				writeField(w, name, trim(value))
			}
		}
	}
	c.names = names
	if r.Close {
		writeField(w, "Connection", "close")
	}
	writeFraming(w, o)
	_, _ = w.WriteString("\r\n")
}

// framing tells the fields that the client writes of its own.
func framing(name string) bool {
	switch name {
	case "Host", "Content-Length", "Transfer-Encoding", "Trailer":
		return true
	}
	return false
}

func writeLine(w *bufio.Writer, r *http.Request) {
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	_, _ = w.WriteString(method)
	_ = w.WriteByte(' ')
	target := r.URL.Opaque
	if target == "" {
		target = r.URL.EscapedPath()
	}
	switch {
	case target == "":
		_ = w.WriteByte('/')
	case r.URL.Opaque != "" && len(target) > 1 && target[:2] == "//":
		_, _ = w.WriteString(r.URL.Scheme + ":")
	}
	_, _ = w.WriteString(target)
	if r.URL.ForceQuery || r.URL.RawQuery != "" {
		_ = w.WriteByte('?')
		_, _ = w.WriteString(r.URL.RawQuery)
	}
	_, _ = w.WriteString(" HTTP/1.1\r\n")
}

func writeField(w *bufio.Writer, name, value string) {
	_, _ = w.WriteString(name)
	_, _ = w.WriteString(": ")
	_, _ = w.WriteString(value)
	_, _ = w.WriteString("\r\n")
}

// writeFraming says how long the body is. A method that usually has one says so
// even where it has none (RFC 9110 §8.6).
func writeFraming(w *bufio.Writer, o *outgoing) {
	switch {
	case o.length == unknown:
		writeField(w, "Transfer-Encoding", "chunked")
		for _, name := range trailerNames(o.r.Trailer) {
			writeField(w, "Trailer", name)
		}
	case o.length > 0:
		var digits [20]byte
		_, _ = w.WriteString("Content-Length: ")
		_, _ = w.Write(strconv.AppendInt(digits[:0], o.length, 10))
		_, _ = w.WriteString("\r\n")
	case o.r.Method == http.MethodPost || o.r.Method == http.MethodPut || o.r.Method == http.MethodPatch:
		writeField(w, "Content-Length", "0")
	}
}

func trailerNames(trailer http.Header) []string {
	var names []string
	for name := range trailer {
		if isToken(name) && !misplaced(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// sendBody sends what there is of the body beyond first: left bytes, or as many
// as come where its length is unknown.
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
			if isFieldValue(value) {
				b = append(append(append(b, name...), ": "...), trim(value)...)
				b = append(b, "\r\n"...)
			}
		}
	}
	return append(b, "\r\n"...)
}

package http1

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
)

var errClosed = errors.New("http1: read on a closed response body")

// body is a response's body on its way from the connection. Close may come while
// a Read is under way on another goroutine, and ends it.
type body struct {
	x    *turn
	in   io.Reader // ends with io.EOF where the body does
	err  error     // how it ended; Read's alone
	done atomic.Bool
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.in.Read(p)
	if err == nil {
		return n, nil
	}
	if !b.done.CompareAndSwap(false, true) {
		b.err = errClosed
		return n, b.err
	}
	if err != io.EOF {
		err = b.x.cause(err)
	}
	b.err = err
	b.x.received(err == io.EOF)
	return n, err
}

// Ready reports whether the whole rest can be read without waiting. It is for the
// goroutine that reads.
func (b *body) Ready() bool {
	if b.err != nil {
		return true // the connection may be another's by now
	}
	in, ok := b.in.(*lengthBody)
	return ok && in.left <= int64(in.r.Buffered())
}

// Close ends the connection if the body has not been read to its end: what is
// left of it may be anything, and take any time.
func (b *body) Close() error {
	if b.done.CompareAndSwap(false, true) {
		b.x.c.cut()
		b.x.received(false)
	}
	return nil
}

// lengthBody is a body of left bytes more. It answers its end along with its
// last byte, so that the connection is free for the next request at once.
type lengthBody struct {
	r    *bufio.Reader
	left int64
}

func (b *lengthBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	switch {
	case b.left == 0:
		return n, io.EOF
	case err == io.EOF:
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

// chunkedBody is a body in chunks, with its trailers.
type chunkedBody struct {
	chunks io.Reader
	x      *turn
	res    *http.Response
}

func (b *chunkedBody) Read(p []byte) (int, error) {
	n, err := b.chunks.Read(p)
	if err == io.EOF {
		if failed := b.readTrailer(); failed != nil {
			return n, failed
		}
	}
	return n, err
}

func (b *chunkedBody) readTrailer() error {
	block, err := readBlock(b.x.c.r, nil, b.x.t.maxHeaderBytes(), 0)
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	if err != nil || len(block) <= 2 {
		return err
	}
	trailer, err := parseFields(string(block))
	if err != nil {
		return err
	}
	for name, values := range trailer {
		if Misplaced(name) {
			continue
		}
		if b.res.Trailer == nil {
			b.res.Trailer = make(http.Header)
		}
		b.res.Trailer[name] = values
	}
	return nil
}

// announced takes the Trailer field out of the header and answers its names, as
// http.Response.Trailer has them before the body is read.
func announced(header http.Header) http.Header {
	values := header["Trailer"]
	delete(header, "Trailer")
	var trailer http.Header
	for _, value := range values {
		for name := range strings.SplitSeq(value, ",") {
			name = http.CanonicalHeaderKey(Trim(name))
			if !IsToken(name) || Misplaced(name) {
				continue
			}
			if trailer == nil {
				trailer = make(http.Header)
			}
			trailer[name] = nil
		}
	}
	return trailer
}

// Misplaced tells fields that frame or route a message, and may not be in its
// trailer (RFC 9110 §6.5.1).
func Misplaced(name string) bool {
	return framing(name) || name == "Connection" || name == "Te" || name == "Upgrade" || name == "Keep-Alive"
}

// tunnel is what a connection becomes when protocols are switched.
type tunnel struct {
	net.Conn
	r *bufio.Reader // what has been read ahead comes first
}

func (t *tunnel) Read(b []byte) (int, error) { return t.r.Read(b) }

// CloseWrite ends one direction, where the connection can do that.
func (t *tunnel) CloseWrite() error {
	if half, ok := t.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

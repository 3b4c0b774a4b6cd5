package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

const (
	// maxCodings is how many layers are undone. More than one is unusual; more
	// than two is somebody's mistake or an attack.
	maxCodings = 2
	// maxZstdWindow is the largest window that the content coding may use
	// (RFC 9659 §3).
	maxZstdWindow = 8 << 20
)

// decodeWhole answers a body without its content codings (RFC 9110 §8.4) and
// in UTF-8, or why it cannot: omittedEncoding, omittedTooLarge or
// omittedBudget. No layer may yield more than limit bytes.
func decodeWhole(h http.Header, body []byte, limit int64, l *lease) (decoded []byte, omitted string) {
	if decoded, omitted = withoutCodings(h, body, limit, l); omitted != "" {
		return nil, omitted
	}
	return inUTF8(h, decoded, limit, l)
}

// DecodeBody answers a body as the rules would see it: without its content
// codings and in UTF-8, or why it cannot be. limit bounds it, in bytes.
func DecodeBody(h http.Header, body []byte, limit int64) (decoded []byte, omitted string) {
	return decodeWhole(h, body, limit, &lease{budget: new(budget), most: math.MaxInt64})
}

func withoutCodings(h http.Header, body []byte, limit int64, l *lease) (decoded []byte, omitted string) {
	codings := codingsOf(h)
	if len(codings) == 0 || len(body) == 0 {
		return body, ""
	}
	if len(codings) > maxCodings {
		return nil, omittedEncoding
	}
	r, end, err := decoder(codings, body, limit)
	defer end()
	if err == nil {
		decoded, omitted, err = readWhole(r, -1, limit, l)
	}
	switch {
	case errors.Is(err, errLayerTooLarge):
		return nil, omittedTooLarge
	case err != nil:
		return nil, omittedEncoding
	case omitted != "":
		return nil, omitted
	}
	return decoded, ""
}

// codingsOf lists the codings in the order in which they were applied.
func codingsOf(h http.Header) []string {
	var codings []string
	for _, value := range h["Content-Encoding"] {
		for coding := range strings.SplitSeq(value, ",") {
			coding = strings.ToLower(strings.TrimSpace(coding))
			if coding != "" && coding != "identity" {
				codings = append(codings, coding)
			}
		}
	}
	return codings
}

// decoder undoes the codings, the last one first. Call end when done, even
// after an error.
func decoder(codings []string, body []byte, limit int64) (r io.Reader, end func(), err error) {
	var closers []func()
	end = func() {
		for _, closer := range closers {
			closer()
		}
	}
	r = bytes.NewReader(body)
	for i := len(codings) - 1; i >= 0; i-- {
		layer, closer, err := decoderOf(codings[i], r)
		if err != nil {
			return nil, end, err
		}
		if closer != nil {
			closers = append(closers, closer)
		}
		r = &layerLimit{layer, limit}
	}
	return r, end, nil
}

var errUnknownCoding = errors.New("unknown content coding")

func decoderOf(coding string, r io.Reader) (io.Reader, func(), error) {
	switch coding {
	case "gzip", "x-gzip":
		unzip, err := gzip.NewReader(r)
		return unzip, nil, err
	case "deflate":
		return inflate(r)
	case "br":
		return brotli.NewReader(r), nil, nil
	case "zstd":
		unzip, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), // no goroutines
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, nil, err
		}
		return unzip, unzip.Close, nil
	}
	return nil, nil, errUnknownCoding
}

// inflate reads "deflate" as RFC 9110 §8.4.1.2 means it, in the zlib format,
// and as many servers send it, without.
func inflate(r io.Reader) (io.Reader, func(), error) {
	buffered := bufio.NewReader(r)
	head, err := buffered.Peek(2)
	if err != nil {
		return nil, nil, err
	}
	if head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 { // RFC 1950 §2.2
		unzip, err := zlib.NewReader(buffered)
		return unzip, nil, err
	}
	return flate.NewReader(buffered), nil, nil
}

var errLayerTooLarge = errors.New("a content coding's layer is too large")

// layerLimit ends a layer that yields more than left bytes, so that a bomb
// inside a bomb costs no more than its limit either.
type layerLimit struct {
	r    io.Reader
	left int64
}

func (l *layerLimit) Read(b []byte) (int, error) {
	n, err := l.r.Read(b[:min(int64(len(b)), l.left+1)])
	if int64(n) > l.left {
		return 0, errLayerTooLarge
	}
	l.left -= int64(n)
	return n, err
}

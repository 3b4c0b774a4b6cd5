package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strings"
)

// ErrBrokenHead says that a connection ended within a response's head or trailer:
// what was said so far is no HTTP, or not all of it. It wraps io.ErrUnexpectedEOF.
var ErrBrokenHead = fmt.Errorf("http1: the response ends within its head: %w", io.ErrUnexpectedEOF)

// What is wrong with a response. None of them quotes it: it may hold anything.
var (
	errTooLarge   = errors.New("http1: the response's head is too large")
	errStatusLine = errors.New("http1: malformed status line")
	errField      = errors.New("http1: malformed header field")
)

// head is a response's status line and fields.
type head struct {
	status int
	text   string // the code and the reason, as the upstream put it
	minor  int    // of the version: HTTP/1.0 or HTTP/1.1
	header http.Header
	size   int
}

// read reads a response's head of at most limit bytes. It answers io.EOF where
// there is not one byte of it, and scratch, grown as was needed.
func (h *head) read(r *bufio.Reader, scratch []byte, limit int) ([]byte, error) {
	if _, err := r.Peek(1); err != nil {
		return scratch, err
	}
	there, _ := r.Peek(r.Buffered())
	if size := blockSize(there); size > 0 && size <= limit {
		err := h.parse(there[:size])
		_, _ = r.Discard(size) // it has been peeked at
		return scratch, err
	}
	block, err := readBlock(r, scratch[:0], limit, 1)
	if err == nil {
		err = h.parse(block)
	}
	return block, err
}

// blockSize answers how long the lines up to the first empty one are, or 0 where
// that is not there, or nothing is before it.
func blockSize(b []byte) int {
	for at := 0; ; {
		end := bytes.IndexByte(b[at:], '\n')
		if end < 0 {
			return 0
		}
		if end == 0 || end == 1 && b[at] == '\r' {
			if at == 0 {
				return 0
			}
			return at + end + 1
		}
		at += end + 1
	}
}

func (h *head) parse(block []byte) error {
	line, fields, _ := strings.Cut(string(block), "\n")
	h.size = len(block)
	if err := h.parseStatus(strings.TrimSuffix(line, "\r")); err != nil {
		return err
	}
	var err error
	h.header, err = parseFields(fields)
	return err
}

// readBlock reads lines to an empty one, which is not the first of those that
// must come.
func readBlock(r *bufio.Reader, block []byte, limit, must int) ([]byte, error) {
	for lines := 0; ; {
		start := len(block)
		part, err := r.ReadSlice('\n')
		for err == bufio.ErrBufferFull && len(block) <= limit {
			block = append(block, part...)
			part, err = r.ReadSlice('\n')
		}
		block = append(block, part...)
		switch {
		case len(block) > limit:
			return block, errTooLarge
		case err == io.EOF && len(block) > 0:
			return block, ErrBrokenHead
		case err != nil:
			return block, err
		}
		if line := block[start:]; len(line) == 1 || len(line) == 2 && line[0] == '\r' {
			if lines < must {
				return block, errStatusLine
			}
			return block, nil
		}
		lines++
	}
}

// parseStatus takes a status line to the letter (RFC 9112 §4).
func (h *head) parseStatus(line string) error {
	const version = "HTTP/1."
	if len(line) < len("HTTP/1.1 200") || line[:len(version)] != version || line[8] != ' ' || !IsFieldValue(line) {
		return errStatusLine
	}
	h.minor = int(line[7] - '0')
	for _, digit := range []byte(line[9:12]) {
		if digit < '0' || digit > '9' {
			return errStatusLine
		}
		h.status = h.status*10 + int(digit-'0')
	}
	if h.minor > 1 || h.status < 100 || len(line) > 12 && line[12] != ' ' {
		return errStatusLine
	}
	if h.text = line[9:]; len(h.text) == 3 {
		h.text += " " // as net/http has it
	}
	return nil
}

// parseFields reads fields up to the empty line that ends them.
func parseFields(text string) (http.Header, error) {
	count := strings.Count(text, "\n") - 1 // without the empty line
	count = max(min(count, 64), 0)         // the rest of a strange response is worth no memory in advance
	header := make(http.Header, count)
	values := make([]string, 0, count)
	last := ""
	for {
		line, rest, _ := strings.Cut(text, "\n")
		line, text = strings.TrimSuffix(line, "\r"), rest
		if line == "" {
			return header, nil
		}
		if isBlank(line[0]) {
			if last == "" || !IsFieldValue(line) {
				return nil, errField
			}
			of := header[last]
			of[len(of)-1] += " " + Trim(line)
			continue
		}
		name, value, err := parseField(line)
		if err != nil {
			return nil, err
		}
		last = name
		if of := header[name]; of != nil {
			header[name] = append(of, value)
			continue
		}
		values = append(values, value)
		header[name] = values[len(values)-1 : len(values) : len(values)]
	}
}

// parseField takes whitespace before the colon away, as RFC 9112 §5.1 asks of
// proxies, but not where the field says how long the message is.
func parseField(line string) (name, value string, err error) {
	end, canonical := fieldName(line)
	colon := end
	for colon < len(line) && isBlank(line[colon]) {
		colon++
	}
	if end == 0 || colon == len(line) || line[colon] != ':' {
		return "", "", errField
	}
	name, value = line[:end], Trim(line[colon+1:])
	if !IsFieldValue(value) {
		return "", "", errField
	}
	if !canonical {
		name = textproto.CanonicalMIMEHeaderKey(name)
	}
	if end != colon && framing(name) {
		return "", "", fmt.Errorf("%w: whitespace before a colon", errField)
	}
	return name, value, nil
}

// fieldName answers where the token ends that a line begins with, and whether it
// is spelt as http.Header has it.
func fieldName(line string) (end int, canonical bool) {
	canonical = true
	other := byte(lowerByte) // the case that the next letter should not have
	for end < len(line) {
		kind := kinds[line[end]]
		if kind&tokenByte == 0 {
			break
		}
		canonical = canonical && kind&other == 0
		if other = upperByte; line[end] == '-' {
			other = lowerByte
		}
		end++
	}
	return end, canonical
}

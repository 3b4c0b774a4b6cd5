package har

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxFile bounds a recording, in bytes: all of it is held in memory.
const MaxFile = 256 << 20

// Read reads a recording. Its errors name the entry, counted from 0, and the
// member that are wrong.
func Read(from io.Reader) (*Log, error) { return readUpTo(MaxFile, from) }

func readUpTo(most int64, from io.Reader) (*Log, error) {
	bounded := &boundedReader{from: from, left: most}
	r := &reader{decoder: json.NewDecoder(bounded)}
	err := r.file()
	switch {
	case bounded.left < 0:
		return nil, fmt.Errorf("expected at most %d MiB, found more", most>>20)
	case r.entries && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)):
		r.log.CutOff = true
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("expected a HAR file, found one that ends before its entries")
	case err != nil:
		return nil, err
	}
	return &r.log, nil
}

// boundedReader ends a file that is too long, with left below zero.
type boundedReader struct {
	from io.Reader
	left int64
}

func (b *boundedReader) Read(to []byte) (int, error) {
	n, err := b.from.Read(to)
	if b.left -= int64(n); b.left < 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// reader walks through the file: whole entries are decoded, one at a time.
type reader struct {
	decoder *json.Decoder
	log     Log
	entries bool // it has come to the list of entries
	found   bool // and to a log
}

func (r *reader) file() error {
	if err := r.object("the file", func(name string) error {
		if name != "log" {
			return r.skip()
		}
		r.found = true
		return r.object("log", r.member)
	}); err != nil {
		return err
	}
	switch {
	case !r.found:
		return errors.New("expected a HAR file, found JSON without the member log")
	case !r.entries:
		return errors.New("log: expected the member entries")
	}
	return nil
}

// member reads one of the log's.
func (r *reader) member(name string) error {
	switch name {
	case "creator":
		return r.value("log.creator", &r.log.Creator)
	case "_basePath":
		return r.value("log._basePath", &r.log.BasePath)
	case "entries":
		return r.list()
	}
	return r.skip()
}

func (r *reader) list() error {
	if err := r.open("log.entries", '['); err != nil {
		return err
	}
	r.entries = true
	for r.decoder.More() {
		var d document
		what := fmt.Sprintf("entry %d", len(r.log.Entries))
		if err := r.value(what, &d); err != nil {
			return err
		}
		e, err := d.entry()
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		r.log.Entries = append(r.log.Entries, e)
	}
	return r.close()
}

// object reads an object, each member by read.
func (r *reader) object(what string, read func(name string) error) error {
	if err := r.open(what, '{'); err != nil {
		return err
	}
	for r.decoder.More() {
		name, err := r.decoder.Token()
		if err != nil {
			return presentable(what, err)
		}
		if err := read(name.(string)); err != nil { // the decoder takes nothing else for a name
			return err
		}
	}
	return r.close()
}

func (r *reader) open(what string, want json.Delim) error {
	token, err := r.decoder.Token()
	if err != nil {
		return presentable(what, err)
	}
	if token != want {
		return fmt.Errorf("%s: expected %s, found %s", what, kindOf(want), kindOf(token))
	}
	return nil
}

func (r *reader) close() error {
	_, err := r.decoder.Token()
	return presentable("the file", err)
}

func (r *reader) value(what string, to any) error { return presentable(what, r.decoder.Decode(to)) }

func (r *reader) skip() error {
	var passed json.RawMessage
	return r.value("the file", &passed)
}

// presentable words what the JSON decoder has against a file. That it ends too
// early stays what it is, for Read.
func presentable(what string, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case errors.As(err, &kind):
		return fmt.Errorf("%s: %s: expected %s, found a JSON %s", what, kind.Field, expected(kind), short(kind.Value))
	case errors.As(err, &syntax):
		return fmt.Errorf("%s: not JSON at byte %d: %w", what, syntax.Offset, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

func expected(err *json.UnmarshalTypeError) string {
	switch err.Type.Kind().String() {
	case "string":
		return "a text"
	case "int", "int64", "float64":
		return "a number"
	case "slice":
		return "a list"
	case "bool":
		return "true or false"
	}
	return "an object"
}

func kindOf(token json.Token) string {
	switch token := token.(type) {
	case json.Delim:
		if token == '[' {
			return "a list"
		}
		return "an object"
	case string:
		return "a text"
	case nil:
		return "null"
	case bool:
		return "true or false"
	}
	return "a number"
}

package plain

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits for what should happen at once; only a failing test
// takes that long.
const patience = 10 * time.Second

// site is a server at work.
type site struct {
	addr     string
	http     *http.Server
	listener *Listener // nil: net/http serves all of it
	log      *syncBuffer
}

// serve runs a handler, ours or net/http's own way.
func serve(t testing.TB, ours bool, handler http.HandlerFunc) *site {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{addr: inner.Addr().String(), log: &syncBuffer{}}
	s.http = &http.Server{Handler: handler, ErrorLog: log.New(s.log, "", 0), ReadHeaderTimeout: patience, IdleTimeout: patience}
	listener := inner
	if ours {
		s.listener = Listen(inner, s.http)
		listener = s.listener
	}
	ended := make(chan error, 1)
	go func() { ended <- s.http.Serve(listener) }() // ends with Close below
	t.Cleanup(func() {
		_ = s.http.Close() // nobody is left to care
		if ours {
			s.listener.Cut()
		}
		<-ended
	})
	return s
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

func receive[T any](t testing.TB, from <-chan T) (value T) {
	t.Helper()
	select {
	case value = <-from:
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return value
}

// isOurs reports whether a handler's writer is of this package.
func isOurs(w http.ResponseWriter) bool {
	_, ours := w.(*response)
	return ours
}

// dump says all that a handler sees of a request.
func dump(r *http.Request) string {
	body, err := io.ReadAll(r.Body)
	var text strings.Builder
	fmt.Fprintf(&text, "%s %q %s %d.%d host %q length %d coding %v close %v tls %v trailer %v body %q error %v\n", r.Method, r.RequestURI, r.Proto,
		r.ProtoMajor, r.ProtoMinor, r.Host, r.ContentLength, r.TransferEncoding, r.Close, r.TLS != nil, r.Trailer, body, err)
	fmt.Fprintf(&text, "%#v no body %v\n", *r.URL, r.Body == http.NoBody)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(&text, "%s %q\n", name, r.Header[name])
	}
	return text.String()
}

// answerOf reads one response as a client has it, with all that it says but when.
func answerOf(r *bufio.Reader, method string) (string, error) {
	var raw bytes.Buffer
	res, err := http.ReadResponse(bufio.NewReader(io.TeeReader(&oneByte{r}, &raw)), &http.Request{Method: method})
	if err != nil {
		return raw.String(), err
	}
	body, failed := io.ReadAll(res.Body)
	if date := res.Header.Get("Date"); date != "" && date != "then" {
		res.Header.Set("Date", "now")
	}
	head, rest, _ := strings.Cut(raw.String(), "\r\n\r\n")
	tail := ""
	if at := strings.LastIndex(rest, "0\r\n"); len(res.TransferEncoding) > 0 && at >= 0 {
		tail = rest[at:]
	}
	return fmt.Sprintf("%s %v length %d coding %v close %v body %q trailer %v %q failed %v, %d lines", res.Status, res.Header, res.ContentLength, res.TransferEncoding,
		res.Close, body, res.Trailer, tail, failed, strings.Count(head, "\n")), nil
}

// oneByte reads no further than it has to.
type oneByte struct{ r io.Reader }

func (o *oneByte) Read(b []byte) (int, error) { return o.r.Read(b[:min(1, len(b))]) }

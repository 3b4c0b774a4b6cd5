package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
)

func TestEventStreamsArriveEventByEvent(t *testing.T) {
	overTransports(t, testEventStreamsArriveEventByEvent)
}

func testEventStreamsArriveEventByEvent(t *testing.T) {
	for _, rules := range []string{"rules: [{on: GET /other, emit: a.b}]", "rules: [{on: POST /events, emit: a.b}]"} {
		next := make(chan struct{})
		upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 5 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				_ = http.NewResponseController(w).Flush()
				<-next // an event is sent only once the one before has arrived
			}
		})
		s, p := capturing(t, rules, upstream, nil)
		res, err := s.client.Post(s.url+"/events", "text/plain", nil)
		if err != nil {
			t.Fatal(err)
		}
		events := bufio.NewReader(res.Body)
		for i := range 5 {
			line, err := events.ReadString('\n')
			if want := fmt.Sprintf("data: %d\n", i); line != want || err != nil {
				t.Fatalf("got %q, %v; want %q", line, err, want)
			}
			_, _ = events.ReadString('\n')
			next <- struct{}{}
		}
		res.Body.Close()
		p.none(t)
	}
}

func TestASlowBodyWithALengthIsNotHeldBack(t *testing.T) {
	overTransports(t, testASlowBodyWithALengthIsNotHeldBack)
}

func testASlowBodyWithALengthIsNotHeldBack(t *testing.T) {
	next := make(chan struct{})
	upstream := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "2")
		_, _ = io.WriteString(w, "a")
		_ = http.NewResponseController(w).Flush()
		<-next
		_, _ = io.WriteString(w, "b")
	})
	s := setUp(t, Options{Upstream: upstream})
	res, err := s.client.Get(s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	one := make([]byte, 1)
	if _, err := io.ReadFull(res.Body, one); err != nil || one[0] != 'a' {
		t.Fatalf("got %q, %v", one, err)
	}
	close(next)
	if rest, err := io.ReadAll(res.Body); err != nil || string(rest) != "b" {
		t.Fatalf("got %q, %v", rest, err)
	}
}

func TestEarlyHintsArriveBeforeTheResponse(t *testing.T) {
	overTransports(t, testEarlyHintsArriveBeforeTheResponse)
}

func testEarlyHintsArriveBeforeTheResponse(t *testing.T) {
	hinted := make(chan struct{})
	upstream := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		<-hinted
		w.WriteHeader(http.StatusNoContent)
	})
	s := setUp(t, Options{Upstream: upstream})
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		if code != http.StatusEarlyHints || h.Get("Link") != "</style.css>" {
			t.Errorf("got %d with %v", code, h)
		}
		close(hinted)
		return nil
	}})
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	res, err := s.client.Do(r)
	if err != nil || res.StatusCode != http.StatusNoContent {
		t.Fatalf("%v, %v", res, err)
	}
	res.Body.Close()
}

func TestWebSocketsEcho(t *testing.T) { overTransports(t, testWebSocketsEcho) }

func testWebSocketsEcho(t *testing.T) {
	upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		kind, text, err := conn.Read(r.Context())
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.Write(r.Context(), kind, text)
		_, _, _ = conn.Read(r.Context()) // the client's close
	})
	s, p := capturing(t, "rules: [{on: GET /socket, emit: a.b, status: [200]}]", upstream, nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, s.url+"/socket", &websocket.DialOptions{HTTPClient: s.client})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	// A tunnel may stay open for days; a stop does not wait for it.
	if err := s.proxy.Wait(ctx); err != nil {
		t.Error(err)
	}
	if err := conn.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, text, err := conn.Read(ctx); err != nil || string(text) != "hello" {
		t.Fatalf("echoed %q, %v", text, err)
	}
	_ = conn.Close(websocket.StatusNormalClosure, "")
	p.none(t)
}

func TestAnUpstreamMayAnswerWhileItStillReads(t *testing.T) {
	overTransports(t, testAnUpstreamMayAnswerWhileItStillReads)
}

func testAnUpstreamMayAnswerWhileItStillReads(t *testing.T) {
	upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		for lines := bufio.NewScanner(r.Body); lines.Scan(); {
			fmt.Fprintln(w, "echo", lines.Text())
			_ = http.NewResponseController(w).Flush()
		}
	})
	s := setUp(t, Options{Upstream: upstream})
	body, say := io.Pipe()
	defer say.Close()
	go func() { fmt.Fprintln(say, "0") }() // ends when it is read
	res, err := s.client.Post(s.url, "text/plain", body)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	echoes := bufio.NewReader(res.Body)
	for i := range 3 {
		if line, err := echoes.ReadString('\n'); err != nil || line != fmt.Sprintf("echo %d\n", i) {
			t.Fatalf("got %q, %v", line, err)
		}
		fmt.Fprintln(say, i+1)
	}
}

func TestTheClientsConnectionIsKept(t *testing.T) { overTransports(t, testTheClientsConnectionIsKept) }

func testTheClientsConnectionIsKept(t *testing.T) {
	s, p := capturing(t, contacts, serve(t, created(`{"id":7}`)), nil)
	for i := range 20 {
		var body io.Reader = strings.NewReader("{}")
		if i%2 == 1 {
			body = io.MultiReader(body) // chunked
		}
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
			if c.Reused != (i > 0) {
				t.Errorf("request %d: reused %v", i, c.Reused)
			}
		}})
		r, _ := http.NewRequestWithContext(ctx, http.MethodPost, s.url+[]string{"/contacts", "/other"}[i/10], body)
		res, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	if len(p.batches) != 10 {
		t.Fatalf("%d events", len(p.batches))
	}
}

func TestExpectContinueIsTheUpstreamsToDecide(t *testing.T) {
	overTransports(t, testExpectContinueIsTheUpstreamsToDecide)
}

func testExpectContinueIsTheUpstreamsToDecide(t *testing.T) {
	t.Run("go on", func(t *testing.T) {
		s := setUp(t, Options{Upstream: serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })})
		conn := dial(t, s.addr)
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n")
		if got := readUntil(conn, "\r\n\r\n"); got != "HTTP/1.1 100 Continue\r\n\r\n" {
			t.Fatalf("got %q", got)
		}
		fmt.Fprint(conn, "hi")
		got := readUntil(conn, "hi")
		// net/http's server says so of its own when the body is first read, and
		// ReverseProxy passes on what the upstream says: now and then the client
		// hears both, as RFC 9110 §15.2 allows.
		got = strings.TrimPrefix(got, "HTTP/1.1 100 Continue\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 200") || !strings.HasSuffix(got, "hi") {
			t.Fatalf("got %q", got)
		}
	})
	t.Run("refuse", func(t *testing.T) {
		var read atomic.Int64
		s := setUp(t, Options{Upstream: serveRaw(t, func(conn net.Conn) {
			say("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")(conn)
			n, _ := io.Copy(io.Discard, conn)
			read.Store(n)
		}).url})
		got := converse(t, s.addr, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 417") || read.Load() != 0 {
			t.Fatalf("got %q, and the upstream %d bytes of body", got, read.Load())
		}
	})
}

func TestAGibibyteEachWayTakesConstantMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("2 GiB over loopback")
	}
	const size, most = 1 << 30, 48 << 20
	upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if n != size || err != nil {
			t.Errorf("the upstream got %d bytes, %v", n, err)
		}
		w.WriteHeader(http.StatusCreated) // what the rule is about
		_, _ = io.Copy(w, &zeros{left: size})
	})
	s, p := capturing(t, "rules: [{on: POST /big, emit: a.b, payload: request.body}]", upstream, nil)
	body := &zeros{left: size}
	res, err := s.client.Post(s.url+"/big", "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	back := &watched{Reader: res.Body}
	if n, err := io.Copy(io.Discard, back); n != size || err != nil {
		t.Fatalf("got %d bytes back, %v", n, err)
	}
	if peak := max(body.peak, back.peak); peak > most {
		t.Fatalf("the heap grew to %d MiB", peak>>20)
	}
	p.one(t)
}

// zeros is a long body that looks at the heap while it is read.
type zeros struct {
	left int64
	watch
}

func (z *zeros) Read(b []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(b)), z.left)
	clear(b[:n])
	z.left -= n
	z.look(n)
	return int(n), nil
}

type watched struct {
	io.Reader
	watch
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	w.look(int64(n))
	return n, err
}

// watch looks at the heap every 32 MiB.
type watch struct {
	since int64
	peak  uint64
}

func (w *watch) look(n int64) {
	if w.since += n; w.since < 32<<20 {
		return
	}
	w.since = 0
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.peak = max(w.peak, m.HeapAlloc)
}

func TestHTTP2IsServedWithAndWithoutTLS(t *testing.T) {
	upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		text, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", r.Header.Get(forwardedProto), text)
		w.Header().Set("X-Sum", "1")
	})
	cleartext := setUp(t, Options{Upstream: upstream})
	h2c := newClient(t, NewTransport(TransportOptions{H2C: true}))

	o := Options{Upstream: upstream}
	tls := httptest.NewUnstartedServer(nil)
	tls.Config = NewServer(ServerOptions{Handler: newStand(t, &o).proxy})
	tls.EnableHTTP2 = true
	tls.StartTLS()
	t.Cleanup(tls.Close)

	for url, client := range map[string]*http.Client{cleartext.url: h2c, tls.URL: tls.Client()} {
		res, err := client.Post(url, "text/plain", strings.NewReader("hi"))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		scheme, _, _ := strings.Cut(url, ":")
		if err != nil || res.ProtoMajor != 2 || string(text) != scheme+" hi" || res.Trailer.Get("X-Sum") != "1" {
			t.Fatalf("%s: HTTP/%d, %q, trailer %v, %v", url, res.ProtoMajor, text, res.Trailer, err)
		}
	}
}

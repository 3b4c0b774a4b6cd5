package delivery

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// http2Receiver speaks HTTP/2 by hand: it takes a connection's preface, and hands
// over each request's stream.
func http2Receiver(t *testing.T, cert tls.Certificate, answer func(f *http2.Framer, stream uint32)) string {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = ln.Close(); <-done })
	go func() { // ends with ln, once its connection's other side has gone
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			speak(conn, answer)
		}
	}()
	return "https://" + ln.Addr().String()
}

func speak(conn net.Conn, answer func(f *http2.Framer, stream uint32)) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(3 * time.Second)) // a connection that is given up may stay open, idle
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	f := http2.NewFramer(conn, conn)
	if f.WriteSettings() != nil {
		return
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		if h, ok := frame.(*http2.HeadersFrame); ok {
			answer(f, h.StreamID)
		}
	}
}

// again writes frames until the other side has gone, a bounded number of them.
func again(write func() error) {
	for range 200_000 {
		if write() != nil {
			return
		}
	}
}

func TestAHostileHTTP2ReceiverIsOneFailedAttemptWithinTheDeadline(t *testing.T) {
	const deadline = time.Second
	cert := certificate(t, "127.0.0.1", time.Now().Add(24*time.Hour))
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	for name, answer := range map[string]func(f *http2.Framer, stream uint32){
		"goes away":           func(f *http2.Framer, _ uint32) { _ = f.WriteGoAway(0, http2.ErrCodeNo, nil) },
		"goes away in anger":  func(f *http2.Framer, _ uint32) { _ = f.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, nil) },
		"resets each stream":  func(f *http2.Framer, s uint32) { _ = f.WriteRSTStream(s, http2.ErrCodeInternal) },
		"refuses each stream": func(f *http2.Framer, s uint32) { _ = f.WriteRSTStream(s, http2.ErrCodeRefusedStream) },
		"resets without end": func(f *http2.Framer, s uint32) {
			again(func() error { return f.WriteRSTStream(s, http2.ErrCodeCancel) })
		},
		"pings without end":    func(f *http2.Framer, _ uint32) { again(func() error { return f.WritePing(false, [8]byte{}) }) },
		"settings without end": func(f *http2.Framer, _ uint32) { again(func() error { return f.WriteSettings() }) },
		"windows without end":  func(f *http2.Framer, _ uint32) { again(func() error { return f.WriteWindowUpdate(0, 1<<30) }) },
		"headers that are none": func(f *http2.Framer, s uint32) {
			_ = f.WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, s, []byte{0xff, 0xff})
		},
		"continues without end": func(f *http2.Framer, s uint32) {
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: s})
			again(func() error { return f.WriteContinuation(s, false, bytes.Repeat([]byte{0x88}, 8<<10)) })
		},
		"pushes what none wants": func(f *http2.Framer, s uint32) {
			_ = f.WritePushPromise(http2.PushPromiseParam{StreamID: s, PromiseID: 2, EndHeaders: true})
		},
		"says nothing": func(*http2.Framer, uint32) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testSender(t, func(o *Options) { o.Timeout, o.TLS = deadline, &tls.Config{RootCAs: roots} })
			a := s.send(t.Context(), testDelivery(http2Receiver(t, cert, answer)))
			if a.outcome != Failed || a.class != classProtocol && a.class != classTimeout && a.class != classLost {
				t.Errorf("%s %q (%v)", a.outcome, a.class, a.err)
			}
			if a.took > patience/2 {
				t.Errorf("took %s", a.took)
			}
			s.close()
		})
	}
}

func TestConnectionsAreUsedAgainByBothVersionsOfHTTP(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		var connections atomic.Int64
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if (r.ProtoMajor == 2) != http2 || r.Header.Get("Accept-Encoding") != "" {
				t.Errorf("%s arrived, Accept-Encoding %q", r.Proto, r.Header.Get("Accept-Encoding"))
			}
			_, _ = io.WriteString(w, "thanks")
		}))
		server.EnableHTTP2 = http2
		server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				connections.Add(1)
			}
		}
		server.StartTLS()
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		s := testSender(t, func(o *Options) { o.TLS = &tls.Config{RootCAs: roots} })
		for range 20 {
			if a := s.send(t.Context(), testDelivery(server.URL)); a.outcome != Delivered {
				t.Fatalf("attempt %+v", a)
			}
		}
		if n := connections.Load(); n != 1 {
			t.Errorf("HTTP/2 %v: %d connections for 20 deliveries", http2, n)
		}
		s.close()
		server.Close()
	}
}

func TestAResponseBeforeTheRequestIsReadDecides(t *testing.T) {
	for answer, want := range map[string]Outcome{
		"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n": Failed,
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n":        Delivered,
		"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n":                           Gone,
	} {
		ln := must(net.Listen("tcp", "127.0.0.1:0"))
		gone := make(chan struct{})
		go func() { // ends with its connection
			defer close(gone)
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = conn.Read(make([]byte, 100)) // the head's beginning alone
			_, _ = io.WriteString(conn, answer)
			_, _ = io.Copy(io.Discard, conn) // until the other side has seen the answer
		}()
		s := testSender(t, nil)
		d := testDelivery("http://" + ln.Addr().String())
		d.event.Payload = bytes.Repeat([]byte("7"), 16<<20)
		if a := s.send(t.Context(), d); a.outcome != want {
			t.Errorf("%.20q: %s %q (%v)", answer, a.outcome, a.class, a.err)
		}
		_ = ln.Close()
		s.close()
		<-gone
	}
}

func TestWhatAReceiverCompressedIsNotUnpacked(t *testing.T) {
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	_, _ = w.Write(make([]byte, 64<<20))
	_ = w.Close()
	url, _ := receive(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	})
	if a := testSender(t, nil).send(t.Context(), testDelivery(url)); a.outcome != Delivered {
		t.Errorf("attempt %+v", a)
	}

}

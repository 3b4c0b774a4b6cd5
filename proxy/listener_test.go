package proxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// setUpBounded is setUp with connections bounded.
func setUpBounded(t *testing.T, o Options, bounds ListenerOptions, headers time.Duration) *stand {
	t.Helper()
	s := newStand(t, &o)
	server := httptest.NewUnstartedServer(s.proxy)
	server.Config = NewServer(ServerOptions{Handler: s.proxy, ReadHeaderTimeout: headers})
	bounds.Server = server.Config
	server.Listener = NewListener(server.Listener, bounds)
	server.Start()
	t.Cleanup(func() {
		server.Close()
		s.rest(t)
	})
	s.server, s.url, s.addr = server, server.URL, server.Listener.Addr().String()
	return s
}

func TestClientsThatNeverFinishAHeadAreCutAndOthersServed(t *testing.T) {
	s := setUpBounded(t, Options{Upstream: serve(t, created("{}"))}, ListenerOptions{MaxConnections: 3}, 50*time.Millisecond)
	for _, part := range []string{"", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\nX: "} {
		fmt.Fprint(dial(t, s.addr), part)
	}
	// It waits for one of the places that those hold.
	if res, _ := s.do(t, "GET /", ""); res.StatusCode != http.StatusCreated {
		t.Error(res.Status)
	}
}

func TestConnectionsBeyondTheMostWaitForAPlace(t *testing.T) {
	s := setUpBounded(t, Options{Upstream: serve(t, created("{}"))}, ListenerOptions{MaxConnections: 1}, 0)
	first, second := dial(t, s.addr), dial(t, s.addr)
	request := "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	fmt.Fprint(first, request)
	if got := readUntil(first, "{}"); !strings.HasPrefix(got, "HTTP/1.1 201") {
		t.Fatalf("got %q", got)
	}
	fmt.Fprint(second, request)
	_ = second.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := second.Read(make([]byte, 1)); !os.IsTimeout(err) {
		t.Fatalf("answered %d bytes, %v", n, err)
	}
	first.Close()
	_ = second.SetReadDeadline(time.Now().Add(patience))
	if got := readUntil(second, "{}"); !strings.HasPrefix(got, "HTTP/1.1 201") {
		t.Fatalf("got %q", got)
	}
}

func TestClientsThatDoNotReadAreCutAndHarmNobody(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		ended := make(chan struct{}, 10)
		upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/endless" {
				return
			}
			for r.Context().Err() == nil {
				_, _ = w.Write(make([]byte, 32<<10))
			}
			ended <- struct{}{}
		})
		s := setUpBounded(t, Options{Upstream: upstream}, ListenerOptions{WriteStall: 50 * time.Millisecond}, 0)
		for range 5 {
			fmt.Fprint(dial(t, s.addr), "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
		}
		if res, _ := s.do(t, "GET /", ""); res.StatusCode != http.StatusOK {
			t.Error(res.Status)
		}
		for range 5 {
			receive(t, ended)
		}
	})
}

func TestClientsThatUploadSlowlyHarmNobody(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		arrived := make(chan struct{}, 10)
		s := setUp(t, Options{Upstream: serve(t, func(_ http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				arrived <- struct{}{}
			}
			_, _ = io.Copy(io.Discard, r.Body)
		})})
		for range 20 {
			fmt.Fprint(dial(t, s.addr), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx")
			receive(t, arrived)
		}
		if res, _ := s.do(t, "GET /", ""); res.StatusCode != http.StatusOK {
			t.Error(res.Status)
		}
	})
}

func TestAClientThatReadsIsNotCutHoweverLongItTakes(t *testing.T) {
	next := make(chan struct{})
	upstream := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for range next {
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
		}
	})
	s := setUpBounded(t, Options{Upstream: upstream}, ListenerOptions{WriteStall: time.Millisecond}, 0)
	conn := dial(t, s.addr)
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	pause := time.NewTicker(3 * time.Millisecond) // longer than a stall
	defer pause.Stop()
	for range 5 {
		<-pause.C
		next <- struct{}{}
		if got := readUntil(conn, "x\r\n"); !strings.HasSuffix(got, "x\r\n") {
			t.Fatalf("cut after %q", got)
		}
	}
	close(next)
}

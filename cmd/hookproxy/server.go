package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/hookproxy/hookproxy/proxy"
)

// server is an HTTP server on a listener that is already open, so that its
// address is known and a port in use is found out at start.
type server struct {
	http     *http.Server
	listener net.Listener
	tls      bool          // serves HTTPS, by the certificate in http.TLSConfig
	drain    time.Duration // how long run waits for requests in flight
	// cut is told how many requests were still in flight after drain, each then
	// broken off. Nil: nobody is told.
	cut func(requests int64)

	requests atomic.Int64 // in flight
	stopping time.Time    // when run was told to stop; for after run
}

// counting counts the requests that next is serving.
func (s *server) counting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		defer s.requests.Add(-1)
		next.ServeHTTP(w, r)
	})
}

// listen opens a listener.
func listen(address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return listener, nil
}

// close closes the listener of a server that never ran; one that did has closed
// it already.
func (s *server) close() error {
	if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// run serves until ctx is done, then stops accepting and lets the requests in
// flight finish. What is still open after the drain time, such as an event
// stream without an end, is cut.
func (s *server) run(ctx context.Context) error {
	s.http.Handler = s.counting(s.http.Handler)
	served := make(chan error, 1)
	go func() { served <- s.serve() }() // ends with Shutdown or Close below
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	s.stopping = time.Now()
	bounded, cancel := context.WithTimeout(context.Background(), s.drain)
	defer cancel()
	own, serves := s.listener.(*proxy.Listener)
	err := s.http.Shutdown(bounded)
	if serves {
		err = errors.Join(err, own.Shutdown(bounded))
	}
	if errors.Is(err, context.DeadlineExceeded) {
		if s.cut != nil {
			s.cut(s.requests.Load())
		}
		err = s.http.Close()
		if serves {
			own.Cut()
		}
	}
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

func (s *server) serve() error {
	if s.tls {
		return s.http.ServeTLS(s.listener, "", "")
	}
	return s.http.Serve(s.listener)
}

// url is where a client on this machine reaches the server.
func (s *server) url() string {
	scheme := "http"
	if s.tls {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(s.listener.Addr().String())
	if ip := net.ParseIP(host); err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

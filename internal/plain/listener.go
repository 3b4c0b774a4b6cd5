// Package plain serves the plain requests of HTTP/1.1 for about half of what they
// cost in net/http's server, and leaves all others to that:
//
//	Accept ─► a goroutine a connection
//	             │
//	             ├─ a plain request ─► the server's Handler ─► its response
//	             │        ▲                                       │
//	             │        └───────────────────────────────────────┘
//	             └─ any other ─► net/http, with all that comes behind it
//
// A request is plain where nobody could read it in another way: HTTP/1.1 to the
// letter, with a path, one Host, and a Content-Length or no body. What is chunked,
// expects a 100, wants to switch protocols, closes its connection, is malformed or
// very large is not, nor are HTTP/1.0 and HTTP/2. So nothing here refuses a
// request, and no answer of net/http's is another.
package plain

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// How long a listener that is closed lets a request come: the first of a
// connection as net/http does, a later one about as long as a client takes that
// asks again and again.
const (
	newPatience  = 5 * time.Second
	idlePatience = 250 * time.Millisecond
)

// Listener serves the plain requests of connections that it accepts. Its Accept is
// for the server to which it leaves the others.
type Listener struct {
	net.Listener
	server *http.Server
	values context.Context // of requests

	accept sync.Once
	others chan net.Conn // for the server
	failed chan error    // of accepting
	close  sync.Once
	closed chan struct{}

	mu    sync.Mutex
	conns map[*conn]struct{}
	empty chan struct{} // closed when the last has ended; nil: nobody waits for that
}

// Listen makes a Listener of one that accepts TCP connections. Of the server it
// uses Handler, ReadHeaderTimeout, IdleTimeout and ErrorLog as net/http does, from
// the first Accept on; a request's context ends when its client leaves.
func Listen(l net.Listener, server *http.Server) *Listener {
	return &Listener{
		Listener: l, server: server, values: context.WithValue(context.Background(), http.ServerContextKey, server),
		others: make(chan net.Conn), failed: make(chan error), closed: make(chan struct{}), conns: map[*conn]struct{}{},
	}
}

// Accept waits for a connection that brings a request that is not plain.
func (l *Listener) Accept() (net.Conn, error) {
	l.accept.Do(func() { go l.acceptAll() }) // ends with the listener
	select {
	case conn := <-l.others:
		return conn, nil
	case err := <-l.failed:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// acceptAll hands errors over to Accept, and so waits where the server does.
func (l *Listener) acceptAll() {
	for {
		accepted, err := l.Listener.Accept()
		if err == nil {
			if c := newConn(accepted, l); l.add(c) {
				go c.serve() // ends with the connection or the listener
			}
			continue
		}
		select {
		case l.failed <- err:
		case <-l.closed:
			return
		}
	}
}

func (l *Listener) add(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing() {
		_ = c.Conn.Close() // nobody has asked anything on it yet
		return false
	}
	l.conns[c] = struct{}{}
	return true
}

func (l *Listener) remove(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	if l.empty != nil && len(l.conns) == 0 {
		close(l.empty)
		l.empty = nil
	}
}

// handOver leaves a connection to the server, with what has been read of it.
func (l *Listener) handOver(c net.Conn) {
	select {
	case l.others <- c:
	case <-l.closed:
		_ = c.Close()
	}
}

// closing reports whether connections end with the response under way.
func (l *Listener) closing() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// Close stops accepting, and lets connections end with their response, or where no
// request comes any more.
func (l *Listener) Close() error {
	l.close.Do(func() { close(l.closed) })
	err := l.Listener.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.retire()
	}
	return err
}

// Shutdown closes the listener and waits for its connections. It answers ctx's
// error where that is done first.
func (l *Listener) Shutdown(ctx context.Context) error {
	_ = l.Close() // it may be closed already
	l.mu.Lock()
	if len(l.conns) == 0 {
		l.mu.Unlock()
		return nil
	}
	if l.empty == nil {
		l.empty = make(chan struct{})
	}
	empty := l.empty
	l.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Cut closes the listener and its connections.
func (l *Listener) Cut() {
	_ = l.Close() // it may be closed already
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.Conn.Close() // which its goroutine sees
	}
}

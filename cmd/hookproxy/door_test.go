package main

import (
	"io"
	"net"
	"sync"
	"testing"
)

// door stands before a Redis. Closed, it accepts connections and never answers,
// as a network does that swallows packets.
type door struct {
	addr string

	opened chan struct{}
	to     string       // set before opened is closed
	flow   sync.RWMutex // locked: no answer gets out

	mu          sync.Mutex
	closed      bool
	silent      bool
	connections []net.Conn
}

func newDoor(t *testing.T) *door {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{addr: listener.Addr().String(), opened: make(chan struct{})}
	var connections sync.WaitGroup
	connections.Go(func() { // ends with the listener
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			d.add(connection)
			connections.Go(func() { d.pass(connection) }) // ends with the connection
		}
	})
	t.Cleanup(func() { _ = listener.Close(); d.close(); connections.Wait() })
	return d
}

// open has later connections handed on.
func (d *door) open(to string) {
	d.to = to
	close(d.opened)
}

// fallSilent keeps back every answer from now on.
func (d *door) fallSilent() {
	d.flow.Lock()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.silent = true
}

func (d *door) add(connection net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.connections = append(d.connections, connection)
	if d.closed {
		_ = connection.Close()
	}
}

func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for _, connection := range d.connections {
		_ = connection.Close()
	}
	if d.silent {
		d.flow.Unlock()
	}
}

func (d *door) pass(connection net.Conn) {
	defer connection.Close()
	select {
	case <-d.opened:
	default:
		_, _ = io.Copy(io.Discard, connection) // until the other side gives up
		return
	}
	target, err := net.Dial("tcp", d.to)
	if err != nil {
		return
	}
	d.add(target)
	var back sync.WaitGroup
	back.Go(func() { // ends with either connection
		_, _ = io.Copy(answers{d, connection}, target)
		_ = connection.Close()
	})
	_, _ = io.Copy(target, connection)
	_ = target.Close()
	back.Wait()
}

// answers is the way out of the door.
type answers struct {
	door *door
	to   net.Conn
}

func (a answers) Write(p []byte) (int, error) {
	a.door.flow.RLock()
	defer a.door.flow.RUnlock()
	return a.to.Write(p)
}

package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
)

var errNoTunnel = errors.New("the connection cannot become a tunnel")

// tunnel turns the client's connection and the upstream's into one, after a 101.
// It returns when both directions have ended, or one has failed.
func (p *Proxy) tunnel(x *exchange, res *http.Response) {
	upstream, ok := res.Body.(io.ReadWriteCloser)
	if !ok {
		p.handleError(x, errNoTunnel)
		return
	}
	defer upstream.Close()
	client, buffered, err := http.NewResponseController(x.writer).Hijack()
	if err != nil { // HTTP/2 has no 101
		p.handleError(x, errors.Join(errNoTunnel, err))
		return
	}
	defer client.Close()
	defer context.AfterFunc(&x.relay.ctx, func() { _ = upstream.Close() })()
	header := x.writer.Header()
	maps.Copy(header, res.Header)
	switched := http.Response{StatusCode: res.StatusCode, Status: res.Status, ProtoMajor: 1, ProtoMinor: 1, Header: header}
	if err := errors.Join(switched.Write(buffered), buffered.Flush()); err != nil {
		x.outcome = "client_gone"
		return
	}
	early, _ := buffered.Peek(buffered.Reader.Buffered()) // what the client sent along with its request
	ended := make(chan error, 2)
	go pipe(upstream, io.MultiReader(bytes.NewReader(slices.Clone(early)), client), ended) // both end with either
	go pipe(client, upstream, ended)                                                       // connection
	if err := <-ended; err == nil {
		<-ended
	}
}

// pipe copies one direction to its end and passes that on, where the connection
// can be half closed. Else its error ends the other direction too.
func pipe(to io.Writer, from io.Reader, ended chan<- error) {
	_, err := io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
		err = half.CloseWrite()
	} else if err == nil {
		err = net.ErrClosed
	}
	ended <- err
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// body answers JSON of a size in bytes, always the same.
func body(size int) []byte {
	head := []byte(`{"id":7,"name":"Ada","note":"`)
	return append(append(head, bytes.Repeat([]byte{'x'}, max(size-len(head)-2, 0))...), `"}`...)
}

// upstreamCommand is the API: GET /size/512 answers 200, POST 201, both with so
// many bytes.
type upstreamCommand struct {
	Listen string
}

// Run implements the command.
func (c upstreamCommand) Run(ctx context.Context) error {
	var bodies sync.Map
	return listen(ctx, c.Listen, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size, err := strconv.Atoi(r.URL.Path[len("/size/"):])
		if err != nil || size > 16<<20 {
			http.NotFound(w, r)
			return
		}
		known, ok := bodies.Load(size)
		if !ok {
			known, _ = bodies.LoadOrStore(size, body(size))
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(known.([]byte))))
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusCreated)
		}
		_, _ = w.Write(known.([]byte)) // the client may have left
	}))
}

// reverseCommand is httputil.ReverseProxy as a careful person sets it up.
type reverseCommand struct {
	Listen, To string
}

// Run implements the command.
func (c reverseCommand) Run(ctx context.Context) error {
	to, err := url.Parse(c.To)
	if err != nil {
		return err
	}
	buffers := bufferPool{sync.Pool{New: func() any { return new([32 << 10]byte) }}}
	return listen(ctx, c.Listen, &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(to)
			pr.Out.Host = pr.In.Host
			pr.SetXForwarded()
		},
		Transport:  &http.Transport{MaxIdleConnsPerHost: 512, IdleConnTimeout: time.Minute, DisableCompression: true},
		BufferPool: &buffers,
	})
}

type bufferPool struct{ sync.Pool }

func (p *bufferPool) Get() []byte  { return p.Pool.Get().(*[32 << 10]byte)[:] }
func (p *bufferPool) Put(b []byte) { p.Pool.Put((*[32 << 10]byte)(b)) }

// listen serves until ctx is done.
func listen(ctx context.Context, addr string, h http.Handler) error {
	server := &http.Server{Addr: addr, Handler: h, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", addr, err)
	}
	return nil
}

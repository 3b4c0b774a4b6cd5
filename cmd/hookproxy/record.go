package main

import (
	"net/http"
	"strings"

	"github.com/hookproxy/hookproxy/internal/har"
	"github.com/hookproxy/hookproxy/internal/record"
)

// recordLimit bounds a recording, in bytes.
const recordLimit = 128 << 20

// recorded answers the way to the upstream, past the recorder where there is one.
func (p *program) recorded(transport http.RoundTripper) (http.RoundTripper, error) {
	c := p.config
	if c.record == "" {
		return transport, nil
	}
	base := strings.TrimSuffix(c.upstream.EscapedPath(), "/")
	writer, err := har.Create(c.record, recordLimit, har.Creator{Name: "hookproxy", Version: version()}, base)
	if err != nil {
		return nil, err
	}
	p.closers.add(writer.Close)
	p.recorder = record.New(record.Options{Writer: writer, Log: p.log}) // and follows the rules as they are put in force
	p.log.Warn("recording traffic: what it holds beside credentials and secret-like keys is as it passed", "file", c.record)
	return p.recorder.Transport(transport), nil
}

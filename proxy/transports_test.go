package proxy

import "testing"

// transportUnderTest makes what a stand reaches its upstream with. No test here
// is parallel, so one variable serves them all.
var transportUnderTest = transports[0].make

var transports = []struct {
	name string
	make func(TransportOptions) Transport
}{
	{"direct", NewTransport},
	{"net/http", func(o TransportOptions) Transport { o.NetHTTP = true; return NewTransport(o) }},
}

// overTransports runs a test over each way there is to the upstream: what is
// promised of the bytes holds on all of them.
func overTransports(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	before := transportUnderTest
	defer func() { transportUnderTest = before }()
	for _, transport := range transports {
		transportUnderTest = transport.make
		t.Run(transport.name, test)
	}
}

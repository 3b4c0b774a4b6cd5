// Package nametest gives tests a name server of their own.
package nametest

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// Resolver starts a DNS server on loopback that answers each question for a name's
// IPv4 addresses with what addresses says then, and knows no IPv6; and a resolver
// that asks nobody else. They end with the test.
func Resolver(t testing.TB, addresses func(name string) []string) *net.Resolver {
	t.Helper()
	return serve(t, func(m *dnsmessage.Message) {
		for _, q := range m.Questions {
			if q.Type != dnsmessage.TypeA {
				continue
			}
			for _, one := range addresses(q.Name.String()) {
				m.Answers = append(m.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(one).As4()},
				})
			}
		}
	})
}

// Failing is Resolver for a server that answers every question with this code.
func Failing(t testing.TB, code dnsmessage.RCode) *net.Resolver {
	t.Helper()
	return serve(t, func(m *dnsmessage.Message) { m.RCode = code })
}

// FailingFor is Resolver for a server that answers questions of one type with a
// code, and that there is no such data to all others.
func FailingFor(t testing.TB, kind dnsmessage.Type, code dnsmessage.RCode) *net.Resolver {
	t.Helper()
	return serve(t, func(m *dnsmessage.Message) {
		if len(m.Questions) > 0 && m.Questions[0].Type == kind {
			m.RCode = code
		}
	})
}

func serve(t testing.TB, answer func(*dnsmessage.Message)) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = conn.Close(); <-done })
	go func() { // ends with conn, awaited by the cleanup
		defer close(done)
		query := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(query)
			if err != nil {
				return
			}
			if reply, err := reply(query[:n], answer); err == nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func reply(query []byte, answer func(*dnsmessage.Message)) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	answer(&m)
	return m.Pack()
}

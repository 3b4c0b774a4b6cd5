package delivery

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hookproxy/hookproxy/internal/addresses"
)

// nameServer answers every A query with what answer says for it: an address, or
// the invalid one for "no such name". It answers a resolver that asks nobody else.
func nameServer(t *testing.T, answer func() netip.Addr) *net.Resolver {
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
			_, _ = conn.WriteTo(dnsReply(query[:n], answer), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// dnsReply turns a query into its reply (RFC 1035 §4).
func dnsReply(query []byte, answer func() netip.Addr) []byte {
	const head = 12
	end := head
	for query[end] != 0 {
		end += 1 + int(query[end])
	}
	end += 5 // the root label, type and class
	reply := append([]byte(nil), query[:end]...)
	copy(reply[2:], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0})
	if query[end-3] != 1 { // not an A query: no such record
		return reply
	}
	ip := answer()
	if !ip.IsValid() {
		reply[3] |= 3 // NXDOMAIN
		return reply
	}
	reply[7] = 1
	reply = append(reply, 0xc0, head, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
	return append(reply, ip.AsSlice()...)
}

func TestANameThatTurnsToARefusedAddressReachesNothing(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skipf("this machine has only one loopback address: %v", err)
	}
	asked := 0
	allowed := httptest.NewUnstartedServer(status(200))
	_ = allowed.Listener.Close()
	allowed.Listener = ln
	allowed.Start()
	defer allowed.Close()
	port := ln.Addr().(*net.TCPAddr).Port
	trap, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strings.TrimPrefix(ln.Addr().String(), "127.0.0.2:")))
	if err != nil {
		t.Skipf("port %d is taken: %v", port, err)
	}
	defer trap.Close()

	s := testSender(t, func(o *Options) {
		o.Addresses = addresses.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}}
		o.Resolver = nameServer(t, func() netip.Addr {
			if asked++; asked == 1 {
				return netip.MustParseAddr("127.0.0.2")
			}
			return netip.MustParseAddr("127.0.0.1")
		})
	})
	s.transport.DisableKeepAlives = true // each attempt resolves and dials anew
	target := "http://" + strings.Replace(ln.Addr().String(), "127.0.0.2", "hook.test", 1)
	if a := s.send(t.Context(), testDelivery(target)); a.outcome != Delivered {
		t.Fatalf("while the name is honest: %+v", a)
	}
	if a := s.send(t.Context(), testDelivery(target)); a.class != classRefused {
		t.Errorf("after it turned: %+v", a)
	}
}

func TestANameThatDoesNotExistIsTheTargetsFault(t *testing.T) {
	s := testSender(t, func(o *Options) { o.Resolver = nameServer(t, func() netip.Addr { return netip.Addr{} }) })
	if a := s.send(t.Context(), testDelivery("http://hook.test/?token=hush")); a.outcome != Failed || a.class != classDNS {
		t.Errorf("attempt %+v", a)
	}
}

func TestADNSServerThatIsDownChargesNobody(t *testing.T) {
	s := testSender(t, func(o *Options) {
		o.Resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("network is unreachable")
		}}
	})
	a := s.send(t.Context(), testDelivery("http://hook.test/"))
	if a.outcome != Released || a.class != classOurDNS || a.after != ownFaultPause {
		t.Fatalf("attempt %+v", a)
	}
	// Where other names resolve, the fault is this name's.
	s.resolved.Store(time.Now().UnixNano())
	if a := s.send(t.Context(), testDelivery("http://hook.test/")); a.outcome != Failed || a.class != classDNS {
		t.Errorf("attempt %+v", a)
	}
}

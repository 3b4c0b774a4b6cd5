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

	"golang.org/x/net/dns/dnsmessage"

	"github.com/hookproxy/hookproxy/internal/addresses"
	"github.com/hookproxy/hookproxy/internal/nametest"
)

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
		o.Resolver = nametest.Resolver(t, func(string) []string {
			if asked++; asked == 1 {
				return []string{"127.0.0.2"}
			}
			return []string{"127.0.0.1"}
		})
	})
	s.transport.plain.MaxIdleConnsPerHost = 0 // each attempt resolves and dials anew
	target := "http://" + strings.Replace(ln.Addr().String(), "127.0.0.2", "hook.test", 1)
	if a := s.send(t.Context(), testDelivery(target)); a.outcome != Delivered {
		t.Fatalf("while the name is honest: %+v", a)
	}
	if a := s.send(t.Context(), testDelivery(target)); a.class != classRefused {
		t.Errorf("after it turned: %+v", a)
	}
	wantNobody(t, trap)
}

func TestANameThatDoesNotExistIsTheTargetsFault(t *testing.T) {
	s := testSender(t, func(o *Options) {
		o.Resolver = nametest.Failing(t, dnsmessage.RCodeNameError)
	})
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

func TestADNSServerThatFailsChargesNobody(t *testing.T) {
	s := testSender(t, func(o *Options) {
		o.Resolver = nametest.Failing(t, dnsmessage.RCodeServerFailure)
	})
	if a := s.send(t.Context(), testDelivery("http://hook.test/")); a.outcome != Released || a.class != classOurDNS {
		t.Errorf("attempt %+v", a)
	}
}

// A name is asked for twice, for IPv4 and IPv6. That there is no address of the one
// kind says nothing of the other, about which nobody could be asked; but where it
// comes last, it is all that net tells. So it does here each time.
func TestAHalfAnswerDoesNotSayThatThereIsNoSuchName(t *testing.T) {
	for _, c := range []struct {
		failing dnsmessage.Type
		code    dnsmessage.RCode
		class   string
	}{
		{dnsmessage.TypeA, dnsmessage.RCodeServerFailure, classOurDNS}, {dnsmessage.TypeAAAA, dnsmessage.RCodeServerFailure, classOurDNS},
		{dnsmessage.TypeA, dnsmessage.RCodeSuccess, classDNS}, {dnsmessage.TypeA, dnsmessage.RCodeNameError, classDNS},
	} {
		s := testSender(t, func(o *Options) { o.Resolver = nametest.FailingFor(t, c.failing, c.code) })
		dial := s.watched(func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "hook.test", IsNotFound: true}}
		})
		_, err := dial(t.Context(), "tcp", "hook.test:80")
		if a := s.blame(t.Context(), err); a.class != c.class {
			t.Errorf("%s answers %s: %+v, want %s", c.failing, c.code, a, c.class)
		}
		if a := s.send(t.Context(), testDelivery("http://hook.test/")); a.class != c.class {
			t.Errorf("%s answers %s: sending is %+v, want %s", c.failing, c.code, a, c.class)
		}
	}
}

func TestANameWithARefusedAddressBesideOthersLeadsToTheOthersAlone(t *testing.T) {
	trap, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer trap.Close()
	s := testSender(t, func(o *Options) {
		o.Addresses = addresses.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}}
		o.Resolver = nametest.Resolver(t, func(string) []string { return []string{"127.0.0.2", "127.0.0.1"} })
	})
	_, port, _ := net.SplitHostPort(trap.Addr().String())
	if a := s.send(t.Context(), testDelivery("http://hook.test:"+port)); a.outcome != Failed {
		t.Errorf("attempt %+v", a)
	}
	wantNobody(t, trap)
}

// wantNobody fails where somebody has connected.
func wantNobody(t *testing.T, trap net.Listener) {
	t.Helper()
	_ = trap.(*net.TCPListener).SetDeadline(time.Now().Add(50 * time.Millisecond))
	if conn, err := trap.Accept(); err == nil {
		t.Errorf("%s has reached %s", conn.RemoteAddr(), trap.Addr())
		_ = conn.Close()
	}
}

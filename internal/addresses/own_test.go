package addresses

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// everything is an allow list that names all there is.
var everything = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

func ownOf(addresses ...string) *Own {
	own := &Own{interfaces: func() ([]net.Addr, error) {
		return []net.Addr{
			&net.IPNet{IP: net.IPv4(127, 0, 0, 1), Mask: net.CIDRMask(8, 32)}, &net.IPNet{IP: net.IPv4(10, 9, 9, 9), Mask: net.CIDRMask(24, 32)},
		}, nil
	}}
	for _, one := range addresses {
		own.Add(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(one)))
	}
	return own
}

func TestOurOwnAddressesAreRefusedWhateverIsAllowed(t *testing.T) {
	p := Policy{Allow: everything, Ports: AllPorts, Own: ownOf("[::]:8080", "127.0.0.1:9901", "192.168.7.7:6379", "[2001:4860::1]:6380")}
	for target, allowed := range map[string]bool{
		"127.0.0.1:8080": false, "127.9.9.9:8080": false, "[::1]:8080": false, "0.0.0.0:8080": false, "[::]:8080": false,
		"10.9.9.9:8080": false, "[::ffff:10.9.9.9]:8080": false, "[64:ff9b::10.9.9.9]:8080": false, "[2002:a09:909::1]:8080": false,
		"10.9.9.8:8080": true, "127.0.0.1:8081": true, "8.8.8.8:8080": true,
		"127.0.0.1:9901": false, "10.9.9.9:9901": false,
		"192.168.7.7:6379": false, "[::ffff:192.168.7.7]:6379": false, "192.168.7.8:6379": true, "127.0.0.1:6379": true,
		"[2001:4860::1]:6380": false, "[2001:4860::2]:6380": true,
	} {
		if err := p.Control("tcp", target, nil); (err == nil) != allowed {
			t.Errorf("%s: %v, want allowed %v", target, err, allowed)
		}
	}
	if err := (Policy{Allow: everything}).CheckTarget(netip.MustParseAddrPort("127.0.0.1:8080")); err != nil {
		t.Errorf("without own addresses: %v", err)
	}
}

func TestAnOwnAddressIsRefusedInEveryDisguise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v4 := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address")))
		port := rapid.Uint16Range(1, 65535).Draw(t, "port")
		own := ownOf(netip.AddrPortFrom(v4, port).String())
		for _, disguise := range disguises(v4) {
			err := Policy{Allow: everything, Ports: AllPorts, Own: own}.CheckTarget(netip.AddrPortFrom(disguise, port))
			if !errors.Is(err, ErrRefused) {
				t.Fatalf("%s as %s: %v, want ErrRefused", v4, disguise, err)
			}
		}
	})
}

func TestTheMachinesRealAddressesAreItsOwn(t *testing.T) {
	ln, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	own := &Own{}
	own.Add(ln.Addr())
	port := ln.Addr().(*net.TCPAddr).AddrPort().Port()
	list, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range list {
		addr := netip.MustParsePrefix(one.String()).Addr()
		if (Policy{Allow: everything, Own: own}).CheckTarget(netip.AddrPortFrom(addr, port)) == nil {
			t.Errorf("%s leads to us, and is allowed", addr)
		}
	}
}

func TestOnlyPortsOfReceiversAreDialled(t *testing.T) {
	wide, err := ParsePorts("25, 8000-8010")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ports   Ports
		port    uint16
		allowed bool
	}{
		{nil, 80, true}, {nil, 443, true}, {nil, 8080, true}, {nil, 8443, true}, {nil, 3000, true}, {nil, 65535, true},
		{nil, 0, false}, {nil, 22, false}, {nil, 25, false}, {nil, 587, false}, {nil, 6379, false}, {nil, 5432, false},
		{nil, 2375, false}, {nil, 11211, false}, {nil, 9200, false}, {nil, 27018, false}, {nil, 6667, false}, {nil, 10250, false},
		{wide, 25, true}, {wide, 8000, true}, {wide, 8010, true}, {wide, 8011, false}, {wide, 443, false},
		{AllPorts, 6379, true}, {AllPorts, 1, true}, {AllPorts, 0, false},
	} {
		for _, host := range []string{"8.8.8.8", "hooks.example"} {
			if err := (Policy{Ports: c.ports}).CheckHost(host, c.port); (err == nil) != c.allowed {
				t.Errorf("%v: %s:%d: %v, want allowed %v", c.ports, host, c.port, err, c.allowed)
			}
		}
	}
	for _, text := range []string{"", "0", "x", "80-", "-80", "90-80", "65536", "80,,443", "All"} {
		if ports, err := ParsePorts(text); err == nil {
			t.Errorf("%q was read as %v", text, ports)
		}
	}
}

func TestAllPortsFromTheSystemsOwnRangeAreAllowed(t *testing.T) {
	for port := 32768; port <= 60999; port++ {
		if (Policy{}).CheckPort(uint16(port)) != nil {
			t.Errorf("%d is refused", port)
		}
	}
}

package addresses

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhatIsNotPublicIsRefused(t *testing.T) {
	for _, text := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254",
		"168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1",
		"192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.1.1.1",
		"240.0.0.1", "255.255.255.255",
		"::", "::1", "::2", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
		"::ffff:0:127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::10.0.0.1", "64:ff9b:1::8.8.8.8",
		"100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1", "2001:10::1", "2001:db8::1",
		"2002:7f00:1::", "2002:808:808::1", "3fff::1", "3fff:fff::1", "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254",
		"fe80::1", "fe80::1%eth0", "febf::1", "fec0::1", "ff02::1", "2606:4700::5efe:10.0.0.1",
		"2606:4700::200:5efe:192.168.0.1", "2606:4700::1111%eth0",
	} {
		if err := (Policy{}).Check(netip.MustParseAddr(text)); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want ErrRefused", text, err)
		}
	}
	if err := (Policy{}).Check(netip.Addr{}); !errors.Is(err, ErrRefused) {
		t.Errorf("the zero address: %v, want ErrRefused", err)
	}
}

func TestPublicAddressesAreAllowed(t *testing.T) {
	for _, text := range []string{
		"1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "168.63.129.17", "172.15.255.255", "172.32.0.1",
		"192.0.1.1", "198.17.255.255", "198.20.0.1", "223.255.255.255", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
		"2001:200::1", "2001:4860:4860::8888", "2606:4700:4700::1111", "2a00::1", "2606:4700::5efe:8.8.8.8",
	} {
		if err := (Policy{}).Check(netip.MustParseAddr(text)); err != nil {
			t.Errorf("%s: %v, want nil", text, err)
		}
	}
}

func TestTheAllowListIsAskedFirst(t *testing.T) {
	p := Policy{Allow: []netip.Prefix{
		netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/32"), netip.MustParsePrefix("127.0.0.1/32"),
	}}
	for text, allowed := range map[string]bool{
		"10.1.2.3": true, "10.2.0.1": false, "::ffff:10.1.2.3": true, "::ffff:10.2.0.1": false,
		"64:ff9b::10.1.2.3": true, "64:ff9b:1::10.1.2.3": false, "2002:a01:203::1": true, "2002:a02:203::1": false,
		"2001:0:4136:e378:8000:63bf:f5fe:fdfc": true, "::10.1.2.3": true,
		"fd00:1::1": true, "fd00:2::1": false, "127.0.0.1": true, "127.0.0.2": false,
		// An interface id proves nothing: any host may choose one that looks allowed.
		"2606:4700::5efe:10.1.2.3": false, "fd00:2::5efe:10.1.2.3": false,
		"8.8.8.8": true, "10.1.2.3%": false,
	} {
		addr, err := netip.ParseAddr(text)
		if err != nil && allowed {
			t.Fatal(err)
		}
		if err := p.Check(addr); (err == nil) != allowed {
			t.Errorf("%s: %v, want allowed %v", text, err, allowed)
		}
	}
}

func TestControlRefusesWhatIsNotTCPToAnAddress(t *testing.T) {
	for _, c := range []struct {
		network, address string
		allowed          bool
	}{
		{"tcp4", "8.8.8.8:443", true}, {"tcp6", "[2606:4700::1]:443", true}, {"tcp", "8.8.8.8:80", true},
		{"udp4", "8.8.8.8:53", false}, {"unix", "/run/docker.sock", false}, {"", "8.8.8.8:80", false},
		{"tcp4", "127.0.0.1:80", false}, {"tcp6", "[::1]:80", false}, {"tcp6", "[fe80::1%eth0]:80", false},
		{"tcp", "example.com:80", false}, {"tcp", "8.8.8.8", false}, {"tcp", "", false}, {"tcp", "0177.0.0.1:80", false},
		{"tcp", "2130706433:80", false}, {"tcp", "8.8.8.8:http", false},
	} {
		if err := (Policy{}).Control(c.network, c.address, nil); (err == nil) != c.allowed {
			t.Errorf("%s %s: %v, want allowed %v", c.network, c.address, err, c.allowed)
		}
	}
}

func TestADialerWithThePolicyNeverReachesLoopback(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	d := net.Dialer{Control: Policy{}.Control}
	if conn, err := d.DialContext(t.Context(), "tcp", ln.Addr().String()); !errors.Is(err, ErrRefused) {
		t.Errorf("dialled %v, %v; want ErrRefused", conn, err)
	}
	d.Control = Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}.Control
	conn, err := d.DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatalf("with loopback allowed: %v", err)
	}
	_ = conn.Close()
}

func TestARefusedIPv4IsRefusedInEveryDisguise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := rapid.SampledFrom(special4).Draw(t, "network")
		v4 := addressIn(t, table.prefix)
		for _, disguise := range disguises(v4) {
			if err := (Policy{}).Check(disguise); !errors.Is(err, ErrRefused) {
				t.Fatalf("%s as %s: %v, want ErrRefused", v4, disguise, err)
			}
		}
	})
}

func TestNoIPv6OutsideGlobalUnicastIsAllowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		addr := netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes")))
		err := Policy{}.Check(addr)
		inner, form := embedded(addr)
		if err == nil && !global6.Contains(addr) && form != mapped && form != nat64 {
			t.Fatalf("%s was allowed (embeds %s, %s)", addr, inner, form)
		}
	})
}

func TestNoTextMakesControlPanicOrAllow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "address")
		if err := (Policy{}).Control("tcp", text, nil); err == nil {
			if _, parseErr := netip.ParseAddrPort(text); parseErr != nil {
				t.Fatalf("%q was allowed but is not an address", text)
			}
		}
	})
}

// addressIn draws an address of a network: its bits, and any others below.
func addressIn(t *rapid.T, n netip.Prefix) netip.Addr {
	b := n.Addr().As4()
	host := rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "host")
	for i := range b {
		free := 8 * (i + 1)
		mask := byte(0xff)
		if keep := n.Bits() - (free - 8); keep > 0 {
			mask = byte(uint16(0xff) >> min(keep, 8))
		}
		b[i] |= host[i] & mask
	}
	return netip.AddrFrom4(b)
}

func disguises(v4 netip.Addr) []netip.Addr {
	b := v4.As4()
	tail := func(text string) netip.Addr {
		a := netip.MustParseAddr(text).As16()
		copy(a[12:], b[:])
		return netip.AddrFrom16(a)
	}
	sixToFour := netip.MustParseAddr("2002::1").As16()
	copy(sixToFour[2:], b[:])
	teredo := netip.MustParseAddr("2001:0:4136:e378::").As16()
	for i := range b {
		teredo[12+i] = ^b[i]
	}
	return []netip.Addr{
		v4, tail("::ffff:0:0"), tail("::"), tail("64:ff9b::"), tail("64:ff9b:1::"), tail("2606:4700::5efe:0:0"),
		tail("2606:4700::200:5efe:0:0"), netip.AddrFrom16(sixToFour), netip.AddrFrom16(teredo),
	}
}

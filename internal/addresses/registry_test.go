package addresses

import (
	"encoding/csv"
	"net/netip"
	"os"
	"testing"

	"pgregory.net/rapid"
)

// block is a line of IANA's registries.
type block struct {
	prefix    netip.Prefix
	name      string
	reachable bool
}

func registries(t *testing.T) []block {
	t.Helper()
	file, err := os.Open("testdata/special-purpose.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reader := csv.NewReader(file)
	reader.Comment = '#'
	lines, err := reader.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	for _, line := range lines {
		blocks = append(blocks, block{netip.MustParsePrefix(line[0]), line[1], line[3] == "true"})
	}
	return blocks
}

// reachable answers what the registries say of an address: the longest block that
// holds it decides, and what no block holds is reachable if it is given out at all.
func reachable(blocks []block, addr netip.Addr) bool {
	longest, answer := -1, addr.Is4() || global6.Contains(addr)
	for _, b := range blocks {
		if b.prefix.Contains(addr) && b.prefix.Bits() > longest {
			longest, answer = b.prefix.Bits(), b.reachable
		}
	}
	return answer
}

func TestWhatIANASaysIsNotReachableIsRefused(t *testing.T) {
	blocks := registries(t)
	for _, b := range blocks {
		first, last := b.prefix.Masked().Addr(), lastOf(b.prefix)
		for _, addr := range []netip.Addr{first, last} {
			if !reachable(blocks, addr) && addr.Unmap() == addr && (Policy{}).Check(addr) == nil {
				t.Errorf("%s, of %s (%s), is allowed", addr, b.prefix, b.name)
			}
		}
	}
}

// The two differ only where we refuse more: a public address that no subscriber
// has, and IPv6 addresses whose IPv4 part is refused.
func TestThePolicyAgreesWithIANAOnAnyAddress(t *testing.T) {
	blocks := registries(t)
	stricter := []netip.Prefix{
		netip.MustParsePrefix("168.63.129.16/32"), // a cloud's own service
		netip.MustParsePrefix("192.0.0.0/24"),     // anycast services of a network's own
		netip.MustParsePrefix("2001::/23"),
	}
	rapid.Check(t, func(t *rapid.T) {
		addr := anyAddress(t, blocks)
		if addr.Is4In6() {
			return // it means the IPv4 address, which the registries do not say
		}
		want := reachable(blocks, addr)
		inner, form := embedded(addr)
		if form == nat64 || form == isatap && want {
			want = reachable(blocks, inner) && inner != netip.MustParseAddr("168.63.129.16") && !netip.MustParsePrefix("192.0.0.0/24").Contains(inner)
		}
		for _, s := range stricter {
			want = want && !s.Contains(addr)
		}
		if err := (Policy{}).Check(addr); (err == nil) != want {
			t.Fatalf("%s: %v, want allowed %v", addr, err, want)
		}
	})
}

// anyAddress draws from all addresses, and from the edges of blocks.
func anyAddress(t *rapid.T, blocks []block) netip.Addr {
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "bytes")))
	case 1:
		return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes")))
	}
	b := rapid.SampledFrom(blocks).Draw(t, "block")
	first, last := b.prefix.Masked().Addr(), lastOf(b.prefix)
	edges := []netip.Addr{first, last}
	for _, beyond := range []netip.Addr{first.Prev(), last.Next()} {
		if beyond.IsValid() {
			edges = append(edges, beyond)
		}
	}
	return rapid.SampledFrom(edges).Draw(t, "edge")
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

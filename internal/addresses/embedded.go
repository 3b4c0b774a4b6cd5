package addresses

import "net/netip"

// form is a way in which an IPv6 address carries an IPv4 address.
type form int

const (
	none       form = iota
	mapped          // ::ffff:a.b.c.d, RFC 4291 §2.5.5.2
	compatible      // ::a.b.c.d, RFC 4291 §2.5.5.1
	nat64           // 64:ff9b::a.b.c.d, RFC 6052
	nat64Local      // 64:ff9b:1::/48 with a.b.c.d in the last 32 bits, RFC 8215
	sixToFour       // 2002:aabb:ccdd::, RFC 3056
	teredo          // 2001:0:…, the client's address inverted at the end, RFC 4380
	isatap          // …:0:5efe:a.b.c.d, RFC 5214
)

func (f form) String() string {
	return [...]string{"IPv4", "IPv4-mapped", "IPv4-compatible", "NAT64", "local NAT64", "6to4", "Teredo", "ISATAP"}[f]
}

// judged tells whether the embedded address may stand for the whole when the
// allow list is asked. Not for ISATAP: its last 64 bits are an interface id
// that any host may choose. Not for a local NAT64 either: where the IPv4
// address stands in it is its operator's choice, and the bits looked at here
// need not be those it routes by.
func (f form) judged() bool { return f != none && f != isatap && f != nat64Local }

var forms = []struct {
	prefix netip.Prefix
	form   form
}{
	{netip.MustParsePrefix("::ffff:0:0/96"), mapped},
	{netip.MustParsePrefix("::/96"), compatible},
	{netip.MustParsePrefix("64:ff9b::/96"), nat64},
	{netip.MustParsePrefix("64:ff9b:1::/48"), nat64Local},
	{netip.MustParsePrefix("2002::/16"), sixToFour},
	{netip.MustParsePrefix("2001::/32"), teredo},
}

// embedded answers the IPv4 address inside an IPv6 address, and its form.
func embedded(addr netip.Addr) (netip.Addr, form) {
	if !addr.Is6() {
		return netip.Addr{}, none
	}
	b := addr.As16()
	for _, f := range forms {
		// Contains never matches a mapped address against an IPv6 prefix, hence Is4In6.
		if f.prefix.Contains(addr) || f.form == mapped && addr.Is4In6() {
			return inside(b, f.form), f.form
		}
	}
	if b[8]&^0x02 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe {
		return inside(b, isatap), isatap
	}
	return netip.Addr{}, none
}

func inside(b [16]byte, f form) netip.Addr {
	switch f {
	case sixToFour:
		return netip.AddrFrom4([4]byte(b[2:6]))
	case teredo:
		return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})
	default:
		return netip.AddrFrom4([4]byte(b[12:16]))
	}
}

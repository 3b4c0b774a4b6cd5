// Package addresses decides which IP addresses hookproxy may deliver to. A
// subscriber names a URL of their own choosing; without a check where it is
// dialled, that URL would reach what stands behind hookproxy's back: loopback,
// the private network, the cloud's metadata service.
package addresses

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// ErrRefused is what every refusal of this package is, by errors.Is.
var ErrRefused = errors.New("address refused")

// Policy tells which addresses may be dialled. The zero value allows public
// unicast addresses and nothing else, at the ports that Ports has by default.
type Policy struct {
	// Allow lists networks that may be dialled whatever they are. It is asked
	// about the address as dialled and about the IPv4 address it embeds, before
	// all but Own.
	Allow []netip.Prefix
	// Ports may be dialled, at whatever address. Nil: see Ports.
	Ports Ports
	// Own is never dialled, whatever Allow and Ports say. Nil: there is none.
	Own *Own
}

// Check answers nil for an address that may be dialled, and ErrRefused, with
// the reason, for any other.
func (p Policy) Check(addr netip.Addr) error {
	if !addr.IsValid() {
		return fmt.Errorf("%w: not an IP address", ErrRefused)
	}
	if addr.Zone() != "" {
		// A zone chooses a network interface. No subscriber out in the world has one,
		// and netip.Prefix never contains a zoned address, so no allow list could mean it.
		return fmt.Errorf("%w: %s has a zone", ErrRefused, addr)
	}
	inner, form := embedded(addr)
	if p.allows(addr) || form.judged() && p.allows(inner) {
		return nil
	}
	if reason := refusal(addr, inner, form); reason != "" {
		return fmt.Errorf("%w: %s is %s, and in no network of --allow-networks", ErrRefused, addr, reason)
	}
	return nil
}

// CheckTarget is Check for an address and a port.
func (p Policy) CheckTarget(target netip.AddrPort) error {
	addr, port := target.Addr(), target.Port()
	inner, form := embedded(addr)
	if p.Own.holds(addr, port) || form != none && p.Own.holds(inner, port) {
		return fmt.Errorf("%w: %s is hookproxy's own", ErrRefused, target)
	}
	if err := p.CheckPort(port); err != nil {
		return err
	}
	return p.Check(addr)
}

// CheckHost is CheckTarget for a URL's host and port. Of a name only the port is
// checked: what it means is known when it is dialled, and only then.
func (p Policy) CheckHost(host string, port uint16) error {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return p.CheckPort(port)
	}
	return p.CheckTarget(netip.AddrPortFrom(addr, port))
}

// Control is a net.Dialer.Control that checks the address about to be
// connected to: after resolving, so that no name can promise one address and
// mean another. It refuses what is not TCP to an IP address and a port.
func (p Policy) Control(network, address string, _ syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return fmt.Errorf("%w: network %q is not tcp", ErrRefused, network)
	}
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: not an IP address and port: %w", ErrRefused, err)
	}
	return p.CheckTarget(target)
}

func (p Policy) allows(addr netip.Addr) bool {
	return slices.ContainsFunc(p.Allow, func(n netip.Prefix) bool {
		return n.Contains(addr) || n.Contains(addr.Unmap())
	})
}

// refusal says what is wrong with an address, or "" for a public one.
func refusal(addr, inner netip.Addr, form form) string {
	switch {
	case addr.Is4():
		return within(addr, special4)
	case form == mapped || form == nat64 || form == isatap:
		// The network carries these to the IPv4 address inside, so that one decides.
		if reason := within(inner, special4); reason != "" {
			return reason + " (" + inner.String() + " as " + form.String() + ")"
		}
		if form != isatap {
			return ""
		}
	}
	if reason := within(addr, special6); reason != "" {
		return reason
	}
	if !global6.Contains(addr) {
		return "outside the global unicast range"
	}
	return ""
}

func within(addr netip.Addr, table []network) string {
	for _, n := range table {
		if n.prefix.Contains(addr) {
			return n.name
		}
	}
	return ""
}

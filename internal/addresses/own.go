package addresses

import (
	"net"
	"net/netip"
	"sync"
)

// Own are the addresses of hookproxy itself and of its Redis. They are refused
// before any allow list is asked: whoever could have hooks sent there would be
// operator. Its zero value is empty; it is safe for concurrent use, and must not
// be copied.
type Own struct {
	mu    sync.RWMutex
	ports map[uint16]map[netip.Addr]bool
	// interfaces answers the machine's addresses; net.InterfaceAddrs but in tests.
	interfaces func() ([]net.Addr, error)
}

// Add notes an address. What is no TCP address is none that could be dialled.
func (o *Own) Add(address net.Addr) {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return
	}
	at := tcp.AddrPort()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ports == nil {
		o.ports = map[uint16]map[netip.Addr]bool{}
	}
	if o.ports[at.Port()] == nil {
		o.ports[at.Port()] = map[netip.Addr]bool{}
	}
	o.ports[at.Port()][at.Addr().Unmap().WithZone("")] = true
}

// holds tells whether an address is among them. One of this machine stands for
// all of this machine: a service on one may well listen on the others, and all of
// 127.0.0.0/8 and the unspecified address lead to it.
func (o *Own) holds(addr netip.Addr, port uint16) bool {
	if o == nil {
		return false
	}
	o.mu.RLock()
	defer o.mu.RUnlock()
	addr = addr.Unmap().WithZone("")
	own := o.ports[port]
	if len(own) == 0 || own[addr] {
		return len(own) > 0
	}
	local := o.local()
	if !local(addr) {
		return false
	}
	for one := range own {
		if local(one) {
			return true
		}
	}
	return false
}

// local answers what tells this machine's addresses. Where the system does not
// tell them, only those are known that are the same everywhere.
func (o *Own) local() func(netip.Addr) bool {
	list := o.interfaces
	if list == nil {
		list = net.InterfaceAddrs
	}
	found, _ := list()
	here := map[netip.Addr]bool{}
	for _, one := range found {
		if prefix, err := netip.ParsePrefix(one.String()); err == nil {
			here[prefix.Addr().Unmap().WithZone("")] = true
		}
	}
	return func(a netip.Addr) bool { return a.IsLoopback() || a.IsUnspecified() || here[a] }
}

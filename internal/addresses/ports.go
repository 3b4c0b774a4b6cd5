package addresses

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Ports are the ports that may be dialled: each pair is the first and the last of
// a range. Nil stands for the default: 80, 443, and all from 1024 on but those of
// services that are not HTTP receivers and act on what they are sent.
type Ports [][2]uint16

// firstUserPort is where the ports begin that anybody may listen on.
const firstUserPort = 1024

// servicePorts are ports from firstUserPort on that a hook is never meant for:
// stores, queues, and control planes, which often stand without a password, and
// those that browsers refuse too (Fetch, §2.9 "Port blocking"). None is from the
// range that systems hand out by themselves (32768 to 60999).
var servicePorts = Ports{
	{1433, 1434}, {1521, 1521}, {1719, 1720}, {1723, 1723}, {2049, 2049}, {2181, 2181}, {2375, 2380}, {3306, 3306},
	{3389, 3389}, {3659, 3659}, {4045, 4045}, {4190, 4190}, {4369, 4369}, {5060, 5061}, {5432, 5432}, {5672, 5672},
	{5900, 5900}, {6000, 6000}, {6379, 6380}, {6443, 6443}, {6566, 6566}, {6665, 6669}, {6697, 6697}, {9042, 9042}, {9092, 9092},
	{9200, 9200}, {9300, 9300}, {10080, 10080}, {10250, 10250}, {10255, 10255}, {11211, 11211}, {16379, 16379},
	{26379, 26379}, {27017, 27019},
}

// AllPorts allows each.
var AllPorts = Ports{{1, 65535}}

var errPorts = errors.New("want ports and ranges such as 443,8000-8999, or all")

// ParsePorts reads ports as a setting has them: "443,8000-8999", or "all".
func ParsePorts(text string) (Ports, error) {
	if text == "all" {
		return AllPorts, nil
	}
	var ports Ports
	for one := range strings.SplitSeq(text, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(one), "-")
		if !isRange {
			high = low
		}
		first, err := strconv.ParseUint(low, 10, 16)
		last, errLast := strconv.ParseUint(high, 10, 16)
		if err != nil || errLast != nil || first < 1 || last < first {
			return nil, errPorts
		}
		ports = append(ports, [2]uint16{uint16(first), uint16(last)})
	}
	return ports, nil
}

func (p Ports) allow(port uint16) bool {
	if p == nil {
		return port == 80 || port == 443 || port >= firstUserPort && !servicePorts.allow(port)
	}
	for _, r := range p {
		if r[0] <= port && port <= r[1] {
			return true
		}
	}
	return false
}

// CheckPort answers nil for a port that may be dialled, whatever the address.
func (p Policy) CheckPort(port uint16) error {
	if !p.Ports.allow(port) {
		return fmt.Errorf("%w: port %d is none that hooks are sent to", ErrRefused, port)
	}
	return nil
}

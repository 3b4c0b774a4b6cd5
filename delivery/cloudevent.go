package delivery

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// cloudEventSource is ce-source. Together with ce-id it must name the event for
// good, so it does not tell the process or the subscription.
const cloudEventSource = "hookproxy"

// cloudEvent writes the attributes of a CloudEvent as headers (CloudEvents 1.0,
// HTTP protocol binding §3.1, binary mode). dataomitted is an extension.
func (d *delivery) cloudEvent(h http.Header) {
	set := func(name, value string) {
		if value != "" {
			h[name] = []string{percent(value)}
		}
	}
	set("Ce-Specversion", "1.0")
	set("Ce-Id", d.event.ID)
	set("Ce-Source", cloudEventSource)
	set("Ce-Type", d.event.Name)
	set("Ce-Time", d.event.Time.UTC().Format(time.RFC3339Nano))
	set("Ce-Subject", d.event.Resource)
	set("Ce-Dataomitted", d.event.Omitted)
}

// percent encodes what a header's value may not hold as it is (§3.1.3.2): space,
// the quote, the percent sign, and all that is not printable ASCII.
func percent(value string) string {
	var b strings.Builder
	for i := range len(value) {
		if c := value[i]; c <= ' ' || c == '"' || c == '%' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

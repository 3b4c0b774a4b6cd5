package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/proxy"
)

// examineFront looks at the rules and the upstream.
func (f *findings) examineFront(ctx context.Context, c config) {
	if !c.proxies {
		return
	}
	f.ok("rules", "rules: %d; ways to know a caller: %d", len(c.rules.Rules), len(c.rules.Identity))
	transport := proxy.NewTransport(proxy.TransportOptions{CA: c.upstreamCA, H2C: c.upstream.Scheme == "h2c"})
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	target := *c.upstream
	if target.Scheme == "h2c" {
		target.Scheme = "http"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, target.String(), nil)
	if err != nil {
		f.add(broken, "upstream", "mend --upstream", "%s", shorten(err))
		return
	}
	begun := time.Now()
	response, err := transport.RoundTrip(request)
	if err != nil {
		f.add(broken, "upstream", "start the API, or mend --upstream (and --upstream-ca, for its certificate)", "%s cannot be reached: %s", c.upstream, shorten(err))
		return
	}
	_ = response.Body.Close()
	f.ok("upstream", "%s answers %s to HEAD within %s", c.upstream, response.Status, time.Since(begun).Round(time.Millisecond))
}

// What no target and no peer should be believed to be by accident.
var (
	everybody = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	metadata  = netip.MustParseAddr("169.254.169.254")
)

// examineReach looks at who may reach what.
func (f *findings) examineReach(c config) {
	before := len(*f)
	for _, network := range c.allowNetworks {
		if network.Contains(metadata) {
			f.add(risky, "target policy", "name the networks of your receivers alone in --allow-networks",
				"subscribers may have the cloud's metadata service called: --allow-networks %s", network)
		}
	}
	for _, network := range c.trustedProxies {
		for _, all := range everybody {
			if network == all {
				f.add(risky, "trusted proxies", "name the addresses of your proxies alone in --trusted-proxies",
					"everybody may say who they are: %s", network)
			}
		}
	}
	if host, _, err := net.SplitHostPort(c.admin); c.admin != "" && err == nil {
		if addr, err := netip.ParseAddr(host); err != nil && host != "localhost" || err == nil && !addr.IsLoopback() {
			f.add(risky, "admin", "keep the port from strangers: /metrics and /readyz ask for nothing", "listens beyond this machine, at %s", c.admin)
		}
	}
	if c.secrets == nil {
		f.add(risky, "secrets", "set HOOKPROXY_SECRET_KEY to what openssl rand -base64 32 prints", "subscriptions' secrets stand in Redis unencrypted")
	}
	if len(*f) == before {
		f.ok("addresses", "targets and peers are limited, the admin address is this machine's, secrets are encrypted")
	}
}

// examineSpool looks at the spool's file, its disk, and what is in it.
func (f *findings) examineSpool(c config) {
	switch {
	case !c.proxies:
		return
	case c.spool == "":
		f.add(risky, "spool", "give --spool a file on a disk that stays", "none: an event that Redis does not take at once is lost")
		return
	}
	directory := filepath.Dir(c.spool)
	if err := unix.Access(directory, unix.W_OK); err != nil {
		f.add(broken, "spool", "make the directory, or let hookproxy's user write there, or name another in --spool", "%s cannot be written to: %v", directory, err)
		return
	}
	var tally spoolTally
	err := events.ReadSpool(c.spool, func(one events.Spooled) error { tally.add(one); return nil })
	switch {
	case err == nil && tally.refused > 0:
		f.add(risky, "spool", "hookproxy spool ls shows them, hookproxy spool replay --refused tries them again", "%s: %s", c.spool, tally.String())
	case err == nil:
		f.ok("spool", "%s: %s", c.spool, tally.String())
	case errors.Is(err, fs.ErrNotExist):
		f.ok("spool", "%s is not there yet", c.spool)
	case errors.Is(err, events.ErrSpoolLocked):
		f.ok("spool", "in use: %v", err)
	default:
		f.add(broken, "spool", "the message says what to do", "%v", err)
	}
	var disk unix.Statfs_t
	if unix.Statfs(directory, &disk) != nil {
		return
	}
	if free := int64(disk.Bavail) * disk.Bsize; free+tally.bytes < c.spoolBytes {
		f.add(risky, "spool's disk", "make room, or lower --spool-bytes", "%d bytes are free; --spool-bytes is %d", free, c.spoolBytes)
	} else {
		f.ok("spool's disk", "has room for --spool-bytes")
	}
}

package subscriptions

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hookproxy/hookproxy/internal/addresses"
)

// oddTarget draws URLs from the parts that parsers disagree about.
func oddTarget() *rapid.Generator[string] {
	part := rapid.SampledFrom([]string{
		"http", "https", "HTTP", "ftp", "javascript", ":", "//", "/", `\`, "@", "#", "?", "%", "%00", "%2f", "%40", "\r\n", "\t", " ", "\x00", "[", "]", "::1", "::ffff:7f00:1",
		"fe80::1%25eth0", "127.0.0.1", "0x7f.1", "0177.0.0.1", "2130706433", "1", ".", "..", "example.com", "a", "xn--", "bücher", "。", "１", "-", "_", ":80", ":0", ":65536", ":a",
		"user:pass", "X-Evil: 1", strings.Repeat("a", 64), strings.Repeat("/p", 1100), "\u202e", "\ufeff", "Host: x",
	})
	return rapid.Custom(func(t *rapid.T) string {
		start := rapid.SampledFrom([]string{"", "http://", "https://", "https://example.com", "http://127.0.0.1"}).Draw(t, "start")
		return start + strings.Join(rapid.SliceOfN(part, 0, 6).Draw(t, "parts"), "")
	})
}

// What is taken means one thing to whoever reads it, and can be sent to.
func TestATargetThatIsTakenMeansTheSameToEverybody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := oddTarget().Draw(t, "target")
		u, err := ParseTarget(raw)
		if err != nil {
			if strings.Contains(err.Error(), raw) && len(raw) > 10 {
				t.Fatalf("the error shows the URL: %v", err)
			}
			return
		}
		again, err := url.Parse(u.String())
		if err != nil || again.Host != u.Host || again.User != nil || again.Fragment != "" || (u.Scheme != "http" && u.Scheme != "https") {
			t.Fatalf("%q is read as %#v and written as %q: %v", raw, u, u.String(), err)
		}
		if len(raw) > maxTarget || strings.ContainsAny(raw, "\r\n\t \x00\\") || strings.Contains(u.Host, "@") {
			t.Fatalf("%q is taken", raw)
		}
		// The host is what a reader finds who knows no URLs: up to the first of /?#.
		_, rest, _ := strings.Cut(raw, "://")
		if host := rest[:indexOr(rest, "/?#")]; host != u.Host {
			t.Fatalf("%q names %q, and is read as %q", raw, host, u.Host)
		}
		if _, err := http.NewRequest(http.MethodPost, raw, nil); err != nil {
			t.Fatalf("%q cannot be sent to: %v", raw, err)
		}
	})
}

// indexOr answers where the first of some characters stands, or the end.
func indexOr(s, chars string) int {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return i
	}
	return len(s)
}

// An IPv4 address has one spelling here, and that one obeys the address policy.
func TestAnAddressHasNoDisguise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.Uint32(), rapid.SampledFrom([]uint32{0x7f000001, 0xa9fea9fe, 0x0a000001, 0xc0a80101, 0x64400001, 0, 0xffffffff})).Draw(t, "address")
		a, b, c, d := n>>24, n>>16&255, n>>8&255, n&255
		for _, host := range []string{
			fmt.Sprintf("%d", n), fmt.Sprintf("0x%x", n), fmt.Sprintf("0X%X", n), fmt.Sprintf("0%o", n), fmt.Sprintf("%d.%d", a, n&0xffffff), fmt.Sprintf("%d.%d.%d", a, b, n&0xffff),
			fmt.Sprintf("0x%x.0x%x.0x%x.0x%x", a, b, c, d), fmt.Sprintf("0%o.0%o.0%o.0%o", a, b, c, d), fmt.Sprintf("%d.%d.%d.%d.", a, b, c, d),
			fmt.Sprintf("%03d.%d.%d.0x%x", a, b, c, d), fmt.Sprintf("%d.%d.%d.%%3%d", a, b, c, d%10), fmt.Sprintf("[%d.%d.%d.%d]", a, b, c, d),
		} {
			if _, err := ParseTarget("http://" + host + "/"); err == nil {
				t.Fatalf("%s is taken", host)
			}
		}
		plain := netip.AddrFrom4([4]byte{byte(a), byte(b), byte(c), byte(d)})
		for _, addr := range []netip.Addr{plain, netip.AddrFrom16(plain.As16())} {
			host := addr.String()
			if addr.Is4In6() {
				host = "[" + host + "]"
			}
			_, err := checker{allowTarget: addresses.Policy{}.CheckHost, events: func() []string { return knownEvents }}.
				create(mustParse(t, `{"event":"deal.won","target_url":"http://`+host+`/"}`))
			if refused := (addresses.Policy{}).Check(addr) != nil; refused != (err != nil) {
				t.Fatalf("%s: %v, though the policy refuses it: %t", host, err, refused)
			}
		}
	})
}

func mustParse(t *rapid.T, body string) []member {
	members, err := parseObject([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return members
}

package subscriptions

import (
	"net/netip"
	"strings"
	"testing"
)

func TestTargetsThatAreTaken(t *testing.T) {
	for _, raw := range []string{
		"http://example.com", "https://example.com/", "HTTPS://Example.COM/Path?x=1&y=<2>{z}|", "https://hooks.example:8443/a/b%2Fc?d=%zz",
		"https://hooks.example:1/", "https://hooks.example:65535/", "https://example.com./x", "https://xn--bcher-kva.example/", "https://a_b.example/",
		"http://localhost/", "http://192.0.2.1/", "http://[2001:db8::1]:80/", "http://[::ffff:192.0.2.1]/", "https://1.example/", "https://0x.example/",
		"https://hooks.example/@u:p", "https://hooks.example?u=http://a@b/", "https://a-b.c-d.example/", "https://" + strings.Repeat("a", 63) + ".example/",
		"https://hooks.example/" + strings.Repeat("p", maxTarget-len("https://hooks.example/")),
	} {
		u, err := ParseTarget(raw)
		if err != nil {
			t.Errorf("%.80s is refused: %v", raw, err)
			continue
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
			t.Errorf("%.80s is read as %#v", raw, u)
		}
	}
}

func TestTargetsThatAreRefused(t *testing.T) {
	for reason, targets := range map[string][]string{
		"empty":       {""},
		"longer":      {"https://hooks.example/" + strings.Repeat("p", maxTarget)},
		"http or":     {"ftp://x/", "file:///etc/passwd", "javascript:alert(1)", "//x/", "/x", "x", "example.com/", "gopher://x:1/", "unix:/run/x", "httpx://a/", "mailto:a@b"},
		"name a host": {"http://", "http:", "http:///path", "http:x", "https:/x", "http://:80/", "https://?x", "http://@", "http://:@:80/"},
		"user name":   {"http://u@x/", "http://u:p@x/", "http://:p@x/", "http://@x/", "http://a@b@c/", "http://127.0.0.1%40x@y/"},
		"fragment":    {"http://x/#a", "http://x/#", "http://x#"},
		"control":     {"http://x/ a", " http://x/", "http://x/\r\nHost: y", "http://x/\x00", "http://x/\t", "http://x/\x7f", "ht\ntp://x/", "http://x/\n", "http://a b/"},
		"backslash":   {`http://x\@y/`, `http:\\x\`, `http://x/a\b`},
		"ASCII":       {"http://bücher.example/", "http://x/ü", "http://x/\xff", "http://１２７.0.0.1/", "http://x。y/", "http://x/\u202e", "http://x/?q=é"},
		"a port":      {"http://x:0/", "http://x:65536/", "http://x:/", "http://x:99999999999999999999/", "http://[::1]:/"},
		"valid URL":   {"http://x:a/", "http://x:-1/", "http://[::1/", "http://[::1]a/", "http://x/%zz", "http://%31%32%37.0.0.1/", "http://[x]/a%", "http://x:80:80/", "http://[x]/", "http://[127.0.0.1x]/", "http://[::1%25]/"},
		"valid host": {"http://x..y/", "http://.x/", "http://-x/", "http://x-/", "http://x!y/", "http://x*y/", "http://x,y/", "http://./", "http://a$b/", "http://x;y/",
			"http://" + strings.Repeat("a", 64) + "/", "http://" + strings.Repeat("a.", 127) + "com/"},
		"number": {"http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.1/", "http://127.0.0.1./", "http://1.2.3.4.5/",
			"http://0/", "http://x.0x1/", "http://256.1.1.1/", "http://x.1/", "http://127.0.0.0X1/", "http://0x/"},
		"interface": {"http://[fe80::1%25eth0]/"},
	} {
		for _, raw := range targets {
			_, err := ParseTarget(raw)
			if err == nil {
				t.Errorf("%.80q is taken", raw)
				continue
			}
			if !strings.Contains(err.Error(), reason) {
				t.Errorf("%.80q: %v; want a word about %q", raw, err, reason)
			}
			if len(raw) > 20 && strings.Contains(err.Error(), raw) {
				t.Errorf("the error repeats the URL: %v", err)
			}
		}
	}
}

// What is taken must mean one thing: reading it again says the same, and its
// host is an address that can be judged or a name that can be resolved.
func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{"https://hooks.example:8443/a?b#c", "http://u:p@[::1]:80/", `http://x\@y/`, "http://0x7f.1/", "http://x/%2e%2e//"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := ParseTarget(raw)
		if err != nil {
			return
		}
		again, err := ParseTarget(u.String())
		if len(u.String()) <= maxTarget && (err != nil || again.Host != u.Host || again.Scheme != u.Scheme) {
			t.Errorf("%q is %q, and that is %v, %v", raw, u, again, err)
		}
		host := u.Hostname()
		if _, err := netip.ParseAddr(host); err != nil && strings.ContainsAny(host, "@:/\\%[] #?") {
			t.Errorf("%q has the host %q", raw, host)
		}
	})
}

package subscriptions

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// requireNodeEnv, set to 1, makes a missing node a failure.
const requireNodeEnv = "HOOKPROXY_REQUIRE_NODE"

// readLikeABrowser reads URLs by the WHATWG's standard: null is one that is none.
const readLikeABrowser = `
const raws = JSON.parse(require('node:fs').readFileSync(0, 'utf8'))
console.log(JSON.stringify(raws.map((raw) => {
  try {
    const u = new URL(raw)
    return {Scheme: u.protocol.slice(0, -1), Host: u.hostname, Port: u.port, Rest: u.username + u.password + u.hash}
  } catch { return null }
})))`

// asRead is how a browser reads a URL. Port is "" for the scheme's own.
type asRead struct{ Scheme, Host, Port, Rest string }

func readByNode(t *testing.T, raws []string) (read []*asRead) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv(requireNodeEnv) == "1" {
			t.Fatalf("%s=1, but: %v", requireNodeEnv, err)
		}
		t.Skip("no node on PATH")
	}
	input, err := json.Marshal(raws)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), node, "-e", readLikeABrowser)
	command.Stdin = bytes.NewReader(input)
	output, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(output, &read); err != nil || len(read) != len(raws) {
		t.Fatalf("%d were read: %v", len(read), err)
	}
	return read
}

// sane draws URLs with hosts of every kind, most of which are taken.
func sane() *rapid.Generator[string] {
	host := rapid.OneOf(
		rapid.StringMatching(`[a-zA-Z0-9_.-]{1,20}`), rapid.StringMatching(`([a-z0-9]{1,5}\.){1,3}[a-z0-9]{1,5}\.?`), rapid.StringMatching(`\[[0-9a-f:.]{2,20}\]`),
		rapid.StringMatching(`(0x|0X|0)?[0-9a-f]{1,10}`), rapid.StringMatching(`(xn--)?[a-z0-9-]{1,10}\.[a-z]{2,3}`), rapid.StringMatching(`([0-9]{1,4}\.){0,4}[0-9x]{1,4}\.?`),
	)
	return rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"http://", "https://", "HTTP://"}).Draw(t, "scheme") + host.Draw(t, "host") +
			rapid.StringMatching(`(:[0-9]{0,6})?`).Draw(t, "port") + rapid.StringMatching(`(/[!-~]{0,10})?(\?[!-~]{0,10})?`).Draw(t, "path")
	})
}

// Two standards read URLs, and between them requests have been sent to where nobody
// had checked. What is taken names the same host and port by both.
func TestATargetThatIsTakenNamesTheSameHostToABrowser(t *testing.T) {
	var raws []string
	var taken []*url.URL
	for seed := range 6000 {
		raw := sane().Example(seed)
		if seed%3 == 0 {
			raw = oddTarget().Example(seed)
		}
		if u, err := ParseTarget(raw); err == nil {
			raws, taken = append(raws, raw), append(taken, u)
		}
	}
	both := 0
	for i, read := range readByNode(t, raws) {
		if read == nil {
			continue // nobody is led anywhere by it
		}
		both++
		want := asRead{Scheme: taken[i].Scheme, Host: oneSpelling(taken[i].Hostname()), Port: taken[i].Port()}
		if read.Port == "" && portOf(taken[i]) == map[string]uint16{"http": 80, "https": 443}[read.Scheme] {
			want.Port = ""
		}
		read.Host, want.Port = oneSpelling(strings.Trim(read.Host, "[]")), strings.TrimLeft(want.Port, "0")
		if *read != want {
			t.Errorf("%q is %+v to a browser, and %+v here", raws[i], *read, want)
		}
	}
	if both < 1000 {
		t.Errorf("only %d of %d that are taken are read by both", both, len(raws))
	}
}

// oneSpelling writes a host in one way: case means nothing, and an address has many
// spellings in IPv6.
func oneSpelling(host string) string {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().String()
	}
	return strings.ToLower(host)
}

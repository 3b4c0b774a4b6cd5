package http1

import (
	"net/textproto"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestEachByteCountsWhereverItStands(t *testing.T) {
	for c := range 256 {
		want := c >= ' ' && c != 0x7f || c == '\t'
		for at := range 20 {
			value := []byte(strings.Repeat("\xff~ 0", 5))
			value[at] = byte(c)
			if got := IsFieldValue(string(value)); got != want {
				t.Errorf("byte %#x at %d: %v", c, at, got)
			}
		}
	}
}

func TestNamesAreSpeltAsNetHTTPHasThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-dA-D0-9_-]{1,12}`).Draw(t, "name")
		got, value, err := parseField(name + ": \tv ")
		if want := textproto.CanonicalMIMEHeaderKey(name); got != want || value != "v" || err != nil {
			t.Errorf("got %q, %q, %v; want %q", got, value, err, want)
		}
	})
}

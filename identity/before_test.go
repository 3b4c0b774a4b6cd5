package identity

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A chain that follows another knows what that one knew, where its entries are
// the same, wherever they stand.
func TestWhatIsKnownOfCallersLivesOnInEntriesThatHaveNotChanged(t *testing.T) {
	u := newUpstream(t, byToken(map[string]string{"a": "42"}))
	first := u.chain(t, Options{Entries: []Entry{whoamiEntry}})
	wantUser(t, first, request("Authorization", "a"), "42")
	u.wantLookups(t, 1)

	header := Entry{Kind: KindHeader, Header: "X-User"}
	second := u.chain(t, Options{Entries: []Entry{header, whoamiEntry}, Before: first})
	wantUser(t, second, request("Authorization", "a"), "42")
	u.wantLookups(t, 1)

	changed := whoamiEntry
	changed.Credentials = []string{"Authorization", "X-Other"}
	third := u.chain(t, Options{Entries: []Entry{changed}, Before: second})
	wantUser(t, third, request("Authorization", "a"), "42")
	u.wantLookups(t, 2)

	// The chain before still answers those who asked it.
	wantUser(t, first, request("Authorization", "a"), "42")
	u.wantLookups(t, 2)
}

func TestAnEntryWhoseFilesHaveChangedIsMadeAnew(t *testing.T) {
	u := newUpstream(t, byToken(nil))
	file := filepath.Join(t.TempDir(), "secret")
	write := func(letter string) {
		if err := os.WriteFile(file, []byte(strings.Repeat(letter, minSecret)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	entries := []Entry{{Kind: KindKey, Header: "X-Key", Secret: Source{File: file}, Unverified: true}}
	user := func(c *Chain) string {
		caller, err := c.Ask(request("X-Key", "k")).Answer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return caller.User
	}
	write("a")
	first := u.chain(t, Options{Entries: entries})
	write("b")
	second := u.chain(t, Options{Entries: entries, Before: first})
	if user(first) == user(second) {
		t.Error("the new secret is not read")
	}
	write("a")
	if third := u.chain(t, Options{Entries: entries, Before: second}); user(third) != user(first) {
		t.Error("the secret of before makes another pseudonym")
	}
}
